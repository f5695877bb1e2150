"""Memory at full speed, over a minute and more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.diary import LOOK_S
from benchmarks.endpoints import COLLECTOR, DISCARD, networked, running
from benchmarks.generation import WIDE
from benchmarks.runs import FULL, TOPOLOGY, run
from benchmarks.samples import slope
from benchmarks.table import Table, count, mib

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.endpoints import Endpoint

LEAST_S = 60.0


@dataclass(frozen=True, slots=True)
class Resident:
    """The resident memory of a Locust process under full load, in bytes."""

    topology: str
    endpoint: str
    seconds: float
    accepted_per_s: float
    first: int
    """When the window began."""
    last: int
    greatest: int
    per_minute: float
    """By the line of least squares through its second half."""
    each_second: list[int]


def measure_all(*, seconds: float) -> list[Resident]:
    """Return the figures of runs into nothing, and of one into the Collector if there is one.

    Each takes *seconds* or ``LEAST_S``, whichever is more.
    """
    seconds = max(seconds, LEAST_S)
    rows = [measure(DISCARD, topology=topology, seconds=seconds) for topology in (TOPOLOGY, WIDE)]
    if COLLECTOR in networked():
        with running(COLLECTOR) as collector:
            rows.append(measure(collector, seconds=seconds))
    return rows


def measure(endpoint: Endpoint, *, seconds: float, topology: Path = TOPOLOGY) -> Resident:
    """Return the figures of one run."""
    window = run(endpoint, FULL, seconds=seconds, topology=topology).window
    (diary,) = window.diaries
    points = [(sample.at_s, float(sample.rss_bytes)) for sample in diary]
    return Resident(
        topology.stem,
        endpoint.name,
        diary[-1].at_s - diary[0].at_s,
        window.accepted_per_s,
        first=diary[0].rss_bytes,
        last=diary[-1].rss_bytes,
        greatest=max(sample.rss_bytes for sample in diary),
        per_minute=60 * slope(points[len(points) // 2 :]),
        each_second=[sample.rss_bytes for sample in diary[:: round(1 / LOOK_S)]],
    )


def table(rows: list[Resident]) -> Table:
    """Return *rows* as a table."""
    return Table(
        (
            *("topology", "endpoint", "seconds", "spans/s"),
            *("at first", "at last", "greatest", "growth a minute"),
        ),
        [
            (
                *(row.topology, row.endpoint, count(row.seconds), count(row.accepted_per_s)),
                *(mib(row.first), mib(row.last), mib(row.greatest)),
                f"{row.per_minute / 2**20:.1f} MiB",
            )
            for row in rows
        ],
    )
