"""What this process takes of its machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

# Whoever asks more often hears the same again: a shorter time says nothing of the load.
LEAST_S: Final = 1.0


class Footprint:
    """The CPU and the memory of one process, watched from here on.

    Args:
        process: Which one; None is this one.
        now: The clock, in seconds.
    """

    def __init__(
        self, process: psutil.Process | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        # Made anew for each run, so that it is not that of before a fork.
        self._process, self._now = process or psutil.Process(), now
        self._at_s, self._used_s, self._cpu = now(), self._cpu_s(), 0.0

    @property
    def cpu(self) -> float:
        """Cores in use, by all threads, since the value before; 0 in the first second."""
        now_s = self._now()
        seconds = now_s - self._at_s
        if seconds >= LEAST_S:
            used_s = self._cpu_s()
            self._cpu = (used_s - self._used_s) / seconds
            self._at_s, self._used_s = now_s, used_s
        return self._cpu

    @property
    def rss_bytes(self) -> int:
        """Memory that is resident."""
        return int(self._process.memory_info().rss)

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
