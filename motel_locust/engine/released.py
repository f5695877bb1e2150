"""Spans as metrics see them: those of one operation, whatever their shapes and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine.spans import order_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch, Columns


@dataclass(frozen=True, slots=True, eq=False)
class TraceIds:
    """Where the trace ids of successive rows are: those before row ``stop`` have these.

    trace      int64[rows]    index of each one's trace
    trace_id   V16[traces]
    """

    stop: int
    trace: NDArray[np.int64]
    trace_id: NDArray[np.void]


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """Spans of one operation that have left.

    start_ns, end_ns   int64[rows]   Unix time
    failed             bool[rows]
    span_id            uint64[rows]
    number             int64[rows]   what numbered texts carry; None where none does
    resource           int64[rows]   which of the service's; None where it has one
    sources            the trace ids, of some rows after the other: looking up the few that are
                       wanted costs less than gathering all
    """

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]
    span_id: NDArray[np.uint64]
    number: NDArray[np.int64] | None
    resource: NDArray[np.int64] | None
    sources: tuple[TraceIds, ...]

    @classmethod
    def of(cls, batch: Batch, columns: Columns, rows: slice) -> Released:
        """Return *rows* of *columns* of *batch*: views."""
        trace = columns.trace[rows]
        return cls(
            columns.start_ns[rows],
            columns.end_ns[rows],
            columns.failed[rows],
            columns.span_id[rows],
            None if columns.number is None else columns.number[rows],
            None if columns.resource is None else columns.resource[rows],
            (TraceIds(trace.size, trace, batch.trace_id),),
        )

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.span_id.size

    def some(self, rows: NDArray[np.int64]) -> Released:
        """Return those at *rows*: copies."""
        trace_id = self.trace_ids(rows)
        return Released(
            self.start_ns[rows],
            self.end_ns[rows],
            self.failed[rows],
            self.span_id[rows],
            None if self.number is None else self.number[rows],
            None if self.resource is None else self.resource[rows],
            (TraceIds(rows.size, np.arange(rows.size), trace_id),),
        )

    def by_resource(self) -> Iterator[tuple[int | None, Released]]:
        """Yield those of each resource, with it: all of them views of one copy."""
        if self.resource is None:
            yield None, self
            return
        order = order_of(self.resource - self.resource.min())
        resource = self.resource[order]
        start_ns, end_ns = self.start_ns[order], self.end_ns[order]
        failed, span_id = self.failed[order], self.span_id[order]
        number = None if self.number is None else self.number[order]
        starts = np.flatnonzero(np.diff(resource, prepend=-1))
        stops = [*starts[1:].tolist(), order.size]
        for which, start, stop in zip(
            resource[starts].tolist(), starts.tolist(), stops, strict=True
        ):
            rows = slice(start, stop)
            yield (
                which,
                Picked(
                    start_ns[rows],
                    end_ns[rows],
                    failed[rows],
                    span_id[rows],
                    None if number is None else number[rows],
                    None,
                    (),
                    whole=self,
                    places=order[rows],
                ),
            )

    def trace_ids(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Return the trace ids at *rows*: V16[rows]."""
        found = np.empty(rows.size, "V16")
        stops = [source.stop for source in self.sources]
        which = np.searchsorted(stops, rows, "right")
        for index in np.unique(which).tolist():
            source, these = self.sources[index], (which == index).nonzero()[0]
            start = stops[index - 1] if index else 0
            found[these] = source.trace_id[source.trace[rows[these] - start]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Picked(Released):
    """Spans picked out of others, which know the trace ids.

    places   int64[rows]   where they are in ``whole``
    """

    whole: Released
    places: NDArray[np.int64]

    def trace_ids(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Return the trace ids at *rows*: V16[rows]."""
        return self.whole.trace_ids(self.places[rows])


def join(parts: Sequence[Released]) -> Released:
    """Return *parts*, at least one, as one."""
    if len(parts) == 1:
        return parts[0]
    sources, stop = [], 0
    for part in parts:
        sources += [TraceIds(stop + each.stop, each.trace, each.trace_id) for each in part.sources]
        stop += part.rows
    numbers = [part.number for part in parts if part.number is not None]
    resources = [part.resource for part in parts if part.resource is not None]
    return Released(
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.end_ns for part in parts]),
        np.concatenate([part.failed for part in parts]),
        np.concatenate([part.span_id for part in parts]),
        np.concatenate(numbers) if numbers else None,
        np.concatenate(resources) if resources else None,
        tuple(sources),
    )
