"""The exemplars of a histogram without fixed buckets: a few measurements of each series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from motel_locust.engine.sums import NO_SPAN, Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.released import Released
    from motel_locust.engine.series import Slots

MOST_SHOWN: Final = 20
"""Of one series and interval, or as many as it may have buckets if these are fewer:
https://opentelemetry.io/docs/specs/otel/metrics/sdk/#exemplar-defaults
"""

# Once some have found their place, hardly any of the others need one.
_TOGETHER: Final = 1_024


class Reservoir(Examples):
    """For each slot the measurements on the *width* spans with the least ids, since :meth:`clear`.

    They stand in the slot's cells, ascending by id. Any other measurement would have been as
    likely, as in the SDK's ``SimpleFixedSizeExemplarReservoir``.
    """

    def offer(self, cell: Slots, steps: NDArray[np.int64] | None, spans: Released) -> None:
        """Consider the measurements on *spans* of the slots *cell*; *steps* is None for ones."""
        last = self.span_id[self.width - 1 :: self.width]
        rows = (spans.span_id < last[cell]).nonzero()[0]
        while rows.size:
            some, rows = rows[:_TOGETHER], rows[_TOGETHER:]
            slot = np.full(some.size, cell) if isinstance(cell, int) else cell[some]
            cells, place = self._make_room(slot, spans.span_id[some])
            admitted = some[place]
            self.span_id[cells] = spans.span_id[admitted]
            self.time_ns[cells] = spans.end_ns[admitted]
            self.steps[cells] = 1 if steps is None else steps[admitted]
            self.trace_id[cells] = spans.trace_ids(admitted)
            rows = rows[spans.span_id[rows] < last[cell if isinstance(cell, int) else cell[rows]]]

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Let *into* consider the examples of *slots*; these have none then."""
        given = self._cells(slots)
        given = given[self.span_id[given] != NO_SPAN]
        cells, place = self._make_room(np.full(given.size, into), self.span_id[given])
        for column in self._columns():
            column[cells] = column[given[place]]
        self.span_id[given] = NO_SPAN

    def _make_room(
        self, slot: NDArray[np.int64], span_id: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keep of each slot only what is among the least together with *span_id*.

        Return the cells that are free then, and which of *span_id* belong there.
        """
        cells = self._cells(np.unique(slot))
        owner = np.concatenate((cells // self.width, slot))
        order = np.lexsort((np.concatenate((self.span_id[cells], span_id)), owner))
        # Every slot has as many entries as it has cells, or more.
        begins = owner[order].searchsorted(owner[: cells.size : self.width])
        least = order[(begins[:, np.newaxis] + np.arange(self.width)).ravel()]
        new = least >= cells.size
        kept = cells[least[~new]]
        for column in self._columns():
            column[cells[~new]] = column[kept]
        return cells[new], least[new] - cells.size

    def _cells(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return all cells of *slots*."""
        return (slots[:, np.newaxis] * self.width + np.arange(self.width)).ravel()

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.span_id, self.time_ns, self.steps, self.trace_id
