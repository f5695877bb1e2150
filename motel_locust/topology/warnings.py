"""What a valid topology says that its author hardly meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.topology import linking, pairing
from motel_locust.topology.diagnostics import Mistake, Step, quoted
from motel_locust.topology.document import Entries, Items, Node, PlacedMistake, Scalar, locate, walk
from motel_locust.topology.instances import INSTANCE_ID
from motel_locust.topology.lengths import longest_likely_ns
from motel_locust.topology.placeholders import PLACEHOLDER, unfilled_placeholders
from motel_locust.topology.quantities import format_duration
from motel_locust.topology.scalars import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Call, Operation, Service, Topology, Traffic

Path = tuple[Step, ...]

_GREATEST_FACTOR: Final = 10.0
"""Backpressure multiplies durations by no more than this."""


def check(root: Node, topology: Topology) -> Iterator[Mistake]:
    """Yield what is odd about *topology*, which was read from the document *root*."""
    yield from _nulls(root)
    yield from _printed_values(root)
    yield from _zero_probabilities(root, topology)
    yield from _network(topology)
    longest_ns = longest_likely_ns(topology)
    for service_name, service in topology.services.items():
        path: Path = ("services", service_name)
        yield from _service(service_name, service, path)
        for name, operation in service.operations.items():
            inner = (*path, "operations", name)
            yield from _state(operation, inner)
            yield from _shown_baggage(service, operation, inner)
            yield from _late_events(operation, inner, longest_ns[f"{service_name}.{name}"])
    for path, traffic in _traffics(topology):
        yield from _traffic(root, traffic, path)
    yield from _scenarios(topology)
    yield from _scenario_roots(topology)
    yield from unfilled_placeholders(topology)


def _warning(code: str, message: str, path: Path, *, at_key: bool = False) -> Mistake:
    return Mistake(code, message, path=path, at_key=at_key, complete=True)


def _nulls(root: Node) -> Iterator[Mistake]:
    for path, node in walk(root):
        if _inside_value(path):
            continue
        if isinstance(node, Items):
            for item in node.items:
                if isinstance(item, Scalar) and item.null:
                    message = "a null in a list is left out; remove it"
                    yield PlacedMistake("null-entry", message, item.mark, path=path)
        elif isinstance(node, Entries) and not (path and path[-1] == "values"):
            for key, _ in node.entries:
                if key.null:
                    message = 'an entry with a null key is left out; quote the key: "null"'
                    yield PlacedMistake("null-entry", message, key.mark, path=path)


def _inside_value(path: Path) -> bool:
    """Return whether *path* leads into the ``value`` of an attribute, where nulls are kept."""
    return any(
        step == "attributes" and path[index + 2 : index + 3] == ("value",)
        for index, step in enumerate(path)
    )


def _printed_values(root: Node) -> Iterator[Mistake]:
    for path, node in walk(root):
        attribute_value = path[-3:-2] == ("attributes",) and path[-1] == "value"
        if attribute_value and not isinstance(node, Scalar):
            kind = "list" if isinstance(node, Items) else "mapping"
            message = f"attribute {quoted(str(path[-2]))} is a {kind}, and is sent as text"
            yield _warning("printed-value", message, path)


def _zero_probabilities(root: Node, topology: Topology) -> Iterator[Mistake]:
    for path, _ in _calls(topology):
        inner = (*path, "probability")
        if _is_zero(root, inner):
            message = "probability 0 on a call means always; remove the call, or the probability"
            yield _warning("zero-probability", message, inner)


def _network(topology: Topology) -> Iterator[Mistake]:
    """Yield a warning wherever the time on a network is told that no call takes."""
    paired = topology.spans == "paired"
    if topology.network is not None and not paired:
        message = "network changes nothing without spans: paired"
        yield _warning("without-effect", message, ("network",), at_key=True)
    places = linking.operations(topology)
    for path, call in _calls(topology):
        caller = str(path[1]) if path[0] == "services" else places[str(path[3])][0]
        callee = places[call.target][0]
        if call.network is None or pairing.paired(topology, call, caller=caller, callee=callee):
            continue
        message = "network changes nothing without spans: paired"
        if paired:
            message = f"network changes nothing on a call within service {quoted(caller)}"
        yield _warning("without-effect", message, (*path, "network"), at_key=True)


def _is_zero(root: Node, path: Path) -> bool:
    spot = locate(root, path)
    return spot.whole and isinstance(spot.node, Scalar) and resolve(spot.node) == 0


def _calls(topology: Topology) -> Iterator[tuple[Path, Call]]:
    for service_name, service in topology.services.items():
        for name, operation in service.operations.items():
            for index, call in enumerate(operation.calls):
                yield ("services", service_name, "operations", name, "calls", index), call
    for number, scenario in enumerate(topology.scenarios):
        for key, override in scenario.override.items():
            for index, call in enumerate(override.add_calls):
                yield ("scenarios", number, "override", key, "add_calls", index), call


def _service(service_name: str, service: Service, path: Path) -> Iterator[Mistake]:
    if "." in service_name:
        message = f"service name {quoted(service_name)} has a dot, which other tools do not take"
        yield _warning("dotted-service", message, path, at_key=True)
    for key in service.attributes:
        if all(key in operation.attributes for operation in service.operations.values()):
            message = f"attribute {quoted(key)} is replaced by every operation of the service"
            yield _warning("shadowed-attribute", message, (*path, "attributes", key), at_key=True)
    for key in service.resource_attributes:
        if key in service.instance_attributes:
            message = f"resource attribute {quoted(key)} is replaced by the instances' own"
            inner = (*path, "resource_attributes", key)
            yield _warning("shadowed-attribute", message, inner, at_key=True)
    written = service.instance_attributes.get(INSTANCE_ID)
    several = service.instances is not None and service.instances.count > 1
    if several and written is not None and not {"n", "id"} & {*PLACEHOLDER.findall(written)}:
        message = f"all instances have the id {quoted(written)}; write {{n}} or {{id}} in it"
        yield _warning("shared-id", message, (*path, "instance_attributes", INSTANCE_ID))


def _shown_baggage(service: Service, operation: Operation, path: Path) -> Iterator[Mistake]:
    shown = operation.baggage_as_attributes
    if not (service.baggage_as_attributes if shown is None else shown):
        return
    for key in {**service.baggage, **operation.baggage}:
        attribute = f"baggage.{key}"
        if attribute in operation.attributes:
            message = f"attribute {quoted(attribute)} is replaced by the baggage of that name"
            inner = (*path, "attributes", attribute)
            yield _warning("shadowed-attribute", message, inner, at_key=True)


def _state(operation: Operation, path: Path) -> Iterator[Mistake]:
    breaker = operation.circuit_breaker
    if breaker is not None and breaker.window <= 0:
        message = f"window {format_duration(breaker.window)} means that failures never expire"
        yield _warning("never-expires", message, (*path, "circuit_breaker", "window"))
    if breaker is not None and breaker.cooldown <= 0:
        message = f"cooldown {format_duration(breaker.cooldown)} means that the breaker, once "
        message += "open, lets the next request through"
        yield _warning("never-expires", message, (*path, "circuit_breaker", "cooldown"))
    pressure = operation.backpressure
    if pressure is None:
        return
    path = (*path, "backpressure")
    threshold_ns, factor = pressure.latency_threshold, pressure.duration_multiplier
    if threshold_ns <= 0:
        message = f"latency_threshold {format_duration(threshold_ns)} switches backpressure off"
        yield _warning("without-effect", message, (*path, "latency_threshold"))
    elif 0 < factor <= 1:
        message = f"duration_multiplier {factor:g} changes nothing; write more than 1"
        yield _warning("without-effect", message, (*path, "duration_multiplier"))
    elif factor == 0 and pressure.error_rate_add == 0:
        message = "backpressure without duration_multiplier and error_rate_add changes nothing"
        yield _warning("without-effect", message, path, at_key=True)
    durations = [operation.duration, *(each.duration for each in operation.variants.values())]
    mean_ns = min(each.mean_ns for each in durations if each is not None)
    slowed_ns = mean_ns * min(factor, _GREATEST_FACTOR)
    if factor > 1 and 0 < threshold_ns < slowed_ns:
        message = f"backpressure keeps itself on: {format_duration(mean_ns)} "
        message += f"times {min(factor, _GREATEST_FACTOR):g} is above latency_threshold "
        message += format_duration(threshold_ns)
        yield _warning("locks-on", message, (*path, "duration_multiplier"))


def _late_events(operation: Operation, path: Path, longest_ns: int) -> Iterator[Mistake]:
    for index, event in enumerate(operation.events):
        if event.delay > longest_ns:
            message = f"event {quoted(event.name)} lies beyond the longest likely span of about "
            message += format_duration(longest_ns)
            yield _warning("late-event", message, (*path, "events", index, "delay"))


def _traffics(topology: Topology) -> Iterator[tuple[Path, Traffic]]:
    given: list[tuple[Path, Traffic | None]] = [(("traffic",), topology.traffic)]
    for index, scenario in enumerate(topology.scenarios):
        given.append((("scenarios", index, "traffic"), scenario.traffic))
    for path, traffic in given:
        if traffic is not None:
            yield path, traffic
            if traffic.overlay is not None:
                yield (*path, "overlay"), traffic.overlay


def _traffic(root: Node, traffic: Traffic, path: Path) -> Iterator[Mistake]:
    if traffic.pattern == "diurnal" and _is_zero(root, (*path, "trough_multiplier")):
        message = "trough_multiplier 0 means 0.5; write a small number such as 0.001"
        yield _warning("zero-multiplier", message, (*path, "trough_multiplier"))
    if path[-1] == "overlay":
        for key in ("roots", "arrivals"):
            if getattr(traffic, key) is not None:
                message = f"{key} changes nothing in an overlay; write it in the traffic above"
                yield _warning("without-effect", message, (*path, key), at_key=True)
    # The models sort segments, so their places are found in the document.
    listed = locate(root, (*path, "segments")).node
    ends = {segment.until for segment in traffic.segments if segment.until <= 0}
    if ends and isinstance(listed, Items):
        for index in range(len(listed.present)):
            inner = (*path, "segments", index, "until")
            node = locate(root, inner).node
            if isinstance(node, Scalar) and node.text.startswith(("-", "0", "+0")):
                yield from _ended_segment(node, inner)


def _ended_segment(node: Scalar, path: Path) -> Iterator[Mistake]:
    message = f"a segment until {node.text} ends before the run begins, and never matches"
    yield _warning("never-matches", message, path)


def _scenarios(topology: Topology) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for index, scenario in enumerate(topology.scenarios):
        changes = any(override.model_fields_set for override in scenario.override.values())
        if not changes and scenario.traffic is None:
            message = "a scenario without override and traffic has no effect"
            yield _warning("without-effect", message, ("scenarios", index))
        if scenario.name and scenario.name in first:
            message = f"scenario {quoted(scenario.name)} has the name of another one, "
            message += f"scenarios[{first[scenario.name]}]"
            yield _warning("duplicate-scenario", message, ("scenarios", index, "name"))
        first.setdefault(scenario.name, index)


def _scenario_roots(topology: Topology) -> Iterator[Mistake]:
    if topology.traffic is None or topology.traffic.roots is not None:
        return
    names = linking.operations(topology)
    roots = linking.roots(topology)
    added = {call.target for path, call in _calls(topology) if path[0] == "scenarios"}
    for ref in roots:
        if ref in added:
            service, operation = names[ref]
            message = f"operation {quoted(ref)} is called by scenarios only, so it is a root with "
            message += "traffic of its own; list the roots under traffic.roots to leave it out"
            path: Path = ("services", service, "operations", operation)
            yield _warning("scenario-root", message, path, at_key=True)
