"""Doubles as decimal text, for whole columns.

Python prints the shortest text that reads back as the same double. Steele and White's way to its
digits (How to Print Floating-Point Numbers Accurately, 1990) needs only integers of 64 bits where
the fraction has no bit below 2**-60, which is so from `LEAST` on; smaller numbers, and those from
`MOST` on, are left to Python itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.otlp.wire import decimals, void_items

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRINTED_BYTES: Final = 32
"""More than any number or duration takes: a double at most 24, the longest duration 24."""

LEAST: Final = 2.0**-6
MOST: Final = 2.0**53
WHOLE_DIGITS: Final = 16
"""Of a number below `MOST`."""
DIGITS: Final = 18
"""Behind the point: all that a number from `LEAST` on needs, 17 that count and a zero."""
MANY: Final = 300
"""Fewer numbers take Python less time: 0.5 µs each, where this takes 0.2 µs and 100 µs a call."""


def print_doubles(values: NDArray[np.float64]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return texts with zeros behind them, and how much of each counts.

    values float64[rows]. Result S{PRINTED_BYTES}[rows] and int64[rows]. In plain Python:
    ``[repr(value).encode() for value in values]``
    """
    rows = values.size
    size = np.abs(values)
    easy = (size >= LEAST) & (size < MOST) & (rows >= MANY)
    texts = np.empty(rows, f"S{PRINTED_BYTES}")
    sizes = np.empty(rows, np.int64)
    some = easy.nonzero()[0]
    if some.size:
        texts[some], sizes[some] = _easy(values[some])
    others = (~easy).nonzero()[0]
    printed = [repr(value).encode() for value in values[others].tolist()]
    texts[others], sizes[others] = printed, [*map(len, printed)]
    return texts, sizes


def _easy(values: NDArray[np.float64]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return the texts of *values*, all of them from `LEAST` to `MOST` but for their signs."""
    rows, width = values.size, 1 + WHOLE_DIGITS + 1 + PRINTED_BYTES
    size = np.abs(values)
    whole = size.astype(np.int64)
    digits, count = _fraction(size)
    # A sign, the whole number with zeros before it, the point, the digits with zeros behind them.
    texts = np.zeros((rows, width), np.uint8)
    point = 1 + WHOLE_DIGITS
    void_items(texts, WHOLE_DIGITS, offset=1)[:] = decimals(whole, WHOLE_DIGITS)
    texts[:, point] = ord(".")
    shifted = digits.astype(np.int64) * _POWERS[DIGITS - count]
    void_items(texts, DIGITS, offset=point + 1)[:] = decimals(shifted, DIGITS)
    start = point - 1 - _POWERS[1:WHOLE_DIGITS].searchsorted(whole, "right")
    negative = (values < 0).nonzero()[0]
    start[negative] -= 1
    texts[negative, start[negative]] = ord("-")
    windows: NDArray[np.void] = np.ndarray(
        texts.size - PRINTED_BYTES + 1, f"V{PRINTED_BYTES}", texts, 0, (1,)
    )
    found = windows[np.arange(rows) * width + start].view(f"S{PRINTED_BYTES}")
    return found, point + 1 + np.maximum(count, 1) - start


def _fraction(values: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the digits that *values* need behind the point, as a number, and how many these are.

    values float64[rows], from `LEAST` to `MOST`.
    """
    rest = np.ldexp(values - np.floor(values), 60).astype(np.uint64)
    # How far from the value a text may be: half of the last bit.
    _, exponent = np.frexp(values)
    margin = np.left_shift(np.uint64(1), (exponent + 6).astype(np.uint64))
    # What lies just between two doubles is read as the one whose last bit is 0.
    even = ~values.view(np.uint64) & np.uint64(1)
    digits = np.zeros(values.size, np.uint64)
    count = np.zeros(values.size, np.int64)
    for _ in range(DIGITS):
        most = margin + even
        going = (rest >= most) & (_ONE - rest >= most)
        if not going.any():
            break
        tenfold = rest * _TEN
        digits = np.where(going, digits * _TEN + (tenfold >> _BITS), digits)
        rest = np.where(going, tenfold & _BELOW_ONE, rest)
        margin = np.where(going, margin * _TEN, margin)
        count += going
    odd = digits & np.uint64(1)
    return digits + (rest + odd > _ONE >> np.uint64(1)), count  # rounded, a tie to the even digit


_TEN, _BITS = np.uint64(10), np.uint64(60)
_ONE: Final = np.uint64(1) << _BITS
"""A fraction is a number of these parts of one."""
_BELOW_ONE: Final = _ONE - np.uint64(1)


_POWERS: Final = 10 ** np.arange(DIGITS + 1)
