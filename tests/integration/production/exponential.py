"""Exponential histograms: what the SDK makes of the spans that arrived, bucket by bucket."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.integration.collected import resource_text
from tests.integration.production.arrived import Statistic, duration_ns
from tests.oracles.aggregation import aggregated
from tests.oracles.contents import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Metric
    from tests.integration.collected import CollectedMetric, CollectedSpan
    from tests.integration.production.arrived import Arrived

UNIT_NS = {"s": 1e9, "ms": 1e6, "us": 1e3}


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield scale, zeros, buckets and exemplars of each series of durations."""
    known = {each.span.span_id for each in arrived.spans}
    for service, operations, metric in measured(arrived):
        points = last_points(arrived, service, metric.name)
        taken = defaultdict(list)
        for operation in operations:
            for each in arrived.by_operation[f"{service}.{operation}"]:
                value = duration_ns(each) / UNIT_NS[metric.unit]
                value = float(int(value)) if metric.unit == "us" else value
                taken[instance(each), operation].append(value)
        yield Statistic(f"{metric.name}: series", len(points), len(taken))
        for series, values in taken.items():
            point = points[series]
            sdk = aggregated(values, metric.max_size, metric.max_scale)
            label = f"{metric.name} of {' '.join(series)}"
            yield Statistic(f"{label}: count", point.count, len(values))
            yield Statistic(f"{label}: scale", point.scale, sdk.scale)
            yield Statistic(f"{label}: zeros", point.zero_count, sdk.zeros)
            found = dict(enumerate(point.positive.bucket_counts, point.positive.offset))
            for index in sdk.positive.keys() | found.keys():
                count = sdk.positive.get(index, 0)
                yield Statistic(f"{label}: bucket {index}", found.get(index, 0), count)
            shown = sum(each.span_id in known for each in point.exemplars)
            yield Statistic(f"{label}: exemplars", shown, len(point.exemplars))


def measured(arrived: Arrived) -> Iterator[tuple[str, list[str], Metric]]:
    """The exponential histograms of durations, with their services and operations."""
    for service, model in arrived.topology.services.items():
        scopes = [(list(model.operations), model.metrics)]
        scopes += [([name], operation.metrics) for name, operation in model.operations.items()]
        for operations, metrics in scopes:
            for metric in metrics:
                if metric.type == "exponential_histogram" and metric.value is None:
                    yield service, operations, metric


def last_points(arrived: Arrived, service: str, name: str) -> dict[tuple[str, str], Any]:
    """The last point of each series, by the service's instance and the operation."""
    return {
        (instance(each), str(plain(point.attributes)["operation.name"])): point
        for each in arrived.metrics
        if each.service == service and each.metric.name == name
        for point in each.points
    }


def instance(each: CollectedSpan | CollectedMetric) -> str:
    return resource_text(each.resource, "service.instance.id")
