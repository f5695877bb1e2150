"""Which operations' spans need a number: those of numbered texts, ``{sequence: "req-{n}"}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.topology import linking
from motel_locust.topology.model import Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from motel_locust.topology.model import (
        Generator,
        Operation,
        Service,
        Topology,
        Variant,
        VariantOverride,
    )


def numbered(topology: Topology) -> frozenset[str]:
    """Return the operations of whose spans, metrics or logs any value carries a number.

    In whatever scenario.
    """
    own = {
        ref
        for ref, (service, name) in linking.operations(topology).items()
        if _any_sequence(_on_spans(topology.services[service].operations[name]))
    }
    overridden = {
        ref
        for scenario in topology.scenarios
        for ref, override in scenario.override.items()
        if _any_sequence([override.attributes, *_each(override.variants)])
    }
    return frozenset(own | overridden | numbered_signals(topology))


def numbered_signals(topology: Topology) -> frozenset[str]:
    """Return the operations of whose metrics or logs any value carries a number.

    In whatever scenario.
    """
    # What a scenario adds to logs is for a service or an operation, but that is not told apart.
    added = _any_sequence(
        log.attributes
        for scenario in topology.scenarios
        for override in scenario.override.values()
        if override.logs
        for log in override.logs.add
    )
    return frozenset(
        ref
        for ref, (service, name) in linking.operations(topology).items()
        if added
        or _any_sequence(_on_signals(topology.services[service]))
        or _any_sequence(_on_signals(topology.services[service].operations[name]))
    )


def _on_spans(operation: Operation) -> list[Mapping[str, Generator]]:
    return [
        operation.attributes,
        *_each(operation.variants),
        *(event.attributes for event in operation.events),
        *(link.attributes for link in operation.links),
    ]


def _each(
    variants: Mapping[str, Variant] | Mapping[str, VariantOverride],
) -> list[Mapping[str, Generator]]:
    return [variant.attributes for variant in variants.values()]


def _on_signals(model: Service | Operation) -> list[Mapping[str, Generator]]:
    return [
        *(metric.attributes for metric in model.metrics),
        *(log.attributes for log in model.logs),
    ]


def _any_sequence(attributes: Iterable[Mapping[str, Generator]]) -> bool:
    return any(isinstance(each, Sequence) for found in attributes for each in found.values())
