from __future__ import annotations

import os
from types import SimpleNamespace

import psutil

from motel_locust.load.footprint import Footprint


class Process:
    """A process that says what it is told to."""

    def __init__(self) -> None:
        self.user, self.system, self.rss = 10.0, 1.0, 5 << 20

    def cpu_times(self) -> SimpleNamespace:
        return SimpleNamespace(user=self.user, system=self.system)

    def memory_info(self) -> SimpleNamespace:
        return SimpleNamespace(rss=self.rss)


def test_cpu_is_the_share_of_a_core_since_the_last_value() -> None:
    process, now_s = Process(), 100.0
    footprint = Footprint(process, lambda: now_s)
    assert footprint.cpu == 0.0
    process.user, process.system, now_s = 11.0, 1.5, 103.0
    assert footprint.cpu == 0.5
    process.user, now_s = 15.0, 105.0
    assert footprint.cpu == 2.0  # of several threads


def test_who_asks_too_often_hears_the_same_again() -> None:
    process, now_s = Process(), 100.0
    footprint = Footprint(process, lambda: now_s)
    process.user, now_s = 11.0, 102.0
    assert footprint.cpu == 0.5
    process.user, now_s = 13.0, 102.5
    assert footprint.cpu == 0.5
    now_s = 104.0
    assert footprint.cpu == 1.0


def test_it_is_that_of_this_process() -> None:
    footprint = Footprint()
    rss = psutil.Process(os.getpid()).memory_info().rss
    assert 0.5 * rss < footprint.rss_bytes < 2 * rss
