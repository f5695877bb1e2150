"""From the spans of a walk to a batch: columns in order of release, cut into parts by tick."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine.columns import Batch, Columns, Counts, LinkColumns
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.shapes import CIRCUIT_OPEN, QUEUE_FULL
from motel_locust.engine.spans import order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.draws import TraceIds
    from motel_locust.engine.instances import Instances
    from motel_locust.engine.links import History
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.spans import Spans, Traces, Walked


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
    """How what one engine walks becomes batches.

    ``numbering`` tells, for operations with numbered texts, the most spans a trace can have of
    them; ``epoch_ns`` is the Unix time from which ticks count; with ``realtime`` a span is released
    at its end, else at its trace's arrival. ``instances`` are those of the services that have any,
    by their names.
    """

    ids: TraceIds
    numbering: Mapping[str, int]
    epoch_ns: int
    realtime: bool
    limit: int
    instances: Mapping[str, Instances] = field(default_factory=dict)

    def batch(
        self,
        traces: Traces,
        walk: Walked,
        tick: NDArray[np.int64],
        history: Mapping[str, History],
        pause: Callable[[], object],
    ) -> Batch:
        """Return the spans of *walk*; *tick*, int64[traces], tells in which each trace arrives.

        *pause* is called after every shape.
        """
        plans, columns = [], []
        for plan, spans in walk.spans(by_end=self.realtime):
            plans.append(plan)
            resource = None
            if plan.shape.service in self.instances:
                spans, resource = self._by_resource(plan.shape.service, spans, traces, tick)
            columns.append(self._columns(plan, spans, resource, traces, history))
            pause()
        edges, rows, trace_edges = self._parts(columns, tick)
        return Batch(
            trace_id=self.ids.ids(traces.trace_key),
            arrival_ns=traces.arrival_ns,
            columns=tuple(columns),
            edges_ns=self.epoch_ns + edges * TICK_NS,
            rows=rows,
            counts=_counts(traces, plans, columns, rows, trace_edges, limit=self.limit),
        )

    def _by_resource(
        self, service: str, spans: Spans, traces: Traces, tick: NDArray[np.int64]
    ) -> tuple[Spans, NDArray[np.int64]]:
        """Return *spans* of a *service*, those of one tick by their resources, and which these are.

        The resources are int64[rows].
        """
        assert spans.entered is not None, "whoever has instances knows what they serve"
        arrival_ns = traces.arrival_ns[spans.trace]
        resource = self.instances[service].resources(spans.entered, arrival_ns)
        leaves = tick[spans.trace]
        if self.realtime:
            leaves = (spans.end_ns - self.epoch_ns) // TICK_NS
        key = resource - resource.min()
        key += (leaves - leaves[0]) * (int(key.max()) + 1)
        order = order_of(key)
        return spans.some(order), resource[order]

    def _columns(
        self,
        plan: ShapePlan,
        spans: Spans,
        resource: NDArray[np.int64] | None,
        traces: Traces,
        history: Mapping[str, History],
    ) -> Columns:
        trace, span_id, number = spans.trace, spans.span_id, None
        if spans.ordinal is not None:
            most = self.numbering[f"{plan.shape.service}.{plan.shape.name}"]
            number = traces.number[trace] * most + spans.ordinal + 1
        links = []
        for (ref, drawing), local in zip(plan.links, spans.local, strict=True):
            linked = np.where(local, local, history[ref].span_id[trace])
            chosen = linked.nonzero()[0]
            key = np.where(local, traces.trace_key[trace], history[ref].trace_key[trace])[chosen]
            drawn = drawing.draw(span_id[chosen], None if number is None else number[chosen])
            links.append(LinkColumns(chosen, self.ids.ids(key), linked[chosen], drawn))
        values = iter(plan.drawing.draw(span_id, number))
        own = tuple(islice(values, len(plan.shape.attributes)))
        events = tuple(tuple(islice(values, len(event.attributes))) for event in plan.shape.events)
        return Columns(
            shape=plan.shape,
            trace=trace,
            span_id=span_id,
            parent_id=spans.parent_id,
            start_ns=spans.start_ns,
            end_ns=spans.end_ns,
            failed=spans.failed,
            values=own,
            events=events,
            links=tuple(links),
            number=number,
            resource=resource,
        )

    def _parts(
        self, columns: Sequence[Columns], tick: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the ticks of release, and where they cut the columns' rows and the traces."""
        if not self.realtime:
            first = np.flatnonzero(np.diff(tick, prepend=-1))
            trace_edges = np.append(first, tick.size)
            # Also right where rows of a part are not in order of traces: parts still are.
            rows = [each.trace.searchsorted(trace_edges) for each in columns]
            return tick[first], _matrix(rows, trace_edges.size), trace_edges
        ends = [(each.end_ns - self.epoch_ns) // TICK_NS for each in columns]
        edges = np.unique(np.concatenate((tick, *ends)))
        rows = [np.append(each.searchsorted(edges), each.size) for each in ends]
        trace_edges = np.append(tick.searchsorted(edges), tick.size)
        return edges, _matrix(rows, trace_edges.size), trace_edges


def _matrix(rows: Sequence[NDArray[np.int64]], edges: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(len(rows), edges)


def _counts(
    traces: Traces,
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
    errors = np.zeros(trace_edges.size, np.int64)
    for plan, each, row, released in zip(plans, columns, rows, spans, strict=True):
        # Failures are few, so their places are counted, and not the rows between edges summed up.
        errors += each.failed.nonzero()[0].searchsorted(row)
        if plan.rejection:
            rejected[plan.rejection] = rejected[plan.rejection] + released
    bounded = nothing if traces.spans is None else _between(traces.spans >= limit, trace_edges)
    table = np.stack(
        (
            np.diff(trace_edges),
            spans.sum(axis=0),
            np.diff(errors),
            _between(traces.failed, trace_edges),
            _between(traces.timeouts, trace_edges),
            _between(traces.retries, trace_edges),
            bounded,
            _between(traces.cut, trace_edges),
            rejected[QUEUE_FULL],
            rejected[CIRCUIT_OPEN],
        )
    )
    return tuple(Counts(*part) for part in table.T.tolist())


def _between(counted: NDArray[np.generic], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums of *counted* between neighbouring *edges*: int64[edges - 1]."""
    if edges.size == 2:  # most batches have one part
        # 10x over the sum of 500 booleans.
        return np.array([np.count_nonzero(counted) if counted.dtype == bool else counted.sum()])
    return np.diff(np.concatenate(([0], counted.cumsum()))[edges])
