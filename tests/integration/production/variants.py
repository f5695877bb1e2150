"""Variants: chosen as often as the file says, by what each trace brings, and each as it is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from motel_locust.topology.percentiles import PercentileDistribution
from tests.integration.played import failed
from tests.integration.production.arrived import Statistic, duration_ns, share
from tests.oracles.contents import variant
from tests.oracles.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.collected import CollectedSpan
    from tests.integration.production.arrived import Arrived
    from tests.oracles.rules import Rules


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield how often variants were chosen in each region, and how their spans went."""
    region = {
        each.span.trace_id: variant(each.span)
        for each in arrived.spans
        if not each.span.parent_span_id
    }
    for plain in rules_of(arrived.topology, ()).values():
        if not plain.variants:
            continue
        by_region = defaultdict(list)
        by_variant = defaultdict(list)
        for each in arrived.by_operation[plain.ref]:
            brought = region[each.span.trace_id] if each.span.parent_span_id else None
            by_region[brought].append(each)
            by_variant[variant(each.span)].append(each)
        for brought, spans in by_region.items():
            yield from chosen(plain, brought, spans)
        for name, rules in plain.variants.items():
            if not rules.calls:
                yield from outcomes(rules, by_variant[name])


def chosen(plain: Rules, region: str | None, spans: list[CollectedSpan]) -> Iterator[Statistic]:
    """Yield the shares of the variants in *region*; of those that do not fit there, none."""
    possible = plain.variants_for({} if region is None else {"region": region})
    weights = {
        name: plain.operation.variants[name].weight if name is not None and name in possible else 0
        for name in plain.variants
    }
    total = sum(weights.values())
    for name, weight in weights.items():
        found = sum(variant(each.span) == name for each in spans)
        expected = weight / total if total else 0.0
        yield share(f"{plain.ref} in {region}: {name}", found, len(spans), expected)


def outcomes(rules: Rules, spans: list[CollectedSpan]) -> Iterator[Statistic]:
    """Yield how often a variant that calls nobody failed, and how long it took."""
    label = f"{rules.ref} {rules.variant}"
    errors = sum(map(failed, spans))
    yield share(f"{label}: failures", errors, len(spans), rules.error_rate)
    if isinstance(rules.duration, PercentileDistribution):
        median_ns = dict(rules.duration.points)["p50"]
        below = sum(duration_ns(each) < median_ns for each in spans)
        yield share(f"{label}: below the median", below, len(spans), 0.5)
