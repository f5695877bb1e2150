"""The series of an instrument: one for each set of attributes, known by its *slot*.

Slots are indexes into an instrument's sums. Where few sets are possible each has its slot from the
beginning. Else slots are given out as sets occur, as long as there are some; the measurements of
all other sets share one series, which says so: ``otel.metric.overflow``, as OpenTelemetry's SDKs
have it (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits). Which sets get a
slot is up to their hashes, not to who comes first, since that depends on how spans were batched.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.columns import Choice, Double, Integer, Numbered
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
OVERFLOWING: Final = AttributeSet((("otel.metric.overflow", True),))


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


def series_of(bases: Sequence[Base], drawing: Drawing, *, most: int) -> Series:
    """Return the series of an instrument.

    Args:
        bases: the fixed attributes that its measurements have, one set or another.
        drawing: the attributes that are drawn for each measurement.
        most: the greatest number of series.
    """
    sizes = [_options(each) for each in drawing.attributes]
    known = [each for each in sizes if each is not None]
    if len(known) == len(sizes) and len(bases) * prod(known) <= most:
        return Enumerated(bases, drawing, known)
    return Hashed(bases, drawing, most)


def _options(attribute: Attribute) -> int | None:
    """Return how many values *attribute* can have, None if very many."""
    match attribute:
        case Choice(_, options):
            return len(options)
        case Integer(_, low, high):
            return high - low + 1
        case _:
            return None


class Enumerated:
    """Few series, each with a slot from the beginning: base and values, read as digits."""

    overflows = False

    def __init__(self, bases: Sequence[Base], drawing: Drawing, options: Sequence[int]) -> None:
        self.size = len(bases) * prod(options)
        self._bases, self._drawing, self._options = bases, drawing, options
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


class Hashed:
    """Many series, of which up to *most* have slots; slot 0 is for all others.

    Of those that are new since :meth:`keep`, the ones with the least hashes have slots.
    """

    overflows = True

    def __init__(self, bases: Sequence[Base], drawing: Drawing, most: int) -> None:
        self.size = most + 1
        self._bases, self._drawing = bases, drawing
        words = [draws.key("series", index) for index in range(len(bases))]
        self._base_words = np.array(words, np.uint64)
        self.forget()

    def slots(
        self,
        base: int,
        span_id: NDArray[np.uint64],
        number: NDArray[np.int64] | None,
        fold: Fold,
    ) -> Slots:
        """Return the slot of each measurement."""
        columns = self._drawing.draw(span_id, number)
        words = self._words(base, columns, span_id.size)
        found, first, which = np.unique(words, return_index=True, return_inverse=True)
        new = ~np.isin(found, self._hash, assume_unique=True)
        if new.any():
            self._admit(base, columns, found[new], first[new], fold)
        if not self._hash.size:
            return OVERFLOW
        place = np.minimum(self._hash.searchsorted(found), self._hash.size - 1)
        slot = np.where(self._hash[place] == found, self._slot[place], OVERFLOW)
        return slot[which]

    def in_order(self) -> NDArray[np.int64]:
        """Return the overflow's slot, then those of the others in order of their hashes."""
        return np.append(OVERFLOW, self._slot)

    def attributes(self, slot: int) -> AttributeSet:
        """Return the attributes of the series at *slot*."""
        return OVERFLOWING if slot == OVERFLOW else self._known[slot]

    def keep(self) -> None:
        """Let what was measured have its slot for good."""
        self._new[:] = False

    def forget(self) -> None:
        """Begin anew."""
        self._hash = np.empty(0, np.uint64)  # ascending; the other columns go with it
        self._slot = np.empty(0, np.int64)
        self._new = np.empty(0, np.bool_)
        self._free = list(range(self.size - 1, OVERFLOW, -1))
        self._known: dict[int, AttributeSet] = {}

    def _words(self, base: int, columns: Sequence[ValueColumn], rows: int) -> NDArray[np.uint64]:
        """Return the hash of each measurement's attributes: uint64[rows]."""
        first = np.full(rows, self._base_words[base], np.uint64)
        parts = [column.view(np.uint64) for column in columns if column is not None]
        return reduce(draws.draw_words, parts, first)

    def _admit(
        self,
        base: int,
        columns: Sequence[ValueColumn],
        new: NDArray[np.uint64],
        first: NDArray[np.int64],
        fold: Fold,
    ) -> None:
        """Give slots to those of the *new* hashes that are among the least ones.

        first int64[new]: a row that has each.
        """
        room = self.size - 1 - int(np.count_nonzero(~self._new))
        waiting = np.sort(np.concatenate((self._hash[self._new], new)))
        # Those from here on have no slot; 0 is the hash of none.
        limit = waiting[room] if waiting.size > room else None
        stays = np.ones(self._hash.size, np.bool_)
        enters = np.ones(new.size, np.bool_)
        if limit is not None:
            stays = ~self._new | (self._hash < limit)
            enters = new < limit
        if not stays.all():
            leaving = self._slot[~stays]
            fold(leaving)
            for slot in leaving.tolist():
                del self._known[slot]
                self._free.append(slot)
        slots = [self._free.pop() for _ in range(int(np.count_nonzero(enters)))]
        for slot, row in zip(slots, first[enters].tolist(), strict=True):
            self._known[slot] = attribute_set(
                self._bases[base], self._drawing.attributes, columns, row=row
            )
        hashes = np.concatenate((self._hash[stays], new[enters]))
        order = hashes.argsort()
        self._hash = hashes[order]
        self._slot = np.concatenate((self._slot[stays], np.array(slots, np.int64)))[order]
        self._new = np.concatenate((self._new[stays], np.ones(len(slots), np.bool_)))[order]


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
    raise AssertionError(f"{attribute} has no column")
