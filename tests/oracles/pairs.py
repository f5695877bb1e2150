"""Spans in pairs: the rules of the caller's side of a call, and whether one came about by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.topology import model
from tests.oracles import contents
from tests.oracles.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.oracles.explanation import Child

NETWORK = model.DurationDistribution(1_000_000)
"""What a call takes on the network where a file does not say."""

SIDES = (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_PRODUCER)
"""The kinds that no other spans have where spans come in pairs."""


@dataclass(frozen=True, kw_only=True)
class SideRules(Rules):
    """The caller's side of *call*; its name and operation are the caller's."""

    call: model.Call


def is_message(call: model.Call) -> bool:
    return call.detached or call.producer


def edge(service: str, callee: str) -> str:
    """Return the name under which a service's side of calls to *callee* is known."""
    return f"{service} -> {callee}"


def edge_of(span: Span, service: str) -> str:
    """Return that name for a span that says it is such a side."""
    peer = contents.plain(span.attributes).get("service.peer.name")
    return edge(service, f"{peer}.{span.name}")


def to_sides(rules: Mapping[tuple[str, str], Rules]) -> dict[tuple[str, str], Rules]:
    """Return *rules* with calls that lead to the caller's sides instead of to other services."""
    places = {each.ref: each.service_name for each in rules.values()}

    def led(caller: Rules, call: model.Call) -> model.Call:
        if places[call.target] == caller.service_name and not is_message(call):
            return call
        return call.model_copy(update={"target": edge(caller.service_name, call.target)})

    found = {}
    for place, each in rules.items():
        calls = tuple(led(each, call) for call in each.calls)
        variants = {name: replace(other, calls=calls) for name, other in each.variants.items()}
        found[place] = replace(each, calls=calls, variants=variants)
    return found


def side(
    topology: model.Topology,
    rules: Mapping[tuple[str, str], Rules],
    caller: Rules,
    call: model.Call,
    attempt: int,
) -> SideRules:
    """Return the rules of an attempt of *call*, which leads to the caller's side."""
    callee = call.target.removeprefix(edge(caller.service_name, ""))
    [called] = [each for each in rules.values() if each.ref == callee]
    attributes: dict[str, object] = dict(caller.service.attributes)
    attributes["service.peer.name"] = called.service_name
    if not is_message(call):
        attributes["server.address"] = called.service_name
    if attempt:
        http = "http.request.method" in called.attributes
        attributes["http.request.resend_count" if http else "synth.resend_count"] = attempt
    network = call.network or topology.network or NETWORK
    return SideRules(
        service_name=caller.service_name,
        name=caller.name,
        # Baggage is inherited as the caller sees it.
        service=caller.service.model_copy(update={"attributes": attributes, "baggage": {}}),
        operation=model.Operation(
            duration=network, baggage_as_attributes=caller.operation.baggage_as_attributes
        ),
        duration=network,
        error_rate=0.0,
        attributes={},
        calls=(),
        call=call.model_copy(update={"target": callee}),
    )


def unknown_side(topology: model.Topology, service: str, name: str) -> Rules:
    """Return rules for a side of which its caller has not told which call it is."""
    operation = model.Operation(duration=NETWORK)
    return Rules(
        service, name, topology.services[service], operation, NETWORK, 0.0, attributes={}, calls=()
    )


def timed_out(call: model.Call, one: Child, other: Child) -> bool:
    """Tell whether the client *one* of *call* gave up on *other*."""
    if call.timeout is None:
        return False
    before_ns = other.start_ns - one.start_ns
    return other.end_ns + before_ns > one.start_ns + call.timeout


def side_faults(rules: SideRules, one: Child, others: list[Child]) -> Iterator[str]:
    """Judge the client's span *one* by what it called, *others*."""
    call = rules.call
    if [each.ref for each in others] != [call.target]:
        yield f"calls {[each.ref for each in others]}, not {call.target}"
        return
    [other] = others
    before_ns = other.start_ns - one.start_ns
    if timed_out(call, one, other):
        if one.end_ns - one.start_ns != call.timeout or not one.failed:
            yield f"{one.end_ns - one.start_ns} ns, failed: {one.failed}, after a timeout"
        own_ns = 2 * before_ns
    else:
        answered_ns = other.start_ns if call.detached else other.end_ns
        after_ns = one.end_ns - answered_ns
        if after_ns - before_ns not in (0, 1):
            yield f"{before_ns} ns to {other.ref}, {after_ns} ns back"
        if one.failed != (other.failed and not call.detached):
            yield f"failed: {one.failed}, with {other.ref} failed: {other.failed}"
        own_ns = before_ns + after_ns
    least, most = (rules.duration.at(each) for each in (-contents.DEVIATIONS, contents.DEVIATIONS))
    if not least - 1 <= own_ns <= most + 1:
        yield f"{own_ns} ns on the network"
