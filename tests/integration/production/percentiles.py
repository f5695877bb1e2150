"""Durations by percentiles: so many spans of an operation are shorter than the file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.topology.percentiles import PercentileDistribution
from tests.integration.production.arrived import Statistic, duration_ns, share
from tests.oracles.contents import variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.collected import CollectedSpan
    from tests.integration.production.arrived import Arrived


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield the share of spans below each percentile, and how many are beyond p0 and p100."""
    for service, model in arrived.topology.services.items():
        for name, operation in model.operations.items():
            others = {key for key, each in operation.variants.items() if each.duration is not None}
            if not isinstance(operation.duration, PercentileDistribution):
                continue
            found = arrived.by_operation[f"{service}.{name}"]
            spans = [each for each in found if variant(each.span) not in others]
            own_ns = [own_duration_ns(each, arrived) for each in spans]
            for percentile, value_ns in operation.duration.points:
                below = sum(each < value_ns for each in own_ns)
                label = f"{service}.{name} {percentile}"
                if percentile == "p100":
                    beyond = sum(each > value_ns for each in own_ns)
                    yield Statistic(f"{label}, beyond", beyond, 0)
                elif percentile == "p0":
                    yield Statistic(f"{label}, below", below, 0)
                else:
                    yield share(label, below, len(spans), float(percentile[1:]) / 100)


def own_duration_ns(each: CollectedSpan, arrived: Arrived) -> int:
    """What a span took itself, without what it called; even where it called something.

    The calls begin when half of it is over, rounded down.
    """
    began_ns = arrived.first_child_ns.get(each.span.span_id)
    if began_ns is None:
        return duration_ns(each)
    return 2 * (began_ns - each.span.start_time_unix_nano)
