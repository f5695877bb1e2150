"""Metrics of whole runs, beside the spans that they were recorded on and the Collector's own."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.integration.collected import CollectedMetric, CollectedSpan, resource_text
from tests.oracles.metrics import index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.integration.collector import Collector
    from tests.integration.locust_runs import Finished, Locusts

TOPOLOGY: dict[str, Any] = {
    "version": 1,
    "services": {
        "web": {
            "metrics": [
                {"name": "web.spans", "type": "counter"},
                {"name": "web.active", "type": "updowncounter"},
                {"name": "web.level", "type": "gauge", "value": "0.5 +/- 0.1", "walk": "1s"},
            ],
            "operations": {
                "get": {
                    "duration": "40ms +/- 10ms",
                    "calls": [{"target": "db.find", "count": 2, "retries": 1}],
                    "metrics": [
                        {"name": "requests", "type": "counter"},
                        {"name": "pages", "type": "counter", "value": 3},
                    ],
                },
            },
        },
        "db": {
            "metrics": [{"name": "db.failures", "type": "counter", "errors_only": True}],
            "operations": {
                "find": {
                    "duration": "8ms +/- 4ms",
                    "error_rate": "10%",
                    "metrics": [
                        {
                            "name": "db.duration",
                            "type": "histogram",
                            "unit": "s",
                            "attributes": {"table": {"values": {"orders": 2, "users": 1}}},
                        },
                        {
                            "name": "db.spread",
                            "type": "exponential_histogram",
                            "unit": "s",
                            "attributes": {"table": {"values": {"orders": 2, "users": 1}}},
                        },
                    ],
                },
            },
        },
    },
    "traffic": {"rate": "50/s"},
}


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "measured.yaml"
    path.write_text(json.dumps(TOPOLOGY))  # JSON is YAML
    return path


def options(topology: Path, sink: Collector) -> tuple[str | Path, ...]:
    return (
        *("--topology", topology, "--host", sink.endpoint, "--headless"),
        *("--users", "3", "--spawn-rate", "3", "--run-time", "3s"),
        *("--signals", "traces,metrics", "--metrics-interval", "600ms"),
    )


def spans_by_name(spans: Iterable[CollectedSpan]) -> dict[str, list[CollectedSpan]]:
    found = defaultdict(list)
    for each in spans:
        found[each.span.name].append(each)
    return found


def seconds(each: CollectedSpan) -> float:
    return (each.span.end_time_unix_nano - each.span.start_time_unix_nano) / 1e9


def totals(metrics: list[CollectedMetric], name: str) -> list[Any]:
    """The points that hold the whole run: the last of each series, or all if they are deltas."""
    series: dict[Any, Any] = {}
    for place, each in enumerate(metrics):
        if each.metric.name == name:
            kind = getattr(each.metric, str(each.metric.WhichOneof("data")))
            delta = kind.aggregation_temporality == 1
            instance = resource_text(each.resource, "service.instance.id")
            for point in each.points:
                key = (instance, str(point.attributes), place if delta else None)
                series[key] = point
    return list(series.values())


def total(metrics: list[CollectedMetric], name: str) -> float:
    return sum(point.as_int or point.as_double for point in totals(metrics, name))


def assert_measured(
    finished: Finished, spans: list[CollectedSpan], metrics: list[CollectedMetric]
) -> None:
    """Everything that was measured is told by the spans, and what was counted arrived."""
    assert finished.code == 0, finished.stderr
    assert finished.summary is not None
    ledgers = finished.summary["ledger"]
    assert ledgers["traces"]["accepted"] == ledgers["traces"]["generated"] == len(spans)
    points = sum(len(each.points) for each in metrics)
    assert ledgers["metrics"]["accepted"] == ledgers["metrics"]["generated"] == points
    by_name = spans_by_name(spans)
    roots = [each for each in spans if not each.span.parent_span_id]
    assert total(metrics, "requests") == len(roots) > 100
    assert total(metrics, "pages") == 3 * len(roots)
    assert total(metrics, "web.spans") == len(by_name["get"])
    assert total(metrics, "web.active") == 0
    errors = [each.span.status.code for each in by_name["find"]].count(Status.STATUS_CODE_ERROR)
    assert total(metrics, "db.failures") == errors > 0
    durations = totals(metrics, "db.duration")
    assert sum(point.count for point in durations) == len(by_name["find"])
    took_s = sorted(map(seconds, by_name["find"]))
    assert sum(point.sum for point in durations) == pytest.approx(math.fsum(took_s), rel=1e-9)
    assert min(point.min for point in durations) == took_s[0]
    assert max(point.max for point in durations) == took_s[-1]
    for place, bound in enumerate(durations[0].explicit_bounds):
        below = sum(sum(point.bucket_counts[: place + 1]) for point in durations)
        assert below == sum(value <= bound for value in took_s)
    assert_spread(totals(metrics, "db.spread"), took_s)


def assert_spread(points: list[Any], took_s: list[float]) -> None:
    """The points of an exponential histogram tell how many of *took_s*, ascending, lie where."""
    assert sum(point.count for point in points) == len(took_s)
    assert sum(point.zero_count for point in points) == took_s.count(0)
    assert sum(point.sum for point in points) == pytest.approx(math.fsum(took_s), rel=1e-9)
    scale = min(point.scale for point in points)
    assert 0 <= scale < 20
    found: Counter[int] = Counter()
    for point in points:
        assert len(point.positive.bucket_counts) <= 160
        for place, count in enumerate(point.positive.bucket_counts, point.positive.offset):
            found[place >> point.scale - scale] += count
    assert found == Counter(index(value, scale) for value in took_s if value)


def assert_examples(spans: list[CollectedSpan], metrics: list[CollectedMetric]) -> None:
    """Every exemplar is a measurement of a span that came too."""
    known = {(each.span.trace_id, each.span.span_id): each for each in spans}
    shown = 0
    for each in metrics:
        for point in each.points:
            for exemplar in point.exemplars:
                span = known[exemplar.trace_id, exemplar.span_id]
                assert exemplar.time_unix_nano == span.span.end_time_unix_nano
                assert span.service == each.service
                if each.metric.name in ("db.duration", "db.spread"):
                    assert exemplar.as_double == seconds(span)
                shown += 1
    assert shown > 10


@pytest.mark.parametrize(
    "further",
    [(), ("--realtime",), ("--metrics-temporality", "delta", "--time-offset=-1h")],
    ids=["cumulative", "in real time", "delta, an hour ago"],
)
def test_metrics_are_what_the_spans_tell(
    locust: Locusts,
    collector: Callable[..., Collector],
    topology: Path,
    further: tuple[str, ...],
) -> None:
    sink = collector()
    finished = locust.run(*options(topology, sink), *further)
    sink.stop()
    spans, metrics = sink.spans(), sink.metrics()
    assert_measured(finished, spans, metrics)
    assert_examples(spans, metrics)
    began_ns = finished.epoch_ns - (3600 * 10**9 if "--time-offset=-1h" in further else 0)
    levels = [each.points[0] for each in metrics if each.metric.name == "web.level"]
    *regular, last = [point.time_unix_nano - began_ns for point in levels]
    assert regular == [(number + 1) * 600_000_000 for number in range(len(regular))]
    assert len(regular) >= 3
    assert last >= max(each.span.end_time_unix_nano for each in spans) - began_ns


def test_the_collectors_own_metrics_of_the_spans_agree(
    locust: Locusts, collector: Callable[..., Collector], topology: Path
) -> None:
    sink = collector(metrics=True, span_metrics=True)
    finished = locust.run(*options(topology, sink))
    sink.wait_for_span_metrics()
    sink.stop()
    spans, metrics = sink.spans(), sink.metrics()
    assert_measured(finished, spans, metrics)
    calls: Counter[str] = Counter()
    for point in totals_of_calls(sink.span_metrics()):
        named = {each.key: each.value.string_value for each in point.attributes}
        calls[named["span.name"]] += point.as_int
    assert calls == Counter(each.span.name for each in spans)
    assert calls["get"] == total(metrics, "requests")
    assert calls["find"] == sum(point.count for point in totals(metrics, "db.duration"))


def totals_of_calls(metrics: list[CollectedMetric]) -> list[Any]:
    """The last points of the connector's counter, one for each series."""
    series = {}
    for each in metrics:
        if each.metric.name.endswith("calls"):
            for point in each.points:
                series[each.service, str(point.attributes)] = point
    return list(series.values())


def test_without_traces_no_exemplar_points_to_one(
    locust: Locusts, topology: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "lines.jsonl"
    finished = locust.run(
        *("--topology", topology, "--host", f"file://{lines}", "--headless"),
        *("--signals", "metrics", "--run-time", "1s"),
    )
    assert finished.code == 0, finished.stderr
    (line,) = lines.read_text().splitlines()
    assert "db.duration" in line
    assert "exemplars" not in line


def test_in_a_cluster_each_worker_is_an_instance_of_its_own(
    locust: Locusts, collector: Callable[..., Collector], topology: Path
) -> None:
    sink = collector()
    finished = locust.cluster(*options(topology, sink), "--users", "4").wait()
    sink.stop()
    spans, metrics = sink.spans(), sink.metrics()
    assert_measured(finished, spans, metrics)
    for service in ("web", "db"):
        instances = {
            resource_text(each.resource, "service.instance.id")
            for each in (*spans, *metrics)
            if each.service == service
        }
        assert len(instances) == 2
