from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from motel_locust.load.timekeeping import KEPT, Reading, Readings, read

EPOCH_NS = 1_700_000_000_000_000_000
BEGAN_NS = 42_000_000_000
"""The epoch on the asking machine's monotonic clock."""

trips = st.integers(0, 2_000_000_000)
skews = st.integers(-(10**12), 10**12)


def asked(there_ns: int, back_ns: int, *, skew_ns: int, at_ns: int = 5_000_000_000) -> Reading:
    """Return what a question at *at_ns* of the run tells, with so long a way there and back."""
    received_ns = at_ns + there_ns + back_ns
    return read(
        sent_ns=BEGAN_NS + at_ns,
        received_ns=BEGAN_NS + received_ns,
        elapsed_ns=at_ns + there_ns,
        unix_ns=EPOCH_NS + received_ns + skew_ns,
        run_epoch_ns=EPOCH_NS,
    )


@given(trips, trips, skews)
def test_a_reading_is_at_most_half_the_round_trip_off(there: int, back: int, skew: int) -> None:
    reading = asked(there, back, skew_ns=skew)
    assert reading.trip_ns == there + back
    assert abs(reading.epoch_ns - BEGAN_NS) <= (there + back) / 2 + 1
    assert abs(reading.skew_ns - skew) <= (there + back) / 2 + 1


@given(trips, skews)
def test_equal_ways_there_and_back_tell_the_exact_time(way: int, skew: int) -> None:
    assert asked(way, way, skew_ns=skew) == Reading(BEGAN_NS, 2 * way, skew)


@given(st.lists(st.tuples(trips, trips), min_size=1, max_size=KEPT))
def test_the_fastest_answer_counts(ways: list[tuple[int, int]]) -> None:
    readings = Readings()
    for there, back in ways:
        best = readings.add(asked(there, back, skew_ns=0))
    assert best.trip_ns == min(there + back for there, back in ways)
    assert len(readings) == len(ways)


def test_old_readings_are_forgotten_as_clocks_drift() -> None:
    readings = Readings()
    readings.add(asked(0, 0, skew_ns=0))
    for _ in range(KEPT):
        best = readings.add(asked(3, 3, skew_ns=9))
    assert best == asked(3, 3, skew_ns=9)
