"""From the visits of a walk to a batch: columns in order of release, cut into parts by tick."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from motel_locust.engine.columns import Batch, Columns, Counts, LinkColumns
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.shapes import CIRCUIT_OPEN, QUEUE_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.draws import TraceIds
    from motel_locust.engine.links import History
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.walk import Visit, Walk


NOTHING: Final = Batch(
    trace_id=np.empty(0, "V16"),
    arrival_ns=np.empty(0, np.int64),
    columns=(),
    edges_ns=np.empty(0, np.int64),
    rows=np.empty((0, 1), np.int64),
    counts=(),
)
"""What a stretch of time without arrivals comes to."""


@dataclass(frozen=True, slots=True, eq=False)
class Assembly:
    """How the visits of one engine become batches.

    ``numbering`` tells, for operations with numbered texts, the most spans a trace can have of
    them; ``epoch_ns`` is the Unix time from which ticks count; with ``realtime`` a span is released
    at its end, else at its trace's arrival.
    """

    ids: TraceIds
    numbering: Mapping[str, int]
    epoch_ns: int
    realtime: bool
    limit: int

    def batch(
        self,
        walk: Walk,
        tick: NDArray[np.int64],
        history: Mapping[str, History],
        pause: Callable[[], object],
    ) -> Batch:
        """Return the spans of *walk*; *tick*, int64[traces], tells in which each trace arrives.

        *pause* is called after every shape.
        """
        traces = np.arange(walk.number.size)
        plans = list(walk.visits)
        columns = []
        for plan in plans:
            columns.append(self._columns(plan, walk.visits[plan], walk, traces, history))
            pause()
        edges, rows, trace_edges = self._parts(columns, tick)
        return Batch(
            trace_id=self.ids.ids(walk.trace_key),
            arrival_ns=walk.arrival_ns,
            columns=tuple(columns),
            edges_ns=self.epoch_ns + edges * TICK_NS,
            rows=rows,
            counts=_counts(walk, plans, columns, rows, trace_edges, limit=self.limit),
        )

    def _columns(
        self,
        plan: ShapePlan,
        visits: Sequence[Visit],
        walk: Walk,
        traces: NDArray[np.int64],
        history: Mapping[str, History],
    ) -> Columns:
        trace = _join([traces[visit.requests.rows] for visit in visits])
        end = _join([visit.outcome.end_ns for visit in visits])
        order = self._order(trace, end, visits=len(visits))
        trace = trace[order]
        span_id = _join([visit.span_id for visit in visits])[order]
        parents = [each for visit in visits if (each := visit.requests.parent_id) is not None]
        number = None
        if plan.numbered:
            ordinal = np.repeat(
                [visit.site.ordinal for visit in visits], [visit.span_id.size for visit in visits]
            )
            most = self.numbering[visits[0].site.operation.ref]
            number = walk.number[trace] * most + ordinal[order] + 1
        links = []
        for index, (ref, drawing) in enumerate(plan.links):
            local = _join([visit.local[index] for visit in visits])[order]
            linked = np.where(local, local, history[ref].span_id[trace])
            chosen = linked.nonzero()[0]
            key = np.where(local, walk.trace_key[trace], history[ref].trace_key[trace])[chosen]
            drawn = drawing.draw(span_id[chosen], None if number is None else number[chosen])
            links.append(LinkColumns(chosen, self.ids.ids(key), linked[chosen], drawn))
        values = iter(plan.drawing.draw(span_id, number))
        own = tuple(islice(values, len(plan.shape.attributes)))
        events = tuple(tuple(islice(values, len(event.attributes))) for event in plan.shape.events)
        return Columns(
            shape=plan.shape,
            trace=trace,
            span_id=span_id,
            parent_id=_join(parents)[order] if parents else None,
            start_ns=_join([visit.requests.start_ns for visit in visits])[order],
            end_ns=end[order],
            failed=_join([visit.outcome.failed for visit in visits])[order],
            values=own,
            events=events,
            links=tuple(links),
        )

    def _order(
        self, trace: NDArray[np.int64], end: NDArray[np.int64], *, visits: int
    ) -> NDArray[np.int64] | slice:
        if self.realtime:
            return end.argsort(kind="stable")
        if visits == 1:
            return slice(None)
        # NumPy sorts 16 bits by radix: 3 ns a row instead of 20.
        small = trace.astype(np.uint16) if trace.size and trace.max() < 1 << 16 else trace
        return small.argsort(kind="stable")

    def _parts(
        self, columns: Sequence[Columns], tick: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the ticks of release, and where they cut the columns' rows and the traces."""
        if not self.realtime:
            first = np.flatnonzero(np.diff(tick, prepend=-1))
            trace_edges = np.append(first, tick.size)
            rows = [each.trace.searchsorted(trace_edges) for each in columns]
            return tick[first], _matrix(rows, trace_edges.size), trace_edges
        ends = [(each.end_ns - self.epoch_ns) // TICK_NS for each in columns]
        edges = np.unique(np.concatenate((tick, *ends)))
        rows = [np.append(each.searchsorted(edges), each.size) for each in ends]
        trace_edges = np.append(tick.searchsorted(edges), tick.size)
        return edges, _matrix(rows, trace_edges.size), trace_edges


Item = TypeVar("Item", bound=np.generic)


def _matrix(rows: Sequence[NDArray[np.int64]], edges: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(len(rows), edges)


def _join(parts: Sequence[NDArray[Item]]) -> NDArray[Item]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _counts(
    walk: Walk,
    plans: Sequence[ShapePlan],
    columns: Sequence[Columns],
    rows: NDArray[np.int64],
    trace_edges: NDArray[np.int64],
    *,
    limit: int,
) -> tuple[Counts, ...]:
    """Return the counters of each part: of spans by their release, of traces by their arrival."""
    spans = np.diff(rows, axis=1)
    nothing = np.zeros(trace_edges.size - 1, np.int64)
    rejected = {CIRCUIT_OPEN: nothing, QUEUE_FULL: nothing}
    errors = nothing
    for plan, each, row, released in zip(plans, columns, rows, spans, strict=True):
        errors = errors + _between(each.failed, row)
        if plan.rejection:
            rejected[plan.rejection] = rejected[plan.rejection] + released
    bounded = nothing if walk.spans is None else _between(walk.spans >= limit, trace_edges)
    table = np.stack(
        (
            np.diff(trace_edges),
            spans.sum(axis=0),
            errors,
            _between(walk.failed, trace_edges),
            _between(walk.timeouts, trace_edges),
            _between(walk.retries, trace_edges),
            bounded,
            _between(walk.cut, trace_edges),
            rejected[QUEUE_FULL],
            rejected[CIRCUIT_OPEN],
        )
    )
    return tuple(Counts(*part) for part in table.T.tolist())


def _between(counted: NDArray[np.generic], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums of *counted* between neighbouring *edges*: int64[edges - 1]."""
    if edges.size == 2:  # most batches have one part
        return np.array([counted.sum()])
    return np.diff(np.concatenate(([0], counted.cumsum()))[edges])
