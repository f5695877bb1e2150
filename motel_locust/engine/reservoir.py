"""The exemplars of a histogram without fixed buckets: a few measurements of each series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from motel_locust.engine.sums import NO_SPAN, Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.released import Released
    from motel_locust.engine.series import Slots

_Columns: TypeAlias = "tuple[NDArray[Any], ...]"
"""Measurements: span id, time, steps and trace id."""

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
            ones = np.ones(some.size, np.int64)
            found = ones if steps is None else steps[some]
            self._take(
                slot, (spans.span_id[some], spans.end_ns[some], found, spans.trace_ids(some))
            )
            rows = rows[spans.span_id[rows] < last[cell if isinstance(cell, int) else cell[rows]]]

    def fold(self, slots: NDArray[np.int64], into: int) -> None:
        """Let *into* consider the examples of *slots*; these have none then."""
        cells = self._cells(slots)
        cells = cells[self.span_id[cells] != NO_SPAN]
        self._take(np.full(cells.size, into), self._at(cells))
        self.span_id[self._cells(slots)] = NO_SPAN

    def _take(self, slot: NDArray[np.int64], measurements: _Columns) -> None:
        """Put *measurements*, each of a *slot*, among those there; of each slot the least stay."""
        cells = self._cells(np.unique(slot))
        owner = np.concatenate((cells // self.width, slot))
        together = [
            np.concatenate(both) for both in zip(self._at(cells), measurements, strict=True)
        ]
        order = np.lexsort((together[0], owner))
        # Every slot has as many of them as it has cells, or more.
        begins = owner[order].searchsorted(owner[: cells.size : self.width])
        stay = order[(begins[:, np.newaxis] + np.arange(self.width)).ravel()]
        for column, found in zip(self._columns(), together, strict=True):
            column[cells] = found[stay]

    def _cells(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return all cells of *slots*."""
        return (slots[:, np.newaxis] * self.width + np.arange(self.width)).ravel()

    def _at(self, cells: NDArray[np.int64]) -> _Columns:
        return tuple(column[cells] for column in self._columns())

    def _columns(self) -> _Columns:
        return self.span_id, self.time_ns, self.steps, self.trace_id
