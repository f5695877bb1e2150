"""What a span carries besides its place in the tree, compared with what its topology says.

Every check yields faults, sentences for a person; nothing wrong yields nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from motel_locust import __version__
from motel_locust.topology import model
from tests.oracles.spelling import ALPHABET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from tests.oracles.rules import Rules

SAMPLED_LOCAL = 0x101
"""Flags: the trace is sampled; it is known whether the parent is remote, and it is not."""

REJECTION_NS = 1_000_000

DEVIATIONS = 8
"""A normal draw so far out comes once in 10^15."""


class Numbers:
    """The running numbers of every definition, which never repeat and rise with time."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], list[tuple[int, int]]] = defaultdict(list)

    def add(self, definition: tuple[object, ...], arrival_ns: int, number: int) -> None:
        self._seen[definition].append((arrival_ns, number))

    def merge(self, other: Numbers) -> None:
        for definition, seen in other._seen.items():
            self._seen[definition] += seen

    def faults(self) -> Iterator[str]:
        for definition, seen in self._seen.items():
            numbers = [number for _, number in seen]
            if len(set(numbers)) < len(numbers):
                yield f"numbers of {definition} repeat"
            if min(numbers) < 1:
                yield f"numbers of {definition} begin at {min(numbers)}"
            lowest, highest = {}, {}
            for arrival_ns, number in seen:
                lowest[arrival_ns] = min(number, lowest.get(arrival_ns, number))
                highest[arrival_ns] = max(number, highest.get(arrival_ns, number))
            before = 0
            for arrival_ns in sorted(lowest):
                if lowest[arrival_ns] <= before:
                    yield f"numbers of {definition} fall from {before} to {lowest[arrival_ns]}"
                    break
                before = highest[arrival_ns]


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes as a dictionary; a key that comes twice is an error."""
    found: dict[str, Any] = {}
    for each in attributes:
        assert each.key not in found, f"attribute {each.key} comes twice"
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = tuple(inner.string_value for inner in value.values)
        found[each.key] = value
    return found


def resource_faults(
    resource: Resource, service: model.Service, environment: Mapping[str, str]
) -> Iterator[str]:
    """Judge a resource that says it is *service*'s, its name apart."""
    found = plain(resource.attributes)
    own = {}
    if service.instances is not None:
        own = instance_attributes(found, service)
        if own is None:
            yield f"resource {found} is no instance of {service.instances}"
            return
    wanted = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "motel-locust",
        "telemetry.sdk.version": __version__,
        **environment,
        **service.resource_attributes,
        **own,
        "service.name": found["service.name"],
        "motel.version": __version__,
    }
    if found != wanted:
        yield f"resource {found}, not {wanted}"


def instance_attributes(found: Mapping[str, Any], service: model.Service) -> dict[str, str] | None:
    """Return what tells an instance of *service* apart, as *found*; None if nothing like it is."""
    instances, made = service.instances, found.get("service.instance.id", "")
    assert instances is not None
    form = {"n": r"(?P<n>\d+)", "restart": r"(?P<restart>\d+)", "id": re.escape(made[:8])}
    shown: dict[str, set[str]] = defaultdict(set)
    own = {"service.instance.id": made}
    for key, text in service.instance_attributes.items():
        words, known = "", set[str]()
        for index, piece in enumerate(re.split(r"\{(n|id|restart)\}", text)):
            again = piece in known and f"(?P={piece})"
            words += (again or form[piece]) if index % 2 else re.escape(piece)
            known |= {piece} if index % 2 and piece != "id" else set()
        match = re.fullmatch(words, found.get(key, ""))
        if match is None:
            return None
        for name, value in match.groupdict().items():
            shown[name].add(value)
        own[key] = found[key]
    agreed = all(len(values) == 1 for values in shown.values())
    numbers = [int(number) for number in shown["n"]]
    restarted = any(int(restart) for restart in shown["restart"])
    if not agreed or any(not 1 <= number <= instances.count for number in numbers):
        return None
    if restarted and instances.restart_every is None:
        return None
    return own if UUID(made).version == 5 else None


def scope_faults(scope: InstrumentationScope) -> Iterator[str]:
    """Judge the scope of spans."""
    found = scope.name, plain(scope.attributes)
    if found != ("motel-locust", {"motel.synthetic": True}):
        yield f"scope {found}"


def rejection(span: Span) -> str:
    """Return why the request was rejected that *span* stands for; empty if it was not."""
    reasons = [a.value for a in span.attributes if a.key == "synth.rejection_reason"]
    return reasons[0].string_value if reasons else ""


def variant(span: Span) -> str | None:
    """Return which variant of its operation *span* is, None for the plain operation."""
    names = [a.value.string_value for a in span.attributes if a.key == "synth.variant"]
    return names[0] if names else None


def attribute_faults(
    span: Span,
    rules: Rules,
    *,
    scenarios: tuple[str, ...] | None,
    baggage: Mapping[str, str],
    arrival_ns: int,
    numbers: Numbers,
) -> Iterator[str]:
    """Judge the attributes; *scenarios* are the active ones' names if spans are labelled."""
    found = plain(span.attributes)
    fixed: dict[str, object] = {
        "synth.service": rules.service_name,
        "synth.operation": rules.name,
    }
    if rules.variant is not None:
        fixed["synth.variant"] = rules.variant
    if scenarios is not None:
        fixed["synth.scenarios"] = scenarios
    drawn: Mapping[str, model.Generator] = {}
    if reason := rejection(span):
        fixed |= {"synth.rejected": True, "synth.rejection_reason": reason}
    else:
        fixed |= rules.service.attributes
        drawn = rules.attributes
        if rules.shows_baggage:
            fixed |= {f"baggage.{key}": value for key, value in baggage.items()}
    drawn = {
        key: each
        for key, each in drawn.items()
        # The operation's own win over the service's and ours, baggage over all.
        if not (rules.shows_baggage and key.removeprefix("baggage.") in baggage)
        or not key.startswith("baggage.")
    }
    wanted = (fixed.keys() - drawn.keys()) | drawn.keys()
    if found.keys() != wanted:
        yield f"attributes {sorted(found)}, not {sorted(wanted)}"
        return
    for key, value in fixed.items():
        if key not in drawn and not _same(found[key], value):
            yield f"attribute {key} is {found[key]!r}, not {value!r}"
    where = rules.ref, "attribute"
    yield from value_faults(found, drawn, where, arrival_ns=arrival_ns, numbers=numbers)


def value_faults(
    found: Mapping[str, Any],
    generators: Mapping[str, model.Generator],
    where: tuple[object, ...],
    *,
    arrival_ns: int,
    numbers: Numbers,
) -> Iterator[str]:
    """Judge values by the *generators* that made them."""
    for key, generator in generators.items():
        value = found[key]
        if isinstance(generator, model.Sequence):
            number = _number(value, generator.sequence)
            if number is None:
                yield f"{key} {value!r} is not {generator.sequence!r}"
            elif number >= 0:
                definition = (*where, key, generator.sequence)
                numbers.add(definition, arrival_ns, number)
        elif not fits(value, generator):
            yield f"{key} {value!r} is none of {generator}"


def fits(value: Any, generator: model.Generator) -> bool:
    """Tell whether *generator* may have made *value*, its type included."""
    match generator:
        case model.Constant(value=only):
            return _same(value, only)
        case model.Choice(values=pairs):
            return any(_same(value, each) for each, _ in pairs)
        case model.Chance(probability=p):
            return type(value) is bool and (0 < p < 1 or value == (p == 1))
        case model.Range(low=low, high=high):
            return type(value) is int and low <= value <= high
        case model.Normal(mean=mean, stddev=deviation):
            return type(value) is float and abs(value - mean) <= DEVIATIONS * deviation
        case model.Texts(text=made):
            return len(value) == made.length and set(value) <= set(ALPHABET)
        case model.Rows(rows=cell, table=table):
            return any(_same(value, each) for each in table.columns[cell.column].values)
    raise AssertionError(generator)


def _same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and value == wanted


def _number(value: Any, pattern: str) -> int | None:
    """Return the number in *value*, -1 where the pattern has none, None if it does not fit."""
    first, *rest = pattern.split("{n}")
    if not rest:
        return -1 if value == pattern else None
    expression = re.escape(first) + r"(\d+)" + r"\1".join(map(re.escape, rest))
    match = re.fullmatch(expression, value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def event_faults(span: Span, rules: Rules, *, arrival_ns: int, numbers: Numbers) -> Iterator[str]:
    """Judge events: the topology's in file order, then the exception of a failed span."""
    reason = rejection(span)
    events = () if reason else rules.operation.events
    failed = span.status.code == Status.STATUS_CODE_ERROR
    wanted = [(each.name, span.start_time_unix_nano + each.delay) for each in events]
    if failed:
        wanted.append(("exception", span.end_time_unix_nano))
    if [(each.name, each.time_unix_nano) for each in span.events] != wanted:
        yield f"events {[each.name for each in span.events]}, not {wanted}"
        return
    for index, (found, event) in enumerate(zip(span.events, events, strict=False)):
        values = plain(found.attributes)
        if values.keys() != event.attributes.keys():
            yield f"event {event.name} has {sorted(values)}"
            continue
        where = rules.ref, "event", index
        yield from value_faults(
            values, event.attributes, where, arrival_ns=arrival_ns, numbers=numbers
        )
    if failed:
        message = f"rejected: {reason}" if reason else "synthetic error"
        values = plain(span.events[-1].attributes)
        if values != {"exception.type": "*errors.errorString", "exception.message": message}:
            yield f"exception {values}"


def status_faults(span: Span) -> Iterator[str]:
    """Judge status and flags."""
    if span.status.code == Status.STATUS_CODE_ERROR:
        if span.status.message != (rejection(span) or "synthetic error"):
            yield f"status message {span.status.message!r}"
    elif (span.status.code, span.status.message) != (Status.STATUS_CODE_UNSET, ""):
        yield f"status {span.status}"
    if span.flags != SAMPLED_LOCAL or span.trace_state:
        yield f"flags {span.flags:#x}, trace state {span.trace_state!r}"
    if span.dropped_attributes_count or span.dropped_events_count or span.dropped_links_count:
        yield "something was dropped from it"
