"""The series of an instrument: one for each set of attributes, known by its *slot*.

Slots are indexes into an instrument's sums. Where few sets are possible each has its slot from the
beginning. Else slots are given out as sets occur, as long as there are some; the measurements of
all other sets share one series, which says so, as OpenTelemetry's SDKs have it
(https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits).
"""

from __future__ import annotations

import math
from math import prod
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np

from motel_locust.engine import spelling
from motel_locust.engine.columns import Choice, Double, Integer, Numbered, Spelled
from motel_locust.engine.points import AttributeSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Attribute, Value, ValueColumn
    from motel_locust.engine.values import Drawing

Slots: TypeAlias = "int | NDArray[np.int64]"
"""The slot of each measurement: one number where all agree, else int64[rows]."""
Fold: TypeAlias = "Callable[[NDArray[np.int64]], None]"
Base: TypeAlias = "tuple[tuple[str, Value], ...]"

MOST_SERIES: Final = 2_000
"""Of one instrument on one process, the default of OpenTelemetry's SDKs."""
OVERFLOW: Final = 0


class Series(Protocol):
    """The series of one instrument.

    ``size`` is one more than the greatest slot; ``overflows`` tells whether ``OVERFLOW`` is a slot
    for the series that have none of their own.
    """

    size: int
    overflows: bool

    def slots(
        self, base: int, span_id: NDArray[np.uint64], number: NDArray[np.int64] | None, fold: Fold
    ) -> Slots:
        """Return the slot of each measurement.

        Args:
            base: which of the fixed attributes they have.
            span_id: what their other attributes are drawn from: uint64[rows].
            number: what numbered texts carry; only they need it: int64[rows].
            fold: told of the slots, int64[slots], whose series others take the place of. What was
                measured there belongs to ``OVERFLOW`` from then on.
        """

    def in_order(self) -> NDArray[np.int64]:
        """Return all slots in an order that does not depend on batches: int64[slots]."""

    def attributes(self, slot: int) -> AttributeSet:
        """Return the attributes of the series at *slot*, which was measured."""

    def keep(self) -> None:
        """Let what was measured have its slot for good."""

    def forget(self) -> None:
        """Begin anew."""


def possible(bases: Sequence[Base], drawing: Drawing) -> float:
    """Return how many series there can be with one of *bases* and what is drawn by *drawing*."""
    return len(bases) * prod(map(_options, drawing.attributes))


def _options(attribute: Attribute) -> float:
    """Return how many values *attribute* can have."""
    match attribute:
        case Choice(_, options):
            return len(options)
        case Integer(_, low, high):
            return high - low + 1
        case Spelled(_, _, distinct):
            return distinct
        case _:
            return math.inf


class Enumerated:
    """Few series, each with a slot from the beginning: base and values, read as digits.

    Args:
        bases: the fixed attributes that its measurements have, one set or another.
        drawing: the attributes that are drawn for each measurement.
    """

    overflows = False

    def __init__(self, bases: Sequence[Base], drawing: Drawing) -> None:
        self._bases, self._drawing = bases, drawing
        self._options = [int(_options(each)) for each in drawing.attributes]
        self.size = len(bases) * prod(self._options)
        self._lows = [each.low if isinstance(each, Integer) else 0 for each in drawing.attributes]
        self._known: dict[int, AttributeSet] = {}

    def slots(
        self,
        base: int,
        span_id: NDArray[np.uint64],
        number: NDArray[np.int64] | None,
        fold: Fold,  # noqa: ARG002 - nothing is ever folded
    ) -> Slots:
        """Return the slot of each measurement."""
        slot: Slots = base
        columns = self._drawing.draw(span_id, number)
        for column, options, low in zip(columns, self._options, self._lows, strict=True):
            assert column is not None, "a constant is no drawn attribute"
            slot = slot * options + (column - low if low else column).astype(np.int64, copy=False)
        return slot

    def in_order(self) -> NDArray[np.int64]:
        """Return all slots."""
        return np.arange(self.size)

    def attributes(self, slot: int) -> AttributeSet:
        """Return the attributes of the series at *slot*."""
        if slot not in self._known:
            rest, digits = slot, []
            for options, low in zip(reversed(self._options), reversed(self._lows), strict=True):
                rest, digit = divmod(rest, options)
                digits.append(digit + low)
            drawn = tuple(
                (each.key, _value(each, digit))
                for each, digit in zip(self._drawing.attributes, reversed(digits), strict=True)
            )
            self._known[slot] = AttributeSet((*self._bases[rest], *drawn))
        return self._known[slot]

    def keep(self) -> None:
        """Do nothing: every series has its slot for good."""

    def forget(self) -> None:
        """Do nothing: the slots stay the same."""


def attribute_set(
    base: Base, attributes: Sequence[Attribute], columns: Sequence[ValueColumn], *, row: int
) -> AttributeSet:
    """Return the fixed attributes *base* and those that *columns* have of *attributes* at *row*."""
    drawn = []
    for attribute, column in zip(attributes, columns, strict=True):
        assert column is not None, "a constant is no drawn attribute"
        drawn.append((attribute.key, _value(attribute, column[row].item())))
    return AttributeSet((*base, *drawn))


def _value(attribute: Attribute, found: float) -> Value:
    """Return the value that *found*, out of a column of *attribute*, stands for."""
    match attribute:
        case Choice(_, options):
            return options[int(found)]
        case Integer():
            return int(found)
        case Double():
            return float(found)
        case Numbered(_, parts):
            return str(int(found)).join(parts)
        case Spelled():
            return spelling.text(attribute, int(found))
    raise AssertionError(f"{attribute} has no column")
