"""How long the spans of an operation become at most, in all likelihood."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

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
    operations = {
        f"{service_name}.{name}": operation
        for service_name, service in topology.services.items()
        for name, operation in service.operations.items()
    }
    calls = {ref: list(operation.calls) for ref, operation in operations.items()}
    durations = {ref: _durations(operation) for ref, operation in operations.items()}
    for scenario in topology.scenarios:
        for key, override in scenario.override.items():
            if key in durations:
                durations[key] += _durations(override)
    longest: dict[str, int] = {}
    order = TopologicalSorter({ref: {call.target for call in calls[ref]} for ref in calls})
    for ref in order.static_order():
        operation = operations[ref]
        own_ns = _own_ns(operation, durations[ref])
        longest[ref] = own_ns + _waiting_ns(operation, calls[ref], longest)
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


def _waiting_ns(operation: Operation, calls: list[Call], longest: dict[str, int]) -> int:
    waits = [_wait_ns(call, longest[call.target]) for call in calls if not call.detached]
    if operation.call_style == "sequential":
        counts = [call.count for call in calls if not call.detached]
        return sum(wait * count for wait, count in zip(waits, counts, strict=True))
    return max(waits, default=0)


def _wait_ns(call: Call, callee_ns: int) -> int:
    attempt_ns = callee_ns if call.timeout is None else min(call.timeout, callee_ns)
    return attempt_ns * (1 + call.retries) + call.retry_backoff * call.retries
