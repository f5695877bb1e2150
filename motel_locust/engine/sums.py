"""What an instrument adds up, series by series and bucket by bucket, in whole numbers.

A *cell* is a bucket of a series, or the whole series where an instrument has no buckets. Shape
words: ``slots`` as in :mod:`~motel_locust.engine.series`; ``rows`` measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.released import Released
    from motel_locust.engine.series import Slots

# A float64 adds up whole numbers exactly below 2**53, so NumPy's weighted count does. Where sums
# could be larger, two halves are added, each of at most 33 bits: room for a million rows.
_EXACT: Final = 1 << 53
_HALF: Final = 31
_LOW: Final = (1 << _HALF) - 1
_LARGEST: Final = np.iinfo(np.int64).max
NO_SPAN: Final = np.iinfo(np.uint64).max


class Totals:
    """An exact sum for each slot, far beyond 64 bits."""

    def __init__(self, slots: int) -> None:
        self._high, self._low = np.zeros(slots, np.int64), np.zeros(slots, np.int64)

    def add(self, slot: Slots, values: NDArray[np.int64], *, least: int, greatest: int) -> None:
        """Add *values*, int64[rows], between *least* and *greatest*, up to a million of them."""
        if max(-least, greatest) * values.size < _EXACT:
            _add_to(self._low, slot, values)
        else:
            _add_to(self._low, slot, values & _LOW)
            _add_to(self._high, slot, values >> _HALF)
        self._carry()

    def values(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sums at *slots*, each rounded once: float64[slots]."""
        high: NDArray[np.float64] = self._high[slots].astype(np.float64)
        values: NDArray[np.float64] = high * (1 << _HALF) + self._low[slots]
        return values

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Add the sums at *slots* to that of *into*; they are zero then."""
        for halves in (self._high, self._low):
            halves[into] += halves[slots].sum()
            halves[slots] = 0
        self._carry()

    def clear(self) -> None:
        """Begin anew."""
        self._high[:] = self._low[:] = 0

    def _carry(self) -> None:
        self._high += self._low >> _HALF
        self._low &= _LOW


def _add_to(sums: NDArray[np.int64], slot: Slots, values: NDArray[np.int64]) -> None:
    """Add to *sums*, int64[slots], up to ``_EXACT`` for each of them."""
    if isinstance(slot, int):
        sums[slot] += values.sum()
    else:
        sums += np.bincount(slot, values, sums.size).astype(np.int64)


class Extremes:
    """The least and the greatest value of each slot."""

    def __init__(self, slots: int) -> None:
        self.least, self.greatest = np.empty(slots, np.int64), np.empty(slots, np.int64)
        self.clear()

    def add(self, slot: Slots, values: NDArray[np.int64], *, least: int, greatest: int) -> None:
        """Take *values* into account, int64[rows], between *least* and *greatest*."""
        if isinstance(slot, int):
            self.least[slot] = min(least, int(self.least[slot]))
            self.greatest[slot] = max(greatest, int(self.greatest[slot]))
            return
        # Soon every slot has seen values so extreme that most others need no look at all.
        if least < self.least.max():
            below = (values < self.least[slot]).nonzero()[0]
            np.minimum.at(self.least, slot[below], values[below])
        if greatest > self.greatest.min():
            above = (values > self.greatest[slot]).nonzero()[0]
            np.maximum.at(self.greatest, slot[above], values[above])

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Let *into* have the extremes of *slots* too; those have none then."""
        self.least[into] = min(self.least[into], self.least[slots].min())
        self.greatest[into] = max(self.greatest[into], self.greatest[slots].max())
        self.least[slots], self.greatest[slots] = _LARGEST, -_LARGEST

    def clear(self) -> None:
        """Begin anew."""
        self.least[:], self.greatest[:] = _LARGEST, -_LARGEST


class Examples:
    """For each cell the measurement on the span with the least id, of those since :meth:`clear`.

    Ids are hashes, so that is as good as any other choice, and does not depend on batches.

    Args:
        slots: how many there are.
        width: the cells of each.
    """

    def __init__(self, slots: int, *, width: int) -> None:
        self.width = width
        cells = slots * width
        self.span_id = np.empty(cells, np.uint64)
        self.time_ns, self.steps = np.zeros(cells, np.int64), np.ones(cells, np.int64)
        self.trace_id = np.zeros(cells, "V16")
        self.clear()

    @property
    def cells(self) -> NDArray[np.int64]:
        """The cells that have an example, ascending: int64[examples]."""
        cells: NDArray[np.int64] = (self.span_id != NO_SPAN).nonzero()[0]
        return cells

    def offer(self, cell: Slots, steps: NDArray[np.int64] | None, spans: Released) -> None:
        """Consider the measurements on *spans*; *steps*, int64[rows], is None for ones."""
        if isinstance(cell, int):
            row = spans.span_id.argmin()
            if spans.span_id[row] >= self.span_id[cell]:
                return
            rows, cells = np.array([row]), np.array([cell])
        else:
            rows = (spans.span_id < self.span_id[cell]).nonzero()[0]
            if not rows.size:
                return
            np.minimum.at(self.span_id, cell[rows], spans.span_id[rows])
            rows = rows[spans.span_id[rows] == self.span_id[cell[rows]]]
            cells = cell[rows]
        self.span_id[cells] = spans.span_id[rows]
        self.time_ns[cells] = spans.end_ns[rows]
        self.trace_id[cells] = spans.trace_ids(rows)
        if steps is not None:
            self.steps[cells] = steps[rows]

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Let the cells of *into* consider the examples of *slots*; these have none then."""
        width = np.arange(self.width)
        ours = into * self.width + width
        for slot in slots.tolist():
            cells = slot * self.width + width
            for column in (self.time_ns, self.steps, self.trace_id, self.span_id):
                better = self.span_id[cells] < self.span_id[ours]
                column[ours[better]] = column[cells[better]]
            self.span_id[cells] = NO_SPAN

    def clear(self) -> None:
        """Begin anew."""
        self.span_id[:] = NO_SPAN
