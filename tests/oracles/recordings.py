"""What a replay has to send, worked out trace by trace with plain objects.

A *form* is a trace without its ids and without the instant at which it took place: two traces that
have one form are the same to whoever looks at them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from motel_locust.engine.recorded import RecordedTrace
    from tests.integration.collected import CollectedSpan

CODES = {"unset": 0, "ok": 1, "error": 2}
MADE_UP = (2, "synthetic error")
OURS = frozenset(
    (
        *("service.name", "motel.version"),
        *("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
    )
)


SYNTHETIC = frozenset(("synth.service", "synth.operation", "synth.scenarios"))
"""Attributes that are not recorded."""


def forms(recording: Iterable[RecordedTrace]) -> Counter[str]:
    """The forms of recorded traces, as they have to be sent."""
    return Counter(
        _form([_expected(i, trace) for i in range(len(trace.spans))]) for trace in recording
    )


def sent_forms(
    spans: Iterable[CollectedSpan], *, but: frozenset[str] = frozenset()
) -> Counter[str]:
    """The forms of the traces that the *spans* belong to; attributes *but* are not looked at."""
    traces: dict[bytes, list[CollectedSpan]] = {}
    for each in spans:
        traces.setdefault(each.span.trace_id, []).append(each)
    return Counter(_form([_sent(each, but) for each in members]) for members in traces.values())


def parents(trace: RecordedTrace) -> list[int | None]:
    """The place of each span's parent, None for roots: from the last span of that id."""
    found: list[int | None] = []
    for span in trace.spans:
        places = [i for i, each in enumerate(trace.spans) if each.span_id == span.parent_id]
        found.append(places[-1] if span.parent_id and places else None)
    while circle := next(filter(None, (_circle(i, found) for i in range(len(found)))), None):
        found[min(circle, key=lambda i: (trace.spans[i].start_ns, i))] = None
    return found


def _circle(first: int, parent: list[int | None]) -> list[int] | None:
    """The circle that the ancestors of a span end in."""
    seen: list[int] = []
    here: int | None = first
    while here is not None:
        if here in seen:
            return seen[seen.index(here) :]
        seen.append(here)
        here = parent[here]
    return None


def start_ns(trace: RecordedTrace, i: int) -> int:
    """When a span starts, Unix time: not before its parent."""
    parent = parents(trace)[i]
    own_ns = trace.spans[i].start_ns
    return own_ns if parent is None else max(own_ns, start_ns(trace, parent))


def end_ns(trace: RecordedTrace, i: int) -> int:
    """When a span ends, Unix time."""
    return max(trace.spans[i].end_ns, start_ns(trace, i))


def kind(trace: RecordedTrace, i: int) -> int:
    """The kind of a span."""
    span, parent = trace.spans[i], parents(trace)[i]
    if span.kind is not None:
        return int(span.kind)
    if parent is None:
        return Span.SPAN_KIND_SERVER
    same = trace.spans[parent].service == span.service
    return Span.SPAN_KIND_INTERNAL if same else Span.SPAN_KIND_CLIENT


def _expected(i: int, trace: RecordedTrace) -> dict[str, Any]:
    span, parent = trace.spans[i], parents(trace)[i]
    events = [(each.time_ns, each.name, _plain(each.attributes)) for each in span.events]
    status = (0, "") if span.status is None else (CODES[span.status.code], span.status.message)
    if span.failed and span.status is None:
        status = MADE_UP
        made_up = {"exception.type": "*errors.errorString", "exception.message": MADE_UP[1]}
        events.append((end_ns(trace, i), "exception", _plain(made_up)))
    return {
        "id": span.span_id,
        "parent": "" if parent is None else trace.spans[parent].span_id,
        "service": span.service,
        "name": span.operation,
        "kind": kind(trace, i),
        "start": start_ns(trace, i),
        "end": end_ns(trace, i),
        "status": status,
        "attributes": _plain(span.attributes),
        "resource": _plain(span.resource),
        "events": events,
        "links": [_plain(each.attributes) for each in span.links],
    }


def _sent(each: CollectedSpan, but: frozenset[str]) -> dict[str, Any]:
    span = each.span
    return {
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "service": each.service,
        "name": span.name,
        "kind": span.kind,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": (span.status.code, span.status.message),
        "attributes": [pair for pair in _read(span.attributes) if pair[0] not in but],
        "resource": sorted(pair for pair in _read(each.resource.attributes) if pair[0] not in OURS),
        "events": [
            (event.time_unix_nano, event.name, _read(event.attributes)) for event in span.events
        ],
        "links": [_read(link.attributes) for link in span.links],
    }


def _form(spans: list[dict[str, Any]]) -> str:
    """The form of one trace."""
    first_ns = min(span["start"] for span in spans)
    ids = {span["id"] for span in spans}

    def below(parent: str, path: tuple[str, ...]) -> list[Any]:
        return sorted(
            repr(_of(span, first_ns, below(span["id"], (*path, parent))))
            for span in spans
            if span["parent"] == parent and span["id"] not in (*path, parent)
        )

    strangers = sum(1 for span in spans if span["parent"] and span["parent"] not in ids)
    return repr((len(spans), strangers, below("", ())))


def _of(span: Mapping[str, Any], first_ns: int, children: list[Any]) -> tuple[Any, ...]:
    events = [(time_ns - first_ns, name, given) for time_ns, name, given in span["events"]]
    return (
        *(span[name] for name in ("service", "name", "kind", "status", "attributes", "resource")),
        span["start"] - first_ns,
        span["end"] - first_ns,
        events,
        span["links"],
        children,
    )


def _plain(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((key, _text(value)) for key, value in attributes.items())


def _text(value: Any) -> str:
    """A value with its type, as texts compare."""
    match value:
        case list():
            return repr([_text(inner) for inner in value])
        case dict():
            return repr({key: _text(inner) for key, inner in value.items()})
        case _:
            return f"{type(value).__name__} {value!r}"


def _read(attributes: Iterable[Any]) -> list[tuple[str, str]]:
    return sorted((each.key, _text(_value(each.value))) for each in attributes)


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(inner) for inner in value.array_value.values]
        case "kvlist_value":
            return {each.key: _value(each.value) for each in value.kvlist_value.values}
        case field:
            return getattr(value, field)
