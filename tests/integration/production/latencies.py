"""The spanmetrics connector of the Collector sees the latencies that the spans have."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tests.integration.production.arrived import Statistic, duration_ns
from tests.oracles.contents import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.collected import CollectedSpan
    from tests.integration.production.arrived import Arrived

DIMENSIONS = ("payment.method", "synth.variant", "k8s.pod.name")
"""Attributes of spans or resources by which the connector is to tell an operation's spans apart."""

Key = tuple[str, ...]
"""Service, operation, and what the spans have of the dimensions."""


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield how many spans of each kind are not longer than each bound, and all, by the connector.

    Expected is what the spans tell that arrived.
    """
    found_ms: defaultdict[Key, list[float]] = defaultdict(list)
    for each in arrived.spans:
        found_ms[key_of(each)].append(duration_ns(each) / 1e6)
    seen: defaultdict[Key, Counter[float]] = defaultdict(Counter)
    for service, point in last_points(arrived):
        named = plain(point.attributes)
        key = (service, named["span.name"], *(str(named.get(each, "")) for each in DIMENSIONS))
        bounds = [*point.explicit_bounds, float("inf")]
        for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
            seen[key][bound] += count
    yield Statistic("kinds of spans", len(seen), len(found_ms))
    for key, durations_ms in found_ms.items():
        durations_ms.sort()
        for bound, count in seen[key].items():
            below = bisect_right(durations_ms, bound)
            yield Statistic(f"{'.'.join(key)} up to {bound:g} ms", count, below)


def key_of(each: CollectedSpan) -> Key:
    return each.service, each.span.name, *(dimension(each, key) for key in DIMENSIONS)


def dimension(each: CollectedSpan, key: str) -> str:
    """What the span or else its resource has of an attribute; empty if neither has it."""
    for attributes in (each.span.attributes, each.resource.attributes):
        for attribute in attributes:
            if attribute.key == key:
                return str(plain([attribute])[key])
    return ""


def last_points(arrived: Arrived) -> list[tuple[str, Any]]:
    """The last point of each series of the connector's histogram, with its service."""
    series: dict[tuple[str, str], tuple[str, Any]] = {}
    for each in arrived.span_metrics:
        if each.metric.HasField("histogram"):
            for point in each.points:
                key = (str(each.resource), str(sorted(map(str, point.attributes))))
                series[key] = each.service, point
    return list(series.values())
