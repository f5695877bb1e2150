"""Several things to measure, one after the other, round by round.

So what changes from minute to minute meets all of them, and a ratio is one of neighbours.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS = 3

Case = TypeVar("Case")
Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Rounds(Generic[Measured]):
    """What one case came to in each round, and beside it what the first case came to."""

    own: Sequence[Measured]
    first: Sequence[Measured]

    def median(self, figure: Callable[[Measured], float]) -> float:
        """Return the median of the rounds' *figure*."""
        return statistics.median(map(figure, self.own))

    def ratio(self, figure: Callable[[Measured], float]) -> float:
        """Return the *figure* as multiple of the first case's, the median of the rounds' ratios."""
        pairs = zip(self.own, self.first, strict=True)
        return statistics.median(figure(own) / figure(first) for own, first in pairs)


def in_turns(cases: Sequence[Case], measure: Callable[[Case], Measured]) -> list[Rounds[Measured]]:
    """Return the rounds of each of *cases*, which take turns ROUNDS times."""
    played = [[measure(case) for case in cases] for _ in range(ROUNDS)]
    first, *_ = by_case = list(zip(*played, strict=True))
    return [Rounds(own, first) for own in by_case]
