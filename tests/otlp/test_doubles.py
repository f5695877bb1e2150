from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.otlp.doubles import LEAST, MANY, MOST, print_doubles

POWERS = 2.0 ** np.arange(-8, 55)
TENS = 10.0 ** np.arange(-6, 18)
NEAR = [np.nextafter(each, towards) for each in (POWERS, TENS) for towards in (0.0, np.inf)]
TIES = np.arange(2**50, 2**50 + 64) / 8 + 1 / 16
chance = random.Random(7)
DRAWN = np.array([chance.gauss(100, 50) for _ in range(3000)])
COLUMNS = {
    "edges": np.array([0.0, -0.0, LEAST, MOST, 5e-324, 1.7976931348623157e308, np.inf, np.nan]),
    "powers": np.concatenate([POWERS, TENS, *NEAR]),
    "halves between two doubles": TIES,
    "drawn": DRAWN,
    "over many sizes": np.array([chance.lognormvariate(0, 8) for _ in range(3000)]),
    "few digits": np.round(DRAWN, 3),
    "whole": np.round(DRAWN * 1e6),
    "quotients": np.arange(-1500, 1500) * 977 / np.arange(1, 3001),
}


def printed(values: np.ndarray) -> list[str]:
    texts, sizes = print_doubles(values)
    items = texts.view(f"V{texts.dtype.itemsize}")
    return [
        item.tobytes()[:size].decode() for item, size in zip(items, sizes.tolist(), strict=True)
    ]


def assert_as_python_prints(values: np.ndarray) -> None:
    expected = [*map(repr, values.tolist())]
    assert printed(values) == expected
    repeated = np.resize(values, len(values) * -(-MANY // len(values)))
    assert printed(repeated)[: len(values)] == expected


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_printed_as_python_prints(name: str):
    assert_as_python_prints(COLUMNS[name])
    assert_as_python_prints(-COLUMNS[name])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats() | st.floats(LEAST, MOST), min_size=1, max_size=20))
def test_any_double_is_printed_as_python_prints(values: list[float]):
    assert_as_python_prints(np.array(values))
