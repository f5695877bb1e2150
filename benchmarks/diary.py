"""The diary that a measured process keeps: a greenlet that looks at it a few times each second.

A look costs about as much in every process that is compared, an idle one too, so that it does not
show in differences. All clocks are read at the same instant, the endpoint's CPU clock among them.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import psutil

from benchmarks.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOK_S = 0.5
TICK_S = 0.01

DIRECTORY, ENDPOINT, TICKER = "BENCHMARK_DIRECTORY", "BENCHMARK_ENDPOINT", "BENCHMARK_TICKER"


def diary_environment(directory: Path, *, endpoint_pid: int, ticker: bool) -> dict[str, str]:
    """Return the variables that let a process keep its diary in *directory*."""
    return {
        DIRECTORY: str(directory),
        ENDPOINT: str(endpoint_pid),
        TICKER: "yes" if ticker else "",
    }


@dataclass(frozen=True, slots=True)
class Counts:
    """What only the measured process knows: the fields of that name of a sample."""

    users: int
    traces: int = 0
    generated: int = 0
    accepted: int = 0
    lag_s: float = 0.0


@dataclass(slots=True)
class Ticker:
    """A greenlet that is to wake every ``TICK_S``, and remembers how late it was.

    The grid is absolute: a stall of 50 ms makes five ticks late, as it would five requests.
    """

    late_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Tick for ever."""
        began_s, tick = time.monotonic(), 1
        while True:
            gevent.sleep(max(began_s + tick * TICK_S - time.monotonic(), 1e-6))
            now_s = time.monotonic()
            while began_s + tick * TICK_S <= now_s:
                self.late_s.append(now_s - began_s - tick * TICK_S)
                tick += 1

    def take(self) -> tuple[float, ...]:
        """Return what was remembered, and forget it."""
        taken = tuple(self.late_s)
        self.late_s.clear()
        return taken


def keep_diary(counts: Callable[[], Counts], environ: Mapping[str, str] = os.environ) -> None:
    """Start this process's diary, as the variables of :func:`diary_environment` say."""
    ticker = Ticker()
    if environ[TICKER]:
        gevent.spawn(ticker.run)
    path = Path(environ[DIRECTORY]) / f"{os.getpid()}.diary"
    gevent.spawn(_keep, path, int(environ[ENDPOINT]), counts, ticker)


def _keep(path: Path, endpoint_pid: int, counts: Callable[[], Counts], ticker: Ticker) -> None:
    process, endpoint = psutil.Process(), cpu_clock(endpoint_pid) if endpoint_pid else None
    began_s, look = time.monotonic(), 0
    with path.open("w", buffering=1) as diary:
        while True:
            now = counts()
            sample = Sample(
                at_s=time.monotonic(),
                cpu_s=time.process_time(),
                endpoint_cpu_s=time.clock_gettime(endpoint) if endpoint is not None else 0.0,
                rss_bytes=process.memory_info().rss,
                late_s=ticker.take(),
                users=now.users,
                traces=now.traces,
                generated=now.generated,
                accepted=now.accepted,
                lag_s=now.lag_s,
            )
            diary.write(sample.line())
            look += 1
            gevent.sleep(max(began_s + look * LOOK_S - time.monotonic(), 1e-6))


def cpu_clock(pid: int) -> int:
    """Return the number of the CPU clock of the process *pid*, for ``time.clock_gettime``.

    It counts in nanoseconds; what ``/proc`` says of other processes is in steps of 10 ms. Raises
    OSError if there is no such process.
    """
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value
