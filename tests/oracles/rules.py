"""What a topology says of an operation at an instant, read off the models with plain loops."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.topology.model import (
        Call,
        DurationDistribution,
        Generator,
        InstanceOverride,
        Operation,
        PercentileDistribution,
        Service,
        Topology,
        Variant,
        VariantOverride,
    )

Active = tuple[int, ...]
"""Indexes of scenarios, in the order in which they are merged."""


@dataclass(frozen=True)
class Rules:
    """What an operation does while certain scenarios are active."""

    service_name: str
    name: str
    service: Service
    operation: Operation
    duration: DurationDistribution | PercentileDistribution
    error_rate: float
    attributes: dict[str, Generator]
    calls: tuple[Call, ...]
    variant: str | None = None
    baggage: Mapping[str, str] = field(default_factory=dict)
    """What the variant adds to that of service and operation."""
    variants: Mapping[str, Rules] = field(default_factory=dict)
    """Those that may be chosen in place of the plain operation."""
    ill: tuple[InstanceOverride, ...] = ()
    """What differs on some instance or other."""

    def variants_for(self, baggage: Mapping[str, str]) -> set[str | None]:
        """Return what a request that brings *baggage* may meet."""
        asking = {
            name
            for name in self.variants
            if (when := self.operation.variants[name].when)
            and all(baggage.get(key) == value for key, value in when.items())
        }
        plain = {name for name in self.variants if not self.operation.variants[name].when}
        return asking or plain or {None}

    @property
    def ref(self) -> str:
        return f"{self.service_name}.{self.name}"

    @property
    def parallel(self) -> bool:
        return self.operation.call_style == "parallel"

    @property
    def may_fail(self) -> bool:
        under_pressure = self.operation.backpressure
        added = under_pressure.error_rate_add if under_pressure else 0.0
        ill = any(each.error_rate for each in self.ill)
        return self.error_rate > 0 or added > 0 or ill

    @property
    def shows_baggage(self) -> bool:
        own = self.operation.baggage_as_attributes
        return bool(self.service.baggage_as_attributes if own is None else own)

    def durations(self) -> list[DurationDistribution | PercentileDistribution]:
        """Return how its duration may be distributed: as written, or on an instance, or slowed."""
        written = [self.duration, *(each.duration for each in self.ill if each.duration)]
        pressure = self.operation.backpressure
        if pressure is None:
            return written
        factor = min(max(pressure.duration_multiplier, 1.0), 10.0)
        return [*written, *(each.slowed(factor) for each in written)]


def active_at(topology: Topology, t_ns: int) -> Active:
    """Return the scenarios that are active *t_ns* after the epoch."""
    found = [
        index
        for index, each in enumerate(topology.scenarios)
        if each.at <= t_ns < each.at + each.duration
    ]
    return tuple(sorted(found, key=lambda index: (topology.scenarios[index].priority, index)))


def rules_of(topology: Topology, active: Active) -> dict[tuple[str, str], Rules]:
    """Return the rules of every operation, by service and operation name."""
    rules = {}
    for service_name, service in topology.services.items():
        for name, operation in service.operations.items():
            duration, error_rate = operation.duration, operation.error_rate
            attributes, added, removed = dict(operation.attributes), [], set()
            for index in active:
                override = topology.scenarios[index].override.get(f"{service_name}.{name}")
                if override is None:
                    continue
                if override.duration is not None:
                    duration = override.duration
                if override.error_rate is not None:
                    error_rate = override.error_rate
                attributes.update(override.attributes)
                added += override.add_calls
                removed.update(override.remove_calls)
            kept = [call for call in operation.calls if call.target not in removed]
            overrides = [topology.scenarios[index].override for index in active]
            plain = Rules(
                service_name=service_name,
                name=name,
                service=service,
                operation=operation,
                duration=duration,
                error_rate=error_rate,
                attributes=attributes,
                calls=(*kept, *added),
                ill=tuple(
                    change
                    for override in overrides
                    for key in (service_name, f"{service_name}.{name}")
                    if key in override
                    for change in override[key].instances.values()
                ),
            )
            rules[service_name, name] = replace(plain, variants=_variants(topology, plain, active))
    return rules


def _variants(topology: Topology, plain: Rules, active: Active) -> dict[str, Rules]:
    """Return the rules of the variants that have any weight."""
    found = {}
    for name, variant in plain.operation.variants.items():
        rules, weight = _over(plain, variant), variant.weight
        for index in active:
            override = topology.scenarios[index].override.get(plain.ref)
            change = override and override.variants.get(name)
            if change:
                rules = _over(rules, change)
                weight = weight if change.weight is None else change.weight
        if weight:
            found[name] = replace(rules, variant=name, baggage=variant.baggage)
    return found


def _over(rules: Rules, change: Variant | VariantOverride) -> Rules:
    return replace(
        rules,
        duration=change.duration or rules.duration,
        error_rate=rules.error_rate if change.error_rate is None else change.error_rate,
        attributes={**rules.attributes, **change.attributes},
    )


def top_roots(topology: Topology) -> set[str]:
    """Return the roots by the file's own traffic; their spans are of kind SERVER wherever met."""
    if topology.traffic.roots is not None:
        return set(topology.traffic.roots)
    return uncalled(topology)


def roots_at(topology: Topology, active: Active) -> set[str]:
    """Return the operations at which traces begin while *active* are."""
    for index in reversed(active):
        traffic = topology.scenarios[index].traffic
        if traffic is not None:
            return set(traffic.roots) if traffic.roots is not None else top_roots(topology)
    return top_roots(topology)


def uncalled(topology: Topology) -> set[str]:
    operations = {
        f"{service_name}.{name}": operation
        for service_name, service in topology.services.items()
        for name, operation in service.operations.items()
    }
    called = {call.target for operation in operations.values() for call in operation.calls}
    return operations.keys() - called
