"""What an exponential histogram counts: measurements in buckets that grow with their values.

Each slot has a scale of its own, the finest one at which all its measurements fit into so many
buckets of either sign. That is a matter of the least and the greatest of them alone, so neither
their order nor batches leave a trace. Shape words as in :mod:`~motel_locust.engine.sums`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import octaves
from motel_locust.engine.octaves import FINEST
from motel_locust.engine.points import Stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.series import Slots

_LARGEST: Final = sys.float_info.max

# Where the buckets of a slot without measurements begin: far beyond all indexes, at any scale.
_NOWHERE: Final = 1 << 62


class ExponentialCounts:
    """How many measurements of each slot are zero, and how many lie in which bucket.

    Args:
        slots: how many there are.
        max_size: the most buckets that a slot has of either sign, at least 2.
        max_scale: the finest scale of a slot.
    """

    def __init__(self, slots: int, *, max_size: int, max_scale: int) -> None:
        self._slots, self._size, self._finest = slots, max_size, FINEST - max_scale
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        # By how many bits the indexes of the finest scale are shifted: a scale, read backwards.
        self._shift = np.full(self._slots, self._finest)
        self._zeros = np.zeros(self._slots, np.int64)
        self._positive = _Windows(self._slots, self._size)
        self._negative = _Windows(self._slots, self._size)

    def add(self, slot: Slots, values: NDArray[np.float64]) -> None:
        """Count *values*, float64[rows], at least one; infinite ones as the largest there are."""
        least, greatest = values.min(), values.max()
        if max(-least, greatest) > _LARGEST:
            values = np.clip(values, -_LARGEST, _LARGEST)
        if least > 0:
            self._count(self._positive, slot, values)
            return
        for windows, sizes in ((self._positive, values), (self._negative, -values)):
            rows = (sizes > 0).nonzero()[0]
            if rows.size:
                self._count(windows, _some(slot, rows), sizes[rows])
        zeros = (values == 0).nonzero()[0]
        if isinstance(slot, int):
            self._zeros[slot] += zeros.size
        else:
            np.add.at(self._zeros, slot[zeros], 1)

    def scales(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the scale of each of *slots*, 0 where all is zero: int64[slots]."""
        empty = self._positive.empty(slots) & self._negative.empty(slots)
        return np.where(empty, 0, FINEST - self._shift[slots])

    def zeros(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many measurements of each of *slots* are zero: int64[slots]."""
        zeros: NDArray[np.int64] = self._zeros[slots]
        return zeros

    def positive(self, slots: NDArray[np.int64]) -> Stretches:
        """Return the buckets of each of *slots* for what is above zero."""
        return self._positive.stretches(slots)

    def negative(self, slots: NDArray[np.int64]) -> Stretches:
        """Return the buckets of each of *slots* for what is below zero, by its size."""
        return self._negative.stretches(slots)

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Add what was counted at *slots* to *into*; nothing was counted there then."""
        self._zeros[into] += self._zeros[slots].sum()
        self._zeros[slots] = 0
        one = np.array([into])
        coarser = np.maximum(self._shift[slots].max() - self._shift[one], 0)
        self._coarsen(one, coarser)
        for windows in (self._positive, self._negative):
            owner, index, count = windows.counted(slots)
            if owner.size:
                index <<= self._shift[owner]
                self._make_room(windows, one, index.min(keepdims=True), index.max(keepdims=True))
                place = (index >> self._shift[into]) - windows.first[into]
                np.add.at(windows.count[into], place, count)
            windows.count[slots] = 0
            windows.first[slots] = _NOWHERE
        self._shift[slots] = self._finest

    def _count(self, windows: _Windows, slot: Slots, sizes: NDArray[np.float64]) -> None:
        """Count *sizes*, float64[rows], all above 0, in *windows* of *slot*."""
        index = octaves.indexes(sizes)
        place = (index >> self._shift[slot]) - windows.first[slot]
        # Without a sign, what lies before a window is large too.
        if (place.view(np.uint64) >= self._size).any():
            # Of all rows: what lies within a window now may not when it has moved.
            self._make_room(windows, *_reach(slot, index))
            place = (index >> self._shift[slot]) - windows.first[slot]
        windows.add(slot, place)

    def _make_room(
        self,
        windows: _Windows,
        slots: NDArray[np.int64],
        low: NDArray[np.int64],
        high: NDArray[np.int64],
    ) -> None:
        """Let *windows* of *slots* reach from *low* to *high*, int64[slots], of the finest scale.

        What they hold already stays within them.
        """
        begin, end = windows.ends(slots)
        shift = self._shift[slots]
        begin, end = np.minimum(begin, low >> shift), np.maximum(end, high >> shift)
        coarser = np.zeros(slots.size, np.int64)
        while (wide := end - begin >= self._size).any():
            begin, end, coarser = begin >> wide, end >> wide, coarser + wide
        self._coarsen(slots, coarser)
        # In the middle, so that there is room for a little more on either side.
        windows.move(slots, begin - (self._size - 1 - (end - begin)) // 2)

    def _coarsen(self, slots: NDArray[np.int64], coarser: NDArray[np.int64]) -> None:
        """Lower the scales of *slots* by *coarser*, int64[slots], none below 0."""
        changed = coarser.nonzero()[0]
        if changed.size:
            slots, coarser = slots[changed], coarser[changed]
            self._shift[slots] += coarser
            for windows in (self._positive, self._negative):
                windows.merge(slots, coarser)


class _Windows:
    """The buckets of one sign: so many consecutive ones of each slot, empty ones among them.

    first   int64[slots]         the index of the first one, at the slot's scale
    count   int64[slots, size]
    """

    def __init__(self, slots: int, size: int) -> None:
        self.first = np.full(slots, _NOWHERE)
        # What is never written to takes no memory.
        self.count = np.zeros((slots, size), np.int64)

    def add(self, slot: Slots, place: NDArray[np.int64]) -> None:
        """Count measurements in buckets at *place*, int64[rows], of the windows of *slot*."""
        size = self.count.shape[1]
        if isinstance(slot, int):
            self.count[slot] += np.bincount(place, minlength=size)
        else:
            np.add.at(self.count.reshape(-1), slot * size + place, 1)

    def empty(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of *slots* have no measurements: bool[slots]."""
        return self.first[slots] >= _NOWHERE >> FINEST - octaves.COARSEST

    def ends(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first and the last index that was counted of each of *slots*.

        Both int64[slots]; where nothing was, the first is beyond all and the last before all.
        """
        counted = self.count[slots] > 0
        size = counted.shape[1]
        begin = self.first[slots] + counted.argmax(axis=1)
        end = self.first[slots] + size - 1 - counted[:, ::-1].argmax(axis=1)
        return begin, np.where(self.empty(slots), -_NOWHERE, end)

    def counted(
        self, slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return all buckets of *slots* that are not empty: slot, index and count."""
        count = self.count[slots]
        row, place = count.nonzero()
        owner = slots[row]
        return owner, self.first[owner] + place, count[row, place]

    def merge(self, slots: NDArray[np.int64], coarser: NDArray[np.int64]) -> None:
        """Make one bucket of each 2, 4, 8, ... of *slots*: as they are at so much lower scales."""
        self._lay(slots, self.first[slots] >> coarser, coarser)

    def move(self, slots: NDArray[np.int64], first: NDArray[np.int64]) -> None:
        """Let the windows of *slots* begin at *first*, int64[slots]; all that they hold fits in."""
        self._lay(slots, first, np.zeros(slots.size, np.int64))

    def stretches(self, slots: NDArray[np.int64]) -> Stretches:
        """Return the buckets of each of *slots*, from the first that is not empty to the last."""
        rows = (~self.empty(slots)).nonzero()[0]
        some = slots[rows]
        begin, end = self.ends(some)
        index = self.first[some][:, np.newaxis] + np.arange(self.count.shape[1])
        within = (index >= begin[:, np.newaxis]) & (index <= end[:, np.newaxis])
        first, length = np.zeros((2, slots.size), np.int64)
        first[rows], length[rows] = begin, end - begin + 1
        return Stretches(first, self.count[some][within], np.concatenate(([0], length.cumsum())))

    def _lay(
        self, slots: NDArray[np.int64], first: NDArray[np.int64], coarser: NDArray[np.int64]
    ) -> None:
        count = self.count[slots]
        row, place = count.nonzero()
        index = self.first[slots][row] + place >> coarser[row]
        self.count[slots] = 0
        np.add.at(self.count, (slots[row], index - first[row]), count[row, place])
        self.first[slots] = first


def _some(slot: Slots, rows: NDArray[np.int64]) -> Slots:
    return slot if isinstance(slot, int) else slot[rows]


def _reach(
    slot: Slots, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the slots that occur, and the least and the greatest *index* of each."""
    if isinstance(slot, int):
        return np.array([slot]), index.min(keepdims=True), index.max(keepdims=True)
    slots, which = np.unique(slot, return_inverse=True)
    low, high = np.full(slots.size, index.max()), np.full(slots.size, index.min())
    np.minimum.at(low, which, index)
    np.maximum.at(high, which, index)
    return slots, low, high
