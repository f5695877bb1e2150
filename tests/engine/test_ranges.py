"""Ranges, against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.ranges import ranges, runs


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5))))
def test_ranges_are_those_of_plain_python(bounds: list[tuple[int, int]]) -> None:
    first, stop = np.array(bounds, np.int64).reshape(-1, 2).T
    expected = [(row, n) for row in range(len(first)) for n in range(first[row], stop[row])]
    for found in (ranges(first, stop), runs(first, np.maximum(stop - first, 0))):
        assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
