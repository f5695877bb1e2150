"""Runs of an engine whose metrics are recorded, in simulated time and in any steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from motel_locust.engine import scenarios
from motel_locust.engine.engine import Engine
from motel_locust.engine.metrics import Metrics
from motel_locust.engine.points import Buckets, ExponentialBuckets
from tests.engine.topologies import topology
from tests.oracles.metrics import MeasuredSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.points import MetricPoints, PointColumns
    from motel_locust.topology.model import Topology

SECOND_NS = 1_000_000_000
TICK_NS = 10_000_000
EPOCH_NS = 1_700_000_000 * SECOND_NS
SEED = 7


@dataclass
class Recorded:
    """What was released, and collected: instants since the epoch, and their points."""

    metrics: Metrics
    spans: list[MeasuredSpan] = field(default_factory=list)
    collections: list[tuple[int, MetricPoints]] = field(default_factory=list)

    @property
    def last(self) -> MetricPoints:
        return self.collections[-1][1]


def record(
    topology: Topology,
    *,
    until_ns: int,
    steps_ns: Sequence[int] = (SECOND_NS,),
    interval_ns: int = 100_000_000,
    parts: int = 1_000,
    users: int = 1,
    realtime: bool = False,
    offset_ns: int = 0,
    **options: Any,
) -> Recorded:
    """Run to *until_ns* and collect on the interval, and finally.

    Batches end after the *steps_ns*, again and again; of each, so many *parts* are recorded at a
    time.
    """
    engine = Engine(
        topology,
        seed=SEED,
        epoch_ns=EPOCH_NS,
        time_offset_ns=offset_ns,
        realtime=realtime,
        max_spans_per_trace=60,
    )
    for user in range(users):
        engine.join(user, 0)
    metrics = Metrics(
        topology,
        seed=SEED,
        epoch_ns=EPOCH_NS,
        time_offset_ns=offset_ns,
        interval_ns=interval_ns,
        realtime=realtime,
        **options,
    )
    found, waiting = Recorded(metrics), _Waiting(EPOCH_NS)
    step, following_ns = 0, _following(0, interval_ns)
    while engine.walked_ns < until_ns:
        start_ns = engine.walked_ns
        upto_ns = min(start_ns + steps_ns[step % len(steps_ns)], until_ns)
        batch = engine.walk(upto_ns)
        step += 1
        waiting.add(batch, scenarios.active(topology, start_ns))
        while following_ns <= min(engine.walked_ns, until_ns - TICK_NS):
            waiting.release(found, before_ns=following_ns, parts=parts)
            found.collections.append((following_ns, metrics.collect(following_ns)))
            following_ns = _following(following_ns, interval_ns)
    waiting.release(found, before_ns=2**62, parts=parts)
    found.collections.append((until_ns, metrics.collect(until_ns, final=True)))
    return found


def _following(at_ns: int, interval_ns: int) -> int:
    """The first tick from the next multiple of the interval on."""
    return -(-(at_ns // interval_ns + 1) * interval_ns // TICK_NS) * TICK_NS


class _Waiting:
    """Batches on their way out."""

    def __init__(self, epoch_ns: int) -> None:
        self._epoch_ns = epoch_ns
        self._batches: list[tuple[Batch, tuple[int, ...], int]] = []

    def add(self, batch: Batch, active: tuple[int, ...]) -> None:
        self._batches.append((batch, active, 0))

    def release(self, found: Recorded, *, before_ns: int, parts: int) -> None:
        """Record what leaves in ticks before *before_ns* since the epoch."""
        left = []
        for batch, active, first in self._batches:
            due = int((batch.edges_ns - self._epoch_ns).searchsorted(before_ns))
            for part in range(first, due, parts):
                released = slice(part, min(part + parts, due))
                found.metrics.record(batch, released, active)
                found.spans += spans_of(batch, released, active)
            if due < batch.edges_ns.size:
                left.append((batch, active, max(first, due)))
        self._batches = left


def spans_of(batch: Batch, parts: slice, active: tuple[int, ...]) -> list[MeasuredSpan]:
    """The spans in *parts* of *batch*."""
    found = []
    for columns, edges in zip(batch.columns, batch.rows, strict=True):
        for row in range(edges[parts.start], edges[parts.stop]):
            number = None if columns.number is None else int(columns.number[row])
            found.append(
                MeasuredSpan(
                    columns.shape.service,
                    columns.shape.name,
                    int(columns.start_ns[row]),
                    int(columns.end_ns[row]),
                    bool(columns.failed[row]),
                    int(columns.span_id[row]),
                    batch.trace_id[columns.trace[row]].tobytes(),
                    number,
                    active,
                    None if columns.resource is None else int(columns.resource[row]),
                )
            )
    return found


def plain(points: MetricPoints) -> list[tuple[Any, ...]]:
    """All that *points* hold as plain values, which compare equal only if every bit is."""
    return [_plain(columns) for columns in points.columns]


def _plain(columns: PointColumns) -> tuple[Any, ...]:
    buckets, exemplars = columns.buckets, columns.exemplars
    return (
        columns.shape.service,
        columns.shape.name,
        columns.resource,
        [each.attributes for each in columns.attributes],
        (columns.value.dtype.kind, columns.value.tobytes(), columns.start_ns, columns.time_ns),
        _plain_buckets(buckets),
        exemplars
        and (
            exemplars.point.tolist(),
            exemplars.time_ns.tolist(),
            exemplars.value.tobytes(),
            exemplars.span_id.tolist(),
            exemplars.trace_id.tobytes(),
        ),
    )


def _plain_buckets(buckets: Buckets | ExponentialBuckets | None) -> tuple[Any, ...] | None:
    match buckets:
        case Buckets():
            return buckets.count.tolist(), buckets.least.tobytes(), buckets.greatest.tobytes()
        case ExponentialBuckets():
            columns = (buckets.total, buckets.scale, buckets.zeros, buckets.least, buckets.greatest)
            sides = [
                [each.first.tolist(), each.count.tolist(), each.count_offset.tolist()]
                for each in (buckets.positive, buckets.negative)
            ]
            return *(each.tobytes() for each in columns), sides
    return None


def one_operation(metrics: list[dict[str, Any]], **operation: Any) -> Topology:
    """A topology of one operation with *metrics*, called 100 times a second."""
    operation.setdefault("duration", "20ms")
    rest = {key: operation.pop(key) for key in ("scenarios", "traffic") if key in operation}
    return topology({"web": {"operations": {"get": {**operation, "metrics": metrics}}}}, **rest)


def values_of(run: Recorded, name: str) -> list[list[float]]:
    """The values of a metric's points, at every collection."""
    return [
        [
            value
            for columns in points.columns
            if columns.shape.name == name
            for value in columns.value.tolist()
        ]
        for _, points in run.collections
    ]
