"""Attributes as they come in: how many values, which, and of what sort."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Value: TypeAlias = str | bool | int | float

CARDINALITY_MAX: Final = 20
"""An attribute with no more values becomes a choice between them."""
TEXTS_LOOKED_AT: Final = 1000
"""So many texts beyond these tell whether the others only count on."""

_NUMBER: Final = re.compile(r"\d+")


@dataclass(slots=True)
class Spread:
    """What is left of an attribute that has too many values to keep."""

    numbers: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    """The sum of the squared deviations from the mean."""
    whole: bool = True
    texts: int = 0
    patterns: set[str] = field(default_factory=set)
    """Texts with their last number replaced by ``{n}``; two of them are already too many."""

    def add(self, value: Value, count: int = 1) -> None:
        """Take in *count* times *value*."""
        if isinstance(value, str):
            self.texts += count
            if self.texts <= TEXTS_LOOKED_AT and len(self.patterns) < 2:
                self.patterns.add(_pattern(value))
            return
        self.whole = self.whole and not isinstance(value, float)
        self.numbers += count
        self.low, self.high = min(self.low, value), max(self.high, value)
        # Welford's update, for a value that comes count times.
        away = value - self.mean
        self.mean += away * count / self.numbers
        self.squares += away * (value - self.mean) * count

    @property
    def deviation(self) -> float:
        """The standard deviation of the numbers."""
        return math.sqrt(self.squares / (self.numbers - 1)) if self.numbers > 1 else 0.0


def _pattern(text: str) -> str:
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    return f"{text[: numbers[-1].start()]}{{n}}{text[numbers[-1].end() :]}"


class Tally:
    """The values of one attribute of one operation."""

    __slots__ = ("counts", "present", "spread")

    def __init__(self) -> None:
        self.counts: dict[tuple[type, Value], int] = {}
        """By type as well: True, 1 and 1.0 are equal keys in Python."""
        self.present = 0
        self.spread: Spread | None = None

    def add(self, value: Value, most: int) -> None:
        """Count *value*; beyond *most* different values only their spread is kept."""
        self.present += 1
        if self.spread is not None:
            self.spread.add(value)
            return
        key = (value.__class__, value)
        if key in self.counts:
            self.counts[key] += 1
        elif len(self.counts) < most:
            self.counts[key] = 1
        else:
            self.spread = Spread()
            for (_, earlier), count in self.counts.items():
                self.spread.add(earlier, count)
            self.spread.add(value)
            self.counts.clear()

    @property
    def constant(self) -> Value | None:
        """The only value that came, None if there were several."""
        if self.spread is None and len(self.counts) == 1:
            ((_, value),) = self.counts
            return value
        return None


class Tallies:
    """The attributes of one operation, or of one service's resources.

    *most* is how many different values of one are kept; with 0 nothing is counted.
    """

    __slots__ = ("_most", "by_key", "ignored", "owners")

    def __init__(self, most: int, left_out: frozenset[str]) -> None:
        self._most = most
        self.ignored = set(left_out)
        """Keys whose values need not even be read: those left out, and, where only constants are
        looked for, those that vary."""
        self.owners = 0
        self.by_key: dict[str, Tally] = {}

    def add(self, attributes: Iterable[tuple[str, Value | None]]) -> None:
        """Count what one span (or resource) has; None is a value that no topology can make."""
        self.owners += 1
        if not self._most:
            return
        for key, value in attributes:
            if value is None or key in self.ignored:
                continue
            tally = self.by_key.get(key)
            if tally is None:
                tally = self.by_key[key] = Tally()
            tally.add(value, self._most)
            if self._most == 1 and tally.spread is not None:
                self.ignored.add(key)

    def constants(self) -> dict[str, Value]:
        """Return what all owners have alike."""
        return {
            key: value
            for key, tally in self.by_key.items()
            if tally.present == self.owners and (value := tally.constant) is not None
        }


def printed(value: Value) -> str:
    """Return *value* as the text that a topology gives for it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
