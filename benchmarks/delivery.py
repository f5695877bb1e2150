"""How near a run comes to its endpoint's own ceiling.

The ceiling is what a process reaches that sends bodies made beforehand, and so does nothing but
send. The two take turns, as the machine's speed varies, and each is compared with its neighbour.

Where a sender shares its cores with the endpoint, what generating takes is missing there. So the
Collector is also met *apart*: it has one core, and the sender the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.diary import diary_environment
from benchmarks.endpoints import COLLECTOR, GRPC, HTTP, RECEIVER, networked, running
from benchmarks.rounds import in_turns
from benchmarks.runs import FULL, SETTLE_S, run, started, wait_for_window
from benchmarks.table import Table, count, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.endpoints import Endpoint
    from benchmarks.samples import Window

    Send = Callable[[Endpoint, str, str, float], Window]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Spans per second that an endpoint accepted, and the cores that it took, medians of rounds."""

    endpoint: str
    protocol: str
    compression: str
    apart: bool
    """Whether the endpoint had a core of its own, and only that one."""
    canned_per_s: float
    ours_per_s: float
    ratio: float
    """Ours to canned, median of the rounds' ratios."""
    canned_cpu: float
    canned_endpoint_cpu: float
    cpu: float
    endpoint_cpu: float


def measure_all(*, seconds: float) -> list[Delivered]:
    """Return the figures of every endpoint, protocol and compression."""
    ways = [(HTTP, "none"), (HTTP, "gzip"), (HTTP, "zstd"), (GRPC, "none")]
    rows = [
        measure(name, protocol, compression, seconds=seconds)
        for name in networked()
        for protocol, compression in ways
    ]
    if COLLECTOR in networked() and len(os.sched_getaffinity(0)) > 1:
        rows += [
            measure(COLLECTOR, protocol, "none", seconds=seconds, apart=True)
            for protocol in (HTTP, GRPC)
        ]
    return rows


def measure(
    name: str, protocol: str, compression: str, *, seconds: float, apart: bool = False
) -> Delivered:
    """Return the figures of the endpoint called *name*."""

    def sent(send: Send) -> Window:
        # A receiver remembers traces; each run gets a fresh one.
        with running(name) as endpoint, _apart(endpoint) if apart else nullcontext():
            return send(endpoint, protocol, compression, seconds)

    canned, ours = in_turns((_canned, _ours), sent)
    return Delivered(
        name,
        protocol,
        compression,
        apart,
        canned_per_s=canned.median(lambda window: window.accepted_per_s),
        ours_per_s=ours.median(lambda window: window.accepted_per_s),
        ratio=ours.ratio(lambda window: window.accepted_per_s),
        canned_cpu=canned.median(lambda window: window.cpu),
        canned_endpoint_cpu=canned.median(lambda window: window.endpoint_cpu),
        cpu=ours.median(lambda window: window.cpu),
        endpoint_cpu=ours.median(lambda window: window.endpoint_cpu),
    )


@contextmanager
def _apart(endpoint: Endpoint) -> Iterator[None]:
    """Keep the endpoint to one core, and this process and those that it starts to the others."""
    cores = os.sched_getaffinity(0)
    its, *others = sorted(cores)
    for thread in Path(f"/proc/{endpoint.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), [its])
    os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _ours(endpoint: Endpoint, protocol: str, compression: str, seconds: float) -> Window:
    asked = (*FULL, "--otlp-compression", compression)
    return run(endpoint, asked, seconds=seconds, protocol=protocol).window


def _canned(endpoint: Endpoint, protocol: str, compression: str, seconds: float) -> Window:
    command = [
        *(sys.executable, "-m", "gevent.monkey", "--module", "benchmarks.canned"),
        *(endpoint.addresses[protocol], protocol, compression),
        "renewed" if endpoint.name == RECEIVER else "same",
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        extra = diary_environment(directory, endpoint_pid=endpoint.pid, ticker=False)
        with started(command, directory, extra) as process:
            return wait_for_window(process, directory, settle_s=SETTLE_S, seconds=seconds)


def table(rows: list[Delivered]) -> Table:
    """Return *rows* as a table."""
    return Table(
        (
            *(
                "endpoint",
                "protocol",
                "compression",
                "cores",
                "canned, spans/s",
                "ours, spans/s",
                "ratio",
            ),
            *("CPU canned", "of its endpoint", "CPU ours", "of its endpoint"),
        ),
        [
            (
                *(row.endpoint, row.protocol, row.compression),
                "its own" if row.apart else "shared",
                *(count(row.canned_per_s), count(row.ours_per_s), f"{row.ratio:.2f}"),
                *(percent(row.canned_cpu), percent(row.canned_endpoint_cpu)),
                *(percent(row.cpu), percent(row.endpoint_cpu)),
            )
            for row in rows
        ],
    )
