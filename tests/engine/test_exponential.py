"""Exponential histograms beside the SDK's own aggregation, and exact where that one rounds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine import octaves
from motel_locust.engine.exponential import ExponentialCounts
from tests.oracles.aggregation import Aggregated, aggregated
from tests.oracles.metrics import index

if TYPE_CHECKING:
    from motel_locust.engine.points import Stretches

SLOTS = 3
NOTHING = Aggregated(0, 0, {}, {})
# Near a bound, the SDK's logarithm may be on the wrong side of it; none of these is that near.
plain_values = st.one_of(
    st.integers(-(10**4), 10**9).map(lambda thousandths: thousandths / 1000),
    st.sampled_from([0.0, 1.0, 2.0, 4096.0, 2.0**-30, 1e300, -1e-300, 0.1]),
)
measurements = st.lists(st.tuples(st.integers(0, SLOTS - 1), plain_values), min_size=1, max_size=40)
limits = st.sampled_from([(160, 20), (20, 20), (2, 20), (5, 3), (160, -3)])
floats = st.floats(2.0**-1000, 1e308)


def counted(batches: list[list[tuple[int, float]]], size: int, scale: int) -> ExponentialCounts:
    counts = ExponentialCounts(SLOTS, max_size=size, max_scale=scale)
    for batch in batches:
        slots, values = zip(*batch, strict=True)
        # A slot that all rows share is given as one number, as series do.
        slot = slots[0] if len(set(slots)) == 1 else np.array(slots)
        counts.add(slot, np.array(values))
    return counts


def buckets(side: Stretches, row: int) -> dict[int, int]:
    """The buckets of one point that are not empty."""
    start, stop = side.count_offset[row : row + 2]
    found = enumerate(side.count[start:stop].tolist(), int(side.first[row]))
    return {place: count for place, count in found if count}


def plain(counts: ExponentialCounts, slot: int) -> Aggregated:
    slots = np.arange(SLOTS)
    return Aggregated(
        int(counts.scales(slots)[slot]),
        int(counts.zeros(slots)[slot]),
        buckets(counts.positive(slots), slot),
        buckets(counts.negative(slots), slot),
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(measurements, min_size=1, max_size=4), limits)
def test_the_sdk_counts_the_same(
    batches: list[list[tuple[int, float]]], limit: tuple[int, int]
) -> None:
    counts = counted(batches, *limit)
    for slot in range(SLOTS):
        values = [value for batch in batches for each, value in batch if each == slot]
        if values:
            assert plain(counts, slot) == aggregated(values, *limit)


@pytest.mark.parametrize("slots", [1, SLOTS])
@pytest.mark.parametrize("limit", [(160, 20), (20, 20), (2, 20)])
def test_a_window_moves_for_all_that_comes_together(slots: int, limit: tuple[int, int]) -> None:
    """What lies in a window when others make it move may lie outside of it then."""
    generator = np.random.Generator(np.random.PCG64(3))
    spreads = [0, 1e-7, 1e-6, 1e-4, 0.01, 0.1, 0.3, 0.5, 1, 1.5, 2, 3]
    batches = [
        [
            (place % slots, value)
            for place, value in enumerate(generator.lognormal(0.1, spread, 60).tolist())
        ]
        for spread in spreads
    ]
    counts = counted(batches, *limit)
    for slot in range(slots):
        values = [value for batch in batches for each, value in batch if each == slot]
        assert plain(counts, slot) == aggregated(values, *limit)


@settings(max_examples=50, deadline=None)
@given(st.lists(measurements, min_size=1, max_size=4), limits)
def test_what_is_folded_counts_for_another(
    batches: list[list[tuple[int, float]]], limit: tuple[int, int]
) -> None:
    counts = counted(batches, *limit)
    counts.fold(np.array([1, 2]), 0)
    as_one = counted([[(0, value) for _, value in batch] for batch in batches], *limit)
    assert plain(counts, 0) == plain(as_one, 0)
    assert plain(counts, 1) == plain(counts, 2) == NOTHING
    counts.add(1, np.array([3.0]))
    assert plain(counts, 1) == aggregated([3.0], *limit)


@settings(max_examples=50, deadline=None)
@given(measurements, limits)
def test_after_it_was_cleared_nothing_is_left(
    batch: list[tuple[int, float]], limit: tuple[int, int]
) -> None:
    counts = counted([batch], *limit)
    counts.clear()
    assert [plain(counts, slot) for slot in range(SLOTS)] == [NOTHING] * SLOTS


def test_infinite_values_lie_in_the_outermost_buckets() -> None:
    largest = sys.float_info.max
    for values in ([np.inf, 1.0], [np.inf, -np.inf, 3.0]):
        found = plain(counted([[(0, value) for value in values]], 160, 20), 0)
        finite = [min(max(value, -largest), largest) for value in values]
        assert found == plain(counted([[(0, value) for value in finite]], 160, 20), 0)
        assert found.scale >= -3


def beside(bound: int) -> list[float]:
    """The float64 next to a bound of scale 20, and those next to these."""
    nearest = np.exp2(bound / 2**20)
    return [nearest, *(float(np.nextafter(nearest, way)) for way in (0, np.inf))]


@settings(max_examples=200, deadline=None)
@given(
    floats | st.integers(-(1000 << 20), 1023 << 20).flatmap(lambda at: st.sampled_from(beside(at)))
)
def test_an_index_is_exact_next_to_a_bound_too(value: float) -> None:
    found = octaves.exact_index(value)
    assert octaves.indexes(np.array([value])).tolist() == [found]
    for scale in (20, 11, 3, 0, -4, -10):
        assert found >> 20 - scale == index(value, scale)


@pytest.mark.parametrize("exponent", [-1000, -1, 0, 1, 12, 1023])
def test_a_power_of_two_lies_in_the_bucket_that_it_bounds(exponent: int) -> None:
    power = 2.0**exponent
    values = np.array([power, np.nextafter(power, np.inf), np.nextafter(power, 0), power])
    bound = exponent << 20
    assert octaves.indexes(values).tolist() == [bound - 1, bound, bound - 1, bound - 1]
