"""The OpenTelemetry SDK, given the same measurements, comes to the same messages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ScopeMetrics
from opentelemetry.sdk import metrics as sdk_metrics
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from motel_locust.otlp.metrics import MetricEncoder
from tests.engine.recorded import Recorded, one_operation, record

if TYPE_CHECKING:
    from tests.oracles.metrics import MeasuredSpan

MS = 1_000_000
METRICS: list[dict[str, Any]] = [
    {"name": "requests", "type": "counter", "unit": "{request}"},
    {"name": "failures", "type": "counter", "errors_only": True},
    {"name": "active", "type": "updowncounter"},
    {"name": "took", "type": "histogram", "unit": "s", "attributes": {"k": {"value": 7}}},
    {"name": "took.ms", "type": "histogram"},
    {"name": "took.wide", "type": "exponential_histogram", "unit": "s"},
    {"name": "took.rough", "type": "exponential_histogram", "max_size": 7, "max_scale": 2},
]
ROUGH = ExponentialBucketHistogramAggregation(max_size=7, max_scale=2)
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
NAMED = {"operation.name": "get"}


class Sdk:
    """The same instruments, made with the SDK."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self.reader = InMemoryMetricReader(
            {sdk_metrics.Counter: temporality, sdk_metrics.Histogram: temporality}
        )
        # Ours are chosen in another way, and tested elsewhere.
        provider = MeterProvider(
            [self.reader],
            exemplar_filter=AlwaysOffExemplarFilter(),
            views=[
                View(
                    instrument_name="took.wide", aggregation=ExponentialBucketHistogramAggregation()
                ),
                View(instrument_name="took.rough", aggregation=ROUGH),
            ],
        )
        meter = provider.get_meter("sdk")
        self.requests = meter.create_counter("requests", "{request}")
        self.failures = meter.create_counter("failures")
        self.active = meter.create_up_down_counter("active")
        self.took = meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=BOUNDS)
        self.took_ms = meter.create_histogram("took.ms")
        self.took_wide = meter.create_histogram("took.wide", "s")
        self.took_rough = meter.create_histogram("took.rough")

    def begin(self, spans: list[MeasuredSpan]) -> None:
        for _ in spans:
            self.active.add(1, NAMED)

    def end(self, spans: list[MeasuredSpan]) -> None:
        for span in spans:
            duration_ns = span.end_ns - span.start_ns
            self.requests.add(1, NAMED)
            if span.failed:
                self.failures.add(1, NAMED)
            self.active.add(-1, NAMED)
            self.took.record(duration_ns / 1e9, {**NAMED, "k": 7})
            self.took_ms.record(duration_ns / 1e6, NAMED)
            self.took_wide.record(duration_ns / 1e9, NAMED)
            self.took_rough.record(duration_ns / 1e6, NAMED)

    def collect(self) -> dict[str, Metric]:
        request = encode_metrics(self.reader.get_metrics_data())
        ((scope,),) = (found.scope_metrics for found in request.resource_metrics)
        return {metric.name: metric for metric in scope.metrics}


def ours(run: Recorded, collection: int) -> dict[str, Metric]:
    _, points = run.collections[collection]
    metrics = [
        metric
        for parcel in MetricEncoder().encode(points)
        for pieces in parcel.pieces.values()
        for metric in ScopeMetrics.FromString(b"".join(pieces)).metrics
    ]
    return {metric.name: metric for metric in metrics}


def without_times(metric: Metric) -> Metric:
    """The metric without what the SDK takes from the clock; sums rounded, as it adds floats up."""
    plain = Metric.FromString(metric.SerializeToString())
    for point in getattr(plain, str(plain.WhichOneof("data"))).data_points:
        point.ClearField("start_time_unix_nano")
        point.ClearField("time_unix_nano")
        point.ClearField("exemplars")
        if hasattr(point, "sum"):
            point.sum = round(point.sum, 6)
        for side in (point.positive, point.negative) if hasattr(point, "scale") else ():
            # The SDK has places for more buckets than there are.
            while side.bucket_counts and not side.bucket_counts[-1]:
                side.bucket_counts.pop()
        if hasattr(point, "scale") and not point.negative.bucket_counts:
            point.ClearField("negative")
    return plain


def at_the_scales_of(metric: Metric, other: Metric) -> Metric:
    """The metric with its buckets merged until they are as wide as those of *other*."""
    merged = Metric.FromString(metric.SerializeToString())
    for point, coarse in zip(
        merged.exponential_histogram.data_points,
        other.exponential_histogram.data_points,
        strict=True,
    ):
        by = point.scale - coarse.scale
        assert by >= 0
        counts: Counter[int] = Counter()
        for index, count in enumerate(point.positive.bucket_counts, point.positive.offset):
            counts[index >> by] += count
        first, last = min(counts), max(counts)
        point.scale, point.positive.offset = coarse.scale, first
        point.positive.bucket_counts[:] = [counts[place] for place in range(first, last + 1)]
    return merged


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_the_sdk_comes_to_the_same_points(temporality: str) -> None:
    of = one_operation(METRICS, duration="40ms +/- 30ms", error_rate="20%")
    run = record(of, until_ns=500 * MS, temporality=temporality, offset_ns=0)
    sdk = Sdk(AggregationTemporality[temporality.upper()])
    waiting, running = list(run.spans), list(run.spans)
    for collection, (_, points) in enumerate(run.collections):
        last = collection == len(run.collections) - 1
        begun = [span for span in waiting if last or span.start_ns < points.time_ns]
        ended = [span for span in running if last or span.end_ns < points.time_ns]
        waiting = [span for span in waiting if span not in begun]
        running = [span for span in running if span not in ended]
        sdk.begin(begun)
        sdk.end(ended)
        expected, found = sdk.collect(), ours(run, collection)
        assert found.keys() == expected.keys()
        for name, metric in found.items():
            if temporality == "delta" and metric.HasField("exponential_histogram"):
                # The SDK's deltas go on at the scale of those before, ours begin anew.
                metric = at_the_scales_of(metric, expected[name])
            assert without_times(metric) == without_times(expected[name])
    assert len(run.collections) == 5
