from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from motel_locust.engine.schedule import TICK_NS
from motel_locust.load.release import Release, wait_for
from motel_locust.otlp.turns import TURN_S

EPOCH_NS = 1_700_000_000_000_000_000


class Clocks:
    """A Unix clock and a monotonic one that differ, as they do."""

    def __init__(self, *, since_epoch_ns: int) -> None:
        self.unix = EPOCH_NS + since_epoch_ns
        self.monotonic = 42_000_000_000
        self.waits: list[float] = []

    def release(self) -> Release:
        return Release(
            EPOCH_NS,
            unix_ns=lambda: self.unix,
            monotonic_ns=lambda: self.monotonic,
            wait=lambda alarm, seconds: self.waits.append(0.0 if alarm.is_set() else seconds),
        )


@pytest.mark.parametrize(
    ("since_epoch_ns", "due"),
    [
        (TICK_NS, 0),
        (2 * TICK_NS - 1, 0),
        (2 * TICK_NS, 1),
        (360_000 * TICK_NS + 3, 359_999),
        (TICK_NS - 1, -1),  # before the first tick is over nothing is due
        (-TICK_NS - 1, -3),
    ],
)
def test_a_tick_is_due_when_it_is_over(since_epoch_ns: int, due: int) -> None:
    assert Clocks(since_epoch_ns=since_epoch_ns).release().due() == due


def test_a_clock_that_is_set_right_does_not_move_the_schedule() -> None:
    clocks = Clocks(since_epoch_ns=TICK_NS)
    release = clocks.release()
    clocks.unix += 3_600_000_000_000
    clocks.monotonic += 5 * TICK_NS
    assert release.due() == 5


def test_ticks_stay_on_their_grid_however_late_the_waits_were() -> None:
    clocks = Clocks(since_epoch_ns=TICK_NS)
    release = clocks.release()
    for tick in range(1, 1000):
        release.wait_until(release.at_s(tick))
        clocks.monotonic += round(clocks.waits[-1] * 1e9) + 700_000  # sleeps end late
        assert release.due() == tick


def test_one_who_is_late_waits_all_the_same() -> None:
    clocks = Clocks(since_epoch_ns=TICK_NS)
    release = clocks.release()
    release.wait_until(release.at_s(-100))
    assert clocks.waits == [TURN_S]


def test_an_alarm_ends_one_wait() -> None:
    clocks = Clocks(since_epoch_ns=TICK_NS)
    release = clocks.release()
    release.alarm()
    release.wait_until(release.at_s(100))
    release.wait_until(release.at_s(100))
    assert clocks.waits == [0.0, pytest.approx(1.0)]


def test_by_default_it_waits_on_the_event_loop() -> None:
    assert Release.__init__.__kwdefaults__["wait"] is wait_for


def test_a_wait_ends_when_its_time_is_over_however_many_others_are_about_to_run() -> None:
    alarm, ran = Event(), []
    others = [gevent.get_hub().loop.run_callback(ran.append, None) for _ in range(1_000_000)]
    wait_for(alarm, 1e-6)
    assert len(ran) < len(others)
    assert not alarm.is_set()
    for each in others:
        each.stop()


def test_an_alarm_ends_a_wait_before_its_time() -> None:
    alarm = Event()
    waiting = gevent.spawn(wait_for, alarm, 3600.0)
    gevent.sleep(0)
    alarm.set()
    waiting.get(timeout=10)


def test_another_machines_epoch_is_told_in_this_ones_monotonic_time() -> None:
    clocks = Clocks(since_epoch_ns=-7_000_000_000)  # seven seconds slow
    release = clocks.release()
    release.begin_at(clocks.monotonic - 3 * TICK_NS)
    assert release.due() == 2
    assert release.elapsed_ns() == 3 * TICK_NS
