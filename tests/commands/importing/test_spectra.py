from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.importing.spectra import Spectra

values = st.integers(0, 2**62) | st.integers(0, 300)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), values), max_size=30), max_size=4),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_quantiles_are_near_those_of_all_values(
    parts: list[list[tuple[int, int]]], shares: list[float]
) -> None:
    spectra = Spectra(4)
    for part in parts:
        group, value = np.array(part, np.int64).reshape(-1, 2).T
        spectra.add(group, value)
    for group in range(4):
        own = sorted(value for part in parts for where, value in part if where == group)
        assert spectra.counts[group] == len(own)
        if not own:
            continue
        assert (spectra.least[group], spectra.greatest[group]) == (own[0], own[-1])
        for share, found in zip(shares, spectra.quantiles(group, *shares), strict=True):
            # The value of that rank, or one of its neighbours where ranks are no whole numbers.
            low = own[max(0, int(share * len(own)) - 1)]
            high = own[min(len(own) - 1, int(share * len(own)) + 1)]
            assert low * 0.992 - 1 <= found <= high * 1.008 + 1


def test_memory_is_bounded_by_the_sizes_that_occur() -> None:
    spectra = Spectra(2)
    random = np.random.Generator(np.random.PCG64(5))
    for _ in range(5):
        value = random.integers(1_000_000, 100_000_000, 20_000)
        spectra.add(random.integers(0, 2, value.size), value)
    assert spectra.quantiles(0, 0.5)[0] == pytest.approx(50_500_000, rel=0.03)
    assert len(spectra._cells) < 2 * 1_000


def test_many_groups_are_told_apart_however_often_they_come() -> None:
    random = np.random.Generator(np.random.PCG64(6))
    group = random.integers(0, 2_000, 300_000)
    value = (np.exp(random.normal(15, 1, group.size)) * (1 + group)).astype(np.int64)
    spectra = Spectra(2_000)
    for part in np.array_split(np.arange(group.size), 4):
        spectra.add(group[part], value[part])
    for each in (0, 7, 1_999):
        own = value[group == each]
        assert spectra.counts[each] == own.size
        low, high = np.quantile(own, [0.45, 0.55])
        assert low < spectra.quantiles(each, 0.5)[0] < high
