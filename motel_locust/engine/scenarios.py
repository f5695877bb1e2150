"""Scenarios: which are active when, and what an operation and the traffic then are.

A scenario is known by its index in the file. A set of active ones is a tuple of indexes in merge
order: priority ascending, ties in file order; later ones win. Merging reads models and makes new
values; no model is ever changed by it, so nothing outlives its scenario's window.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from motel_locust.topology import linking
from motel_locust.topology.variants import fitting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.topology.model import (
        Call,
        Generator,
        InstanceOverride,
        Operation,
        Topology,
        Traffic,
        Variant,
        VariantOverride,
    )
    from motel_locust.topology.percentiles import PercentileDistribution
    from motel_locust.topology.quantities import DurationDistribution

Active: TypeAlias = tuple[int, ...]

# A window may be written that ends after the last instant of 64 bits, in the year 2262 and later.
_LATEST_NS: Final = 2**63 - 1


def boundaries(topology: Topology) -> NDArray[np.int64]:
    """Return the instants at which scenarios start or end: sorted, unique, ns since the epoch.

    A start belongs to the new set, and so does an end, to the set without the ended one.
    """
    starts = [each.at for each in topology.scenarios]
    ends = [each.at + each.duration for each in topology.scenarios]
    return np.unique(np.array([*starts, *(min(end, _LATEST_NS) for end in ends)], np.int64))


def active(topology: Topology, t_ns: int) -> Active:
    """Return the scenarios active at *t_ns*, in merge order."""
    found = [
        index
        for index, each in enumerate(topology.scenarios)
        if each.at <= t_ns < each.at + each.duration
    ]
    # The sort is stable: ties stay in file order.
    return tuple(sorted(found, key=lambda index: topology.scenarios[index].priority))


@dataclass(frozen=True, slots=True)
class Effective:
    """What an operation does under a set of scenarios.

    Each attribute and call comes with a name that stays the same whatever else is active, so that
    a scenario moves no draw but those of what it changes: ``c2`` for the operation's own third
    call, ``s1.web.home.c0`` for the first one that scenario 1 adds to it; ``o`` for an attribute
    as the operation defines it, ``s1`` as scenario 1 does; ``v.eu`` as its variant ``eu`` defines
    it, ``s1.v.eu`` as scenario 1 does for that variant.
    """

    duration: DurationDistribution | PercentileDistribution
    error_rate: float
    attributes: Mapping[str, tuple[str, Generator]]
    calls: tuple[tuple[str, Call], ...]
    limit_ns: int | None = None
    """A span that takes longer ends then, and fails; None for no limit."""
    variant: str | None = None
    """The name of the variant that does so; None for the plain operation."""
    variants: tuple[Variation, ...] = ()
    """Of the plain operation, the variants that may be chosen in its place."""
    on_instances: Mapping[int, Effective] = field(default_factory=dict)
    """What it does where a scenario has something to say of the instance, by the index of that."""

    def fitting(self, baggage: Mapping[str, str]) -> list[Variation]:
        """Return between which variants chance decides for a request that brings *baggage*.

        There may be none: then it meets the plain operation.
        """
        return fitting(self.variants, baggage)


@dataclass(frozen=True, slots=True)
class Variation:
    """A variant of an operation under a set of scenarios.

    Attributes:
        name: What it is called.
        weight: How often it is chosen, relative to the others; above 0.
        when: The baggage that a request must bring.
        baggage: What it adds to the baggage of its spans and all below.
        effective: What the operation then does.
    """

    name: str
    weight: float
    when: Mapping[str, str]
    baggage: Mapping[str, str]
    effective: Effective


def effective(topology: Topology, ref: str, scenarios: Active) -> Effective:
    """Return what the operation *ref* does while *scenarios* are active."""
    operation = _operation(topology, ref)
    duration, error_rate = operation.duration, operation.error_rate
    attributes = {key: ("o", each) for key, each in operation.attributes.items()}
    added: list[tuple[str, Call]] = []
    removed: set[str] = set()
    for scenario in scenarios:
        override = topology.scenarios[scenario].override.get(ref)
        if override is None:
            continue
        if override.duration is not None:
            duration = override.duration
        if override.error_rate is not None:
            error_rate = override.error_rate
        attributes |= {key: (f"s{scenario}", each) for key, each in override.attributes.items()}
        added += [
            (f"s{scenario}.{ref}.c{index}", call) for index, call in enumerate(override.add_calls)
        ]
        removed |= set(override.remove_calls)
    own = [
        (f"c{index}", call)
        for index, call in enumerate(operation.calls)
        if call.target not in removed
    ]
    found = Effective(duration, error_rate, attributes, (*own, *added))
    if operation.variants:
        found = replace(found, variants=tuple(_variations(topology, ref, scenarios, found)))
    ill = _ill(topology, ref, scenarios)
    return _on_instances(found, ill) if ill else found


def _ill(topology: Topology, ref: str, scenarios: Active) -> dict[int, list[InstanceOverride]]:
    """Return what scenarios change in some instances for *ref*, by the index of the instance.

    What is said of the operation comes after what is said of its service.
    """
    found: defaultdict[int, list[InstanceOverride]] = defaultdict(list)
    service, _ = _place(topology, ref)
    for scenario in scenarios:
        overrides = topology.scenarios[scenario].override
        for key in (service, ref):
            if key in overrides:
                for number, change in overrides[key].instances.items():
                    found[number - 1].append(change)
    return dict(found)


def _on_instances(of: Effective, ill: Mapping[int, Sequence[InstanceOverride]]) -> Effective:
    """Return *of* and its variants with what differs on some instances."""
    on_instances = {}
    for index, changes in ill.items():
        there = replace(of, variants=())
        for change in changes:
            there = replace(
                there,
                duration=change.duration or there.duration,
                error_rate=there.error_rate if change.error_rate is None else change.error_rate,
            )
        on_instances[index] = there
    variants = tuple(
        replace(each, effective=_on_instances(each.effective, ill)) for each in of.variants
    )
    return replace(of, variants=variants, on_instances=on_instances)


def _variations(
    topology: Topology, ref: str, scenarios: Active, plain: Effective
) -> Iterator[Variation]:
    """Yield the variants of *ref* that may be chosen; *plain* has what they leave to it."""
    for name, variant in _operation(topology, ref).variants.items():
        weight, made = variant.weight, _over(plain, variant, f"v.{name}")
        for scenario in scenarios:
            override = topology.scenarios[scenario].override.get(ref)
            change = override.variants.get(name) if override else None
            if change is not None:
                weight = weight if change.weight is None else change.weight
                made = _over(made, change, f"s{scenario}.v.{name}")
        if weight > 0:
            made = replace(made, variant=name)
            yield Variation(name, weight, variant.when, variant.baggage, made)


def _over(under: Effective, change: Variant | VariantOverride, where: str) -> Effective:
    """Return *under* with what *change* sets; *where* names the attributes of that place."""
    attributes = {key: (where, each) for key, each in change.attributes.items()}
    return replace(
        under,
        duration=under.duration if change.duration is None else change.duration,
        error_rate=under.error_rate if change.error_rate is None else change.error_rate,
        attributes={**under.attributes, **attributes},
    )


def traffic(topology: Topology, scenarios: Active) -> Traffic:
    """Return the traffic in force while *scenarios* are active.

    Raises:
        ValueError: the topology has no traffic, as in replay mode.
    """
    if topology.traffic is None:
        raise ValueError("a topology without traffic has no schedule")
    own = [topology.scenarios[scenario].traffic for scenario in scenarios]
    return next((each for each in reversed(own) if each is not None), topology.traffic)


def roots(topology: Topology, scenarios: Active) -> dict[str, float]:
    """Return the root operations in force while *scenarios* are active, with their weights.

    A scenario's traffic changes the roots only if it names some.
    """
    in_force = traffic(topology, scenarios)
    return linking.roots(topology, topology.traffic if in_force.roots is None else in_force)


def _operation(topology: Topology, ref: str) -> Operation:
    service, name = _place(topology, ref)
    return topology.services[service].operations[name]


def _place(topology: Topology, ref: str) -> tuple[str, str]:
    """Return the service and the name of the operation *ref*."""
    # Any dot may be the one between the two names; refs are unique, so one of them fits.
    dots = [place for place, letter in enumerate(ref) if letter == "."]
    return next(
        (ref[:dot], ref[dot + 1 :])
        for dot in dots
        if (service := topology.services.get(ref[:dot])) and ref[dot + 1 :] in service.operations
    )
