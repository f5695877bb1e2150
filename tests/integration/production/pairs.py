"""Spans in pairs: every call has both its sides, and the network between takes its time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.topology.percentiles import PercentileDistribution
from tests.integration.production.arrived import Statistic, duration_ns, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Call, Topology
    from tests.integration.collected import CollectedSpan
    from tests.integration.production.arrived import Arrived

SIDES = {
    Span.SPAN_KIND_CLIENT: Span.SPAN_KIND_SERVER,
    Span.SPAN_KIND_PRODUCER: Span.SPAN_KIND_CONSUMER,
}
"""The kinds of callers' spans, and those of what answers them."""

Edge = tuple[str, str]
"""The service that calls, and the operation that is called."""


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield of each edge of the service map how often it is called, answered, and given up.

    And the shares of calls for which the network took less than its percentiles.
    """
    by_id = {each.span.span_id: each for each in arrived.spans}
    answers: defaultdict[Edge, list[tuple[CollectedSpan, CollectedSpan]]] = defaultdict(list)
    for each in arrived.spans:
        if each.span.parent_span_id and each.span.kind in SIDES.values():
            caller = by_id[each.span.parent_span_id]
            answers[caller.service, f"{each.service}.{each.span.name}"].append((caller, each))
    sent = defaultdict(int)
    for each in arrived.spans:
        if each.span.kind in SIDES:
            sent[each.service, each.span.name] += 1
    edges = edges_of(arrived.topology)
    yield Statistic("edges of the map", len(answers), len(edges))
    for edge, call in edges.items():
        found = answers[edge]
        label = " -> ".join(edge)
        callee = edge[1].partition(".")[2]
        yield Statistic(f"{label}: answered once", len(found), sent[edge[0], callee])
        fitting = [SIDES.get(one.span.kind) == other.span.kind for one, other in found]
        yield Statistic(f"{label}: of the kinds that belong together", sum(fitting), len(found))
        yield from times(label, call, found, arrived.topology)


def times(
    label: str, call: Call, found: list[tuple[CollectedSpan, CollectedSpan]], topology: Topology
) -> Iterator[Statistic]:
    network = call.network or topology.network
    assert isinstance(network, PercentileDistribution), "what else is production's network"
    uneven = overdue = 0
    took_ns = []
    for one, other in found:
        before_ns = other.span.start_time_unix_nano - one.span.start_time_unix_nano
        took_ns.append(2 * before_ns)
        if call.timeout is not None and duration_ns(one) >= call.timeout:
            overdue += duration_ns(one) > call.timeout
            continue
        answered = (
            other.span.start_time_unix_nano if call.detached else other.span.end_time_unix_nano
        )
        uneven += one.span.end_time_unix_nano - answered - before_ns not in (0, 1)
    yield Statistic(f"{label}: way back as long as the way there", uneven, 0)
    yield Statistic(f"{label}: waits beyond the timeout", overdue, 0)
    for percentile, value_ns in network.points:
        below = sum(each < value_ns for each in took_ns)
        name = f"{label}: network {percentile}"
        yield share(name, below, len(took_ns), float(percentile[1:]) / 100)


def edges_of(topology: Topology) -> dict[Edge, Call]:
    """What the file says of the service map; no two calls lead the same way."""
    found: dict[Edge, Call] = {}
    for service, model in topology.services.items():
        for operation in model.operations.values():
            for call in operation.calls:
                found.setdefault((service, call.target), call)
    return found
