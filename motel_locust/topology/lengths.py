"""How long the spans of an operation become at most, in all likelihood."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

from motel_locust.topology import linking, pairing

if TYPE_CHECKING:
    from motel_locust.topology.model import (
        Call,
        DurationDistribution,
        Operation,
        Override,
        PercentileDistribution,
        Topology,
    )

_DEVIATIONS: Final = 4
"""One sample in 30,000 of a normal distribution lies higher."""
_GREATEST_FACTOR: Final = 10.0
"""Backpressure multiplies durations by no more than this."""


def longest_likely_ns(topology: Topology) -> dict[str, int]:
    """Return for every ref the longest likely span in nanoseconds, with any scenario active."""
    places = linking.operations(topology)
    operations = {
        ref: topology.services[service].operations[name] for ref, (service, name) in places.items()
    }
    of_service = {
        service_name: [f"{service_name}.{name}" for name in service.operations]
        for service_name, service in topology.services.items()
    }
    calls = {ref: list(operation.calls) for ref, operation in operations.items()}
    durations = {ref: _durations(operation) for ref, operation in operations.items()}
    for scenario in topology.scenarios:
        for key, override in scenario.override.items():
            if key in durations:
                durations[key] += _durations(override)
            for ref in durations.keys() & {key, *of_service.get(key, ())}:
                durations[ref] += [
                    each.duration for each in override.instances.values() if each.duration
                ]
    longest: dict[str, int] = {}
    order = TopologicalSorter({ref: {call.target for call in calls[ref]} for ref in calls})
    for ref in order.static_order():
        operation = operations[ref]
        own_ns = _own_ns(operation, durations[ref])
        answers_ns = []
        for call in calls[ref]:
            answers_ns.append(longest[call.target])
            caller, callee = places[ref][0], places[call.target][0]
            if pairing.paired(topology, call, caller=caller, callee=callee):
                answers_ns[-1] += int(pairing.network(topology, call).at(_DEVIATIONS))
        longest[ref] = own_ns + _waiting_ns(operation, answers_ns)
    return longest


def _durations(
    owner: Operation | Override,
) -> list[DurationDistribution | PercentileDistribution]:
    """Return those that *owner* and its variants name."""
    given = [owner.duration, *(variant.duration for variant in owner.variants.values())]
    return [each for each in given if each is not None]


def _own_ns(
    operation: Operation, durations: list[DurationDistribution | PercentileDistribution]
) -> int:
    pressure = operation.backpressure
    factor = min(pressure.duration_multiplier, _GREATEST_FACTOR) if pressure else 1.0
    return int(max(each.slowed(max(1.0, factor)).at(_DEVIATIONS) for each in durations))


def _waiting_ns(operation: Operation, answers_ns: list[int]) -> int:
    """Return how long *operation* waits for its calls, each answered after so long."""
    waits = [
        (call.count, _wait_ns(call, answer_ns))
        for call, answer_ns in zip(operation.calls, answers_ns, strict=True)
        if not call.detached
    ]
    if operation.call_style == "sequential":
        return sum(count * wait for count, wait in waits)
    return max((wait for _, wait in waits), default=0)


def _wait_ns(call: Call, answer_ns: int) -> int:
    attempt_ns = answer_ns if call.timeout is None else min(call.timeout, answer_ns)
    return attempt_ns * (1 + call.retries) + call.retry_backoff * call.retries
