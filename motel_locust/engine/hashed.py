"""Series of which very many are possible: slots for some, by their hashes, and one for the rest.

Which sets get a slot is up to their hashes, not to who comes first, since that depends on how spans
were batched: of those that are new since the last collection, the ones with the least hashes.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.points import AttributeSet
from motel_locust.engine.series import OVERFLOW, attribute_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import ValueColumn
    from motel_locust.engine.series import Base, Fold
    from motel_locust.engine.values import Drawing

# https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute
OVERFLOWING: Final = AttributeSet((("otel.metric.overflow", True),))

_UNLIMITED: Final = int(np.iinfo(np.uint64).max)
# Hashes that agree in the bits of this mask are alike: of 2,000 known ones, 3 in 100 are.
_ALIKE: Final = np.uint64(0xFFFF)


class Hashed:
    """Series of which up to *most* have slots; see :class:`~motel_locust.engine.series.Series`."""

    overflows = True

    def __init__(self, bases: Sequence[Base], drawing: Drawing, most: int) -> None:
        self.size = most + 1
        self._bases, self._drawing = bases, drawing
        words = [draws.key("series", index) for index in range(len(bases))]
        self._base_words = np.array(words, np.uint64)
        self._limit = _UNLIMITED  # hashes from here on are not admitted
        self.forget()

    def slots(
        self,
        base: int,
        span_id: NDArray[np.uint64],
        number: NDArray[np.int64] | None,
        fold: Fold,
    ) -> NDArray[np.int64]:
        """Return the slot of each measurement: int64[rows]."""
        columns = self._drawing.draw(span_id, number)
        words = self._words(base, columns, span_id.size)
        slot = np.full(words.size, OVERFLOW)
        rows = np.arange(words.size)
        if self._limit < _UNLIMITED:
            # What is neither admitted nor like anything known need not be looked up, 75 ns a row.
            rows = ((words < self._limit) | self._alike[words & _ALIKE]).nonzero()[0]
        found, first, which = np.unique(words[rows], return_index=True, return_inverse=True)
        new = ~np.isin(found, self._hash, assume_unique=True)
        if new.any():
            self._admit(base, columns, found[new], rows[first[new]], fold)
        if self._hash.size:
            place = np.minimum(self._hash.searchsorted(found), self._hash.size - 1)
            known = np.where(self._hash[place] == found, self._slot[place], OVERFLOW)
            slot[rows] = known[which]
        return slot

    def in_order(self) -> NDArray[np.int64]:
        """Return the overflow's slot, then those of the others in order of their hashes."""
        return np.append(OVERFLOW, self._slot)

    def attributes(self, slot: int) -> AttributeSet:
        """Return the attributes of the series at *slot*."""
        return OVERFLOWING if slot == OVERFLOW else self._known[slot]

    def keep(self) -> None:
        """Let what was measured have its slot for good."""
        self._new[:] = False
        self._limit = _UNLIMITED if self._hash.size < self.size - 1 else 0

    def forget(self) -> None:
        """Begin anew."""
        self._hash = np.empty(0, np.uint64)  # ascending; the two others go with it
        self._slot = np.empty(0, np.int64)
        self._new = np.empty(0, np.bool_)
        self._free = list(range(self.size - 1, OVERFLOW, -1))
        self._known: dict[int, AttributeSet] = {}
        self._limit = _UNLIMITED
        self._alike = np.zeros(int(_ALIKE) + 1, np.bool_)

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
        if waiting.size > room:
            self._limit = int(waiting[room])
        stays, enters = ~self._new | (self._hash < self._limit), new < self._limit
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
        self._alike[:] = False
        self._alike[self._hash & _ALIKE] = True
