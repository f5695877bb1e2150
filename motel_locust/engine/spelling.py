"""Texts of one length out of many: the n-th text of an attribute, made from its name and n alone.

So the texts of an attribute are the same ones wherever it stands, in spans, records and points, and
in every run: a rule of a pipeline can name them. The last letters tell n, by a permutation of all
numbers that fit into so many letters; the letters before are drawn from that number.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws
from motel_locust.topology.spellings import LETTERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Spelled

_BITS: Final = 5
"""Of one letter."""
_LETTERS: Final = 12
"""Of one word of 64 bits."""
_WORDS_TOGETHER: Final = 1 << 14
"""Words at a time: they stay in the second-level cache."""


def text(attribute: Spelled, n: int) -> str:
    """Return the text number *n*, from 0, of *attribute*."""
    return spell(attribute, np.array([n], np.int64)).tobytes().decode()


def spell(attribute: Spelled, numbers: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the texts *numbers*, int64[rows], of *attribute*: V{length}[rows]."""
    length = attribute.length
    words = -(-length // _LETTERS)
    rows = max(1, _WORDS_TOGETHER // words)
    if numbers.size <= rows:
        return _spell(attribute, numbers, words)
    texts = np.empty(numbers.size, f"V{length}")
    for start in range(0, numbers.size, rows):
        texts[start : start + rows] = _spell(attribute, numbers[start : start + rows], words)
    return texts


def _spell(attribute: Spelled, numbers: NDArray[np.int64], words: int) -> NDArray[np.void]:
    length = attribute.length
    keys = _keys(attribute.key, words)
    drawn = np.empty((numbers.size, words), np.uint64)
    last = permuted(numbers, key=int(keys[0]), bits=_BITS * min(length, _LETTERS))
    if words > 1:
        drawn[:, :-1] = draws.draw_words(last[:, np.newaxis], keys[1:])
    drawn[:, -1] = last
    indexes = drawn.view(np.int64)
    letters = np.empty((numbers.size, words * _LETTERS // 2), np.uint16)
    for place in range(_LETTERS // 2):
        shift = _BITS * (_LETTERS - 2 * (place + 1))
        letters[:, place :: _LETTERS // 2] = _pairs()[indexes >> shift & _PAIR]
    return np.ndarray(
        numbers.size,
        f"V{length}",
        letters,
        words * _LETTERS - length,  # too many letters stand at the beginning
        (letters.strides[0],),
    )


_PAIR: Final = (1 << 2 * _BITS) - 1


@cache
def _pairs() -> NDArray[np.uint16]:
    """Return all pairs of letters: uint16[1024], in the order of their bytes."""
    return np.frombuffer("".join(a + b for a in LETTERS for b in LETTERS).encode(), np.uint16)


@cache
def _keys(key: str, words: int) -> NDArray[np.uint64]:
    first = draws.key("text", key)
    return np.array([draws.nth(first, n) for n in range(words)], np.uint64)


def permuted(numbers: NDArray[np.int64], *, key: int, bits: int) -> NDArray[np.uint64]:
    """Return a permutation of the numbers of up to *bits* bits, one for each *key*: uint64[rows].

    numbers int64[rows], below 2**bits. As in :func:`draws.mix`, shifts and odd factors permute.
    """
    mask, shift = np.uint64((1 << bits) - 1), np.uint64((bits + 1) // 2)
    words = numbers.view(np.uint64) + np.uint64(key) & mask
    for factor in draws.FACTORS:
        words ^= words >> shift
        words = words * factor & mask
    words ^= words >> shift
    return words
