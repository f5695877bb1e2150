"""Zipf's law: ranks of which the k-th has a chance in proportion to k to the power of -skew."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HEAD: Final = 1024
"""So many of the first ranks have their exact chance out of a table."""


@lru_cache(maxsize=256)
def ranking(count: int, skew: float) -> Callable[[NDArray[np.uint64]], NDArray[np.int64]]:
    """Return what makes words into ranks, from 0 to *count* - 1, with Zipf's exponent *skew*."""
    if not skew:
        return partial(draws.draw_integers, low=0, high=count - 1)
    return Zipf(count, skew).draw


class Zipf:
    """Ranks by inversion of their distribution function: a table, and beyond it an integral.

    Beyond the table rank k has the area below x**-skew from k - 1/2 to k + 1/2 for its chance, as
    in Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
    distributions" (1996), without the rejection: by the midpoint rule the area is too large by
    skew * (skew + 1) / (24 * k**2) of itself, 1 in 10**7 at most for a skew of 1.
    """

    def __init__(self, count: int, skew: float) -> None:
        self._count, self._exponent = count, 1 - skew
        self._head = min(count, HEAD)
        weights = [k**-skew for k in range(1, self._head + 1)]
        if count > self._head:
            # In units of the first rank's end, so that steep ones do not cancel each other out.
            self._begin, end = self._head + 0.5, count + 0.5
            self._area = self._integral(end / self._begin)
            weights.append(self._begin**self._exponent * self._area)
        self._at = draws.bounds(weights)

    def draw(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the rank of each of *words*, from 0: int64[words]."""
        rank = draws.draw_choices(words, self._at)
        if self._count == self._head:
            return rank
        beyond = (rank == self._head).nonzero()[0]
        if beyond.size:
            first = self._at[-1]
            share = (words[beyond] - first) / float(draws.WORDS - int(first))
            place = self._begin * self._inverse(share * self._area)
            # Rank k reaches from k - 1/2 to k + 1/2 and is counted from 0.
            rank[beyond] = np.clip(np.rint(place), self._head + 1, self._count) - 1
        return rank

    def _integral(self, x: float) -> float:
        """Return the integral of x**-skew from 1 to *x*."""
        if not self._exponent:
            return math.log(x)
        return math.expm1(self._exponent * math.log(x)) / self._exponent

    def _inverse(self, area: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return up to where the integral is *area*."""
        x: NDArray[np.float64]
        if self._exponent:
            x = np.exp(np.log1p(area * self._exponent) / self._exponent)
        else:
            x = np.exp(area)
        return x
