from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.importing.samples import SAMPLES, Arrivals, Moments, Samples

SECOND = 1_000_000_000
values = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**12)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(values, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts) -> None:
    moments = Moments(4)
    for part in parts:
        group, value = (
            (np.array(column, np.int64) for column in zip(*part, strict=True))
            if part
            else (
                np.zeros(0, np.int64),
                np.zeros(0, np.int64),
            )
        )
        moments.add(group, value)
    for group in range(4):
        own = [value for part in parts for where, value in part if where == group]
        assert moments.counts[group] == len(own)
        if own:
            assert moments.means[group] == pytest.approx(np.mean(own))
        if len(own) > 1:
            # Equal values may differ by rounding of what they are about.
            assert moments.deviations[group] == pytest.approx(np.std(own, ddof=1), abs=1e-2)


def test_samples_keep_so_many_of_each_group_and_count_all() -> None:
    samples = Samples(2)
    for start in (0, 600, 1200):
        samples.add(np.repeat([1, 0], [600, 1]), np.append(np.arange(start, start + 600), 7))
    assert samples.counts.tolist() == [3, 1800]
    assert samples.quantiles(1, 0, 0.5, 1) == (0, (SAMPLES - 1) / 2, SAMPLES - 1)
    assert samples.quantiles(0, 0.5) == (7,)


def arrivals(start_ns: np.ndarray, parts: int) -> Arrivals:
    found = Arrivals()
    for part in np.array_split(start_ns, parts):
        found.add(part)
    return found


@pytest.mark.parametrize("span_s", [1, 100, 100_000])
def test_evenly_spaced_arrivals_are_regular_and_random_ones_are_not(span_s: int) -> None:
    random = np.random.Generator(np.random.PCG64(5))
    origin, count = 1_790_000_000 * SECOND, 4000
    even = origin + np.arange(count) * (span_s * SECOND // count)
    poisson = origin + np.sort(random.integers(0, span_s * SECOND, count))
    shuffled = random.permutation(even)
    for found in (arrivals(even, 1), arrivals(shuffled, 7)):
        assert found.traces == count
        assert found.per_s == pytest.approx(count / span_s, rel=1e-6)
        assert found.irregularity() < 0.3
        assert found.rates(20) == pytest.approx(count / span_s, rel=0.1)
    # The variance of the estimator is some 3 / bins; at least 1000 bins.
    assert arrivals(poisson, 3).irregularity() == pytest.approx(1, abs=4 * (3 / 1000) ** 0.5)


def test_few_arrivals_tell_nothing() -> None:
    one = arrivals(np.array([5]), 1)
    assert (one.per_s, one.irregularity(), one.rates(20).size) == (0.0, None, 0)
    assert arrivals(np.array([5, 5, 5]), 1).per_s == 0.0
    assert Arrivals().per_s == 0.0
