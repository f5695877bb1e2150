"""A clock that moves only when somebody waits."""

from __future__ import annotations

import gevent


class PatientClock:
    """Time for the exporter: ``wait`` takes no time of ours, and the clock shows that it did."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds
        gevent.sleep(0)
