"""Draws: pure functions of (seed, site, purpose, trace number), without any stream of numbers.

A *word* is a uint64 whose bits are all equally random. Every trace has a key; the id of its root is
the word of (that key, the root operation's key), the id of any other span the word of (its parent's
id, the key of the call that made it). Every other draw of a span is the word of (its id, a
purpose's key). So a draw depends neither on the batch nor on the order of visits, nor on who walks
the trace, and spans reached in many ways are drawn together.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import accumulate
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

WORDS: Final = 1 << 64
_MASK: Final = WORDS - 1

# splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with
# the constants of Vigna's public-domain splitmix64.c.
_GAMMA: Final = 0x9E3779B97F4A7C15
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
FACTORS: Final = (_FIRST, _SECOND)
"""Odd numbers that mix well."""
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_1, _32 = np.uint64(1), np.uint64(32)
_LOW_32: Final = np.uint64(0xFFFFFFFF)


def key(*names: object) -> int:
    """Return 64 bits that stand for *names*, 0 to 2**64 - 1; the same in every process."""
    joined = "\x1f".join(str(name) for name in names)
    return int.from_bytes(blake2b(joined.encode(), digest_size=8).digest(), "little")


def mix(words: NDArray[np.uint64], scratch: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Turn *words* into well-mixed ones, in place; *scratch* has their shape. A bijection."""
    # Given by its name, `out` would cost 0.3 µs a call.
    np.right_shift(words, _30, scratch)
    np.bitwise_xor(words, scratch, words)
    np.multiply(words, _FIRST, words)
    np.right_shift(words, _27, scratch)
    np.bitwise_xor(words, scratch, words)
    np.multiply(words, _SECOND, words)
    np.right_shift(words, _31, scratch)
    np.bitwise_xor(words, scratch, words)
    return words


def unmix(word: int) -> int:
    """Return the word that :func:`mix` turns into *word*."""
    word ^= word >> 31 ^ word >> 62
    word = word * pow(int(_SECOND), -1, WORDS) & _MASK
    word ^= word >> 27 ^ word >> 54
    word = word * pow(int(_FIRST), -1, WORDS) & _MASK
    return word ^ word >> 30 ^ word >> 60


def draw_words(
    keys: np.uint64 | NDArray[np.uint64], of: np.uint64 | NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return the words of (*keys*, *of*), at least one an array: uint64 in their common shape."""
    words: NDArray[np.uint64] = np.add(keys, of)
    return mix(words, np.empty_like(words))


def nth(of: int, n: int) -> int:
    """Return the key of the *n*-th span, from 0, that one caller's span gets from the call *of*."""
    return (of + n * _GAMMA) & _MASK


def nth_keys(of: NDArray[np.uint64], n: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the keys of those spans: uint64[rows]; :func:`nth` for every row."""
    return of + n.view(np.uint64) * np.uint64(_GAMMA)


def draw_ids(
    keys: np.uint64 | NDArray[np.uint64], of: np.uint64 | NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return the words of (*keys*, *of*) as ids of spans: never 0, which would mean no span."""
    words = draw_words(keys, of)
    return np.maximum(words, _1, out=words)


class TraceIds:
    """Trace numbers to trace keys and ids, and back.

    The first eight bytes of an id are the trace's key, a permutation of the number; the last eight
    are a permutation of the key. So ids are unique without asking anybody, and who knows the seed
    can tell the number of a trace from its id.
    """

    def __init__(self, seed: int) -> None:
        self._first, self._last = key(seed, "trace"), key(seed, "trace, second half")

    def keys(self, number: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the keys of the traces *number*: uint64[traces]."""
        return draw_words(number.view(np.uint64) * np.uint64(_GAMMA), np.uint64(self._first))

    def ids(self, trace_key: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return the ids of the traces with *trace_key*: V16[traces]."""
        halves = np.empty((trace_key.size, 2), np.uint64)
        halves[:, 0] = trace_key
        halves[:, 1] = draw_words(trace_key, np.uint64(self._last))
        return halves.view("V16")[:, 0]

    def number(self, trace_id: bytes) -> int | None:
        """Return the number of the trace *trace_id*, None if the id is not one of this seed's."""
        first, last = (int.from_bytes(trace_id[at : at + 8], "little") for at in (0, 8))
        if (unmix(last) - self._last) & _MASK != first:
            return None
        return (unmix(first) - self._first) * pow(_GAMMA, -1, WORDS) & _MASK


def threshold(share: float) -> np.uint64:
    """Return what a word is below with the chance *share*, 0 to 1 (1 itself is 2**-64 short)."""
    return np.uint64(min(int(share * WORDS), _MASK))


def bounds(weights: Sequence[float]) -> NDArray[np.uint64]:
    """Return the words at which a weighted choice goes over to the next: uint64[weights - 1].

    In plain Python, with exact fractions:
    ``[floor(2**64 * sum(weights[:i + 1]) / sum(weights)) for i in range(n - 1)]``
    """
    # Whole numbers in the same proportion: a tenth of the time that fractions take.
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = max(below for _, below in ratios)  # of floats all are powers of two
    *passed, total = accumulate(above * (common // below) for above, below in ratios)
    return np.array([WORDS * part // total for part in passed], np.uint64)


def draw_choices(words: NDArray[np.uint64], at: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return which choice each of *words* makes between the :func:`bounds` *at*: int64[words]."""
    return at.searchsorted(words, "right")


def draw_integers(words: NDArray[np.uint64], low: int, high: int) -> NDArray[np.int64]:
    """Return whole numbers from *low* to *high*, both included, all equally likely: int64[words].

    The product method of Lemire, "Fast random integer generation in an interval" (2019), without
    its rejection: no number is more likely than another by more than 2**-32 of its chance, or
    2**-64 of the whole where the range is wider than 2**32.
    """
    count = high - low + 1
    if count == WORDS:
        return words.view(np.int64)
    if count <= 1 << 32:
        steps = (words >> _32) * np.uint64(count) >> _32
    else:
        steps = _upper_product(words, count)
    return (steps + np.uint64(low & _MASK)).view(np.int64)


def _upper_product(words: NDArray[np.uint64], factor: int) -> NDArray[np.uint64]:
    """Return the upper 64 bits of the 128-bit products of *words* and *factor*."""
    high, low = words >> _32, words & _LOW_32
    factor_high, factor_low = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    middle = high * factor_low + (low * factor_low >> _32)
    other = low * factor_high + (middle & _LOW_32)
    upper: NDArray[np.uint64] = high * factor_high + (middle >> _32) + (other >> _32)
    return upper


def _half_normals() -> NDArray[np.float64]:
    """Return 4096 equally likely values; the sum of two is a standard normal."""
    cells = 4096
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / cells) for i in range(cells)])
    # The middles of the cells spread a little less than the normal itself.
    halves: NDArray[np.float64] = quantiles / (quantiles.std() * np.sqrt(2.0))
    return halves


# A sum of two tables reaches 5.2 sigma, where one table of the same cost would end at 4.3, and both
# lookups stay in the first-level cache: 2.8 ns a draw; the ziggurat of numpy.random takes 8 to 10.
_HALF_NORMALS: Final = _half_normals()
_52, _40, _4095 = np.uint64(52), np.uint64(40), np.uint64(4095)


def draw_normals(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return draws of the standard normal: float64[words], within 5.2 of 0."""
    upper = (words >> _52).view(np.int64)
    lower = (words >> _40 & _4095).view(np.int64)
    return _HALF_NORMALS[upper] + _HALF_NORMALS[lower]


def draw_quantiles(
    words: NDArray[np.uint64], curves: NDArray[np.float64], at: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return values at normally distributed quantiles of a curve: float64[words].

    curves  float64[...]  what :func:`curve` returned, one or several joined
    at      where in *curves* the curve of each word begins
    """
    steps = draw_normals(words)
    steps += _FURTHEST
    steps *= _CELLS / (2 * _FURTHEST)
    cells = steps.astype(np.int64)
    steps -= cells
    cells += at
    low = curves[cells]
    cells += 1
    steps *= curves[cells] - low
    steps += low
    return steps


def curve(value_at: Callable[[float], float]) -> NDArray[np.float64]:
    """Return a curve for :func:`draw_quantiles`: the values at quantiles of the standard normal.

    Between neighbours it goes straight, over a hundredth of a deviation: a log-normal with the
    shape 1 comes out 0.001 % too long there.
    """
    quantiles = np.linspace(-_FURTHEST, _FURTHEST, _CELLS + 1)
    return np.array([value_at(quantile) for quantile in quantiles.tolist()])


_CELLS: Final = 1024
_FURTHEST: Final = 5.25
"""Just beyond all that :func:`draw_normals` returns."""


def draw_durations(
    words: NDArray[np.uint64],
    mean_ns: int | NDArray[np.int64],
    deviation_ns: int | NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return normal durations, those below 0 made 0, whole ns rounded down: int64[words]."""
    drawn = draw_normals(words)
    drawn *= deviation_ns
    drawn += mean_ns
    return np.maximum(drawn, 0.0, out=drawn).astype(np.int64)
