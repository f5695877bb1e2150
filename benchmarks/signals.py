"""What metrics and logs cost besides the spans that they tell of, on one core."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.generation import EPOCH_NS, ROOT, SECOND_NS, Stream
from benchmarks.table import Table, count, percent
from motel_locust.engine.logs import Logs
from motel_locust.engine.metrics import Metrics
from motel_locust.engine.schedule import TICK_NS
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.metrics import MetricEncoder
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.records import LogColumns
    from motel_locust.topology.model import Topology

TOPOLOGY = ROOT / "topologies" / "four-services.yaml"

COUNTER = {"type": "counter"}
DURATIONS = {"type": "histogram", "unit": "s"}
SPREAD = {"type": "exponential_histogram", "unit": "s"}
ACTIVE = {"type": "updowncounter"}
CHOICE = {"attributes": {"zone": {"values": {"a": 3, "b": 2, "c": 1}}}}
MANY = {"attributes": {"id": {"sequence": "id-{n}"}}}
NUMBER = {"attributes": {"count": {"range": [1, 100_000]}}}
DOUBLE = {"attributes": {"took": {"distribution": {"mean": 5, "stddev": 2}}}}
RECORD = {"severity": "INFO", "body": "{operation.name} done"}
SLOW_NS = 1
"""So that every span is slow."""
METRICS: dict[str, list[dict[str, Any]]] = {
    "a counter": [COUNTER],
    "a histogram of durations": [DURATIONS],
    "a counter and a histogram": [COUNTER, DURATIONS],
    "these and an updowncounter": [COUNTER, DURATIONS, ACTIVE],
    "a counter of drawn values": [{**COUNTER, "value": "4 +/- 2"}],
    "a histogram, an attribute of 3 values": [{**DURATIONS, **CHOICE}],
    "a counter, a series for every span": [{**COUNTER, **MANY}],
    "an exponential histogram of durations": [SPREAD],
    "an exponential histogram, an attribute of 3 values": [{**SPREAD, **CHOICE}],
    "an exponential histogram, a series for every span": [{**SPREAD, **MANY}],
}
LOGS: dict[str, list[dict[str, Any]]] = {
    "a record": [RECORD],
    "a record with an attribute": [{**RECORD, **CHOICE, "body": "done in {zone}"}],
    "a record of every tenth span": [{**RECORD, "probability": 0.1}],
    "a record with a number in its text": [{**RECORD, **NUMBER, "body": "{count} done"}],
    "a record with a double in its text": [{**RECORD, **DOUBLE, "body": "{took} ms"}],
    "a derived record of a slow span": [],
}


@dataclass(frozen=True, slots=True)
class Added:
    """What one signal takes for each span, beside what the span takes itself."""

    signal: str
    name: str
    span_ns: float
    """To walk and encode a span."""
    added_ns: float
    """To record or write, and encode, what the signal has of it."""
    items_per_s: float
    """How many log records that is in a second; 0 for metrics, whose points are few."""


class Lap(NamedTuple):
    """CPU time of some batches."""

    spans: int
    items: int
    spans_s: float
    signal_s: float


def measure_all() -> list[Added]:
    """Return the costs of all metrics and logs."""
    rows = [measure("metrics", name) for name in METRICS]
    return rows + [measure("logs", name) for name in LOGS]


def measure(signal: str, name: str, *, spans: int = 500_000, laps: int = 9) -> Added:
    """Return what one *signal* adds: medians of *laps*, each of about *spans* spans.

    Every service has the same definitions. Points are collected and encoded once a lap.
    """
    definitions = METRICS[name] if signal == "metrics" else LOGS[name]
    topology = with_signal(signal, definitions)
    stream = Stream(topology)
    work = _metrics(topology) if signal == "metrics" else _logs(topology)
    _lap(stream, work, spans)  # templates and plans are made, batches have found their size
    measured = []
    for _ in range(laps):
        gc.collect()
        measured.append(_lap(stream, work, spans))
    added_s = median(lap.signal_s / lap.spans for lap in measured)
    items = sum(lap.items for lap in measured) / sum(lap.spans for lap in measured)
    return Added(
        signal=signal,
        name=name,
        span_ns=median(lap.spans_s / lap.spans for lap in measured) * 1e9,
        added_ns=added_s * 1e9,
        items_per_s=items / added_s if signal == "logs" else 0.0,
    )


def with_signal(signal: str, definitions: list[dict[str, Any]]) -> Topology:
    """Return four services that all have *definitions* of a *signal*."""
    topology = read_topology(str(TOPOLOGY)).topology
    named = [
        {"name": f"m{place}", **each} if signal == "metrics" else each
        for place, each in enumerate(definitions)
    ]
    services = {
        name: type(service).model_validate({"operations": {"o": {"duration": "1s"}}, signal: named})
        for name, service in topology.services.items()
    }
    return topology.model_copy(
        update={
            "services": {
                name: service.model_copy(update={signal: getattr(services[name], signal)})
                for name, service in topology.services.items()
            }
        }
    )


def table(rows: list[Added]) -> Table:
    """Return the costs of metrics and logs as a table."""
    return Table(
        ("on every span", "a span, ns", "added, ns", "share", "records/s"),
        [
            (
                *(f"{row.signal}: {row.name}", f"{row.span_ns:.0f}", f"{row.added_ns:.1f}"),
                percent(row.added_ns / row.span_ns, 0),
                count(row.items_per_s) if row.items_per_s else "",
            )
            for row in rows
        ],
    )


class _Work(NamedTuple):
    """What is done with each batch, and after the last one; both return how many items it made."""

    each: Callable[[Batch], int]
    last: Callable[[], int]


def _metrics(topology: Topology) -> _Work:
    metrics = Metrics(topology, seed=1, epoch_ns=EPOCH_NS, interval_ns=60 * SECOND_NS)
    encoder, collections = MetricEncoder(), iter(range(1, 1_000_000))

    def each(batch: Batch) -> int:
        metrics.record(batch, slice(None), ())
        return 0

    def last() -> int:
        points = metrics.collect(next(collections) * TICK_NS, final=True)
        return sum(parcel.items for parcel in encoder.encode(points))

    return _Work(each, last)


def _logs(topology: Topology) -> _Work:
    logs = Logs(topology, seed=1, epoch_ns=EPOCH_NS, slow_ns=SLOW_NS)
    encoder: BatchEncoder[LogColumns] = BatchEncoder(LogEncoder)

    def each(batch: Batch) -> int:
        return sum(parcel.items for parcel in encoder.encode(logs.write(batch, ())))

    return _Work(each, lambda: 0)


def _lap(stream: Stream, work: _Work, spans: int) -> Lap:
    made = items = 0
    spans_s = signal_s = 0.0
    while made < spans:
        began_s = time.process_time()
        batch = stream.walk()
        made += sum(count for _, count in stream.bodies(batch))
        encoded_s = time.process_time()
        items += work.each(batch)
        signal_s += time.process_time() - encoded_s
        spans_s += encoded_s - began_s
    began_s = time.process_time()
    items += work.last()
    signal_s += time.process_time() - began_s
    return Lap(made, items, spans_s, signal_s)
