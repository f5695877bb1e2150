"""Spans of OTLP JSON as a recording holds them: with all that they have."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_id, parse_ns
from motel_locust.commands.importing.intake import LEFT_OUT
from motel_locust.engine import recorded
from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
    RecordedEvent,
    RecordedLink,
    RecordedSpan,
    RecordedStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from motel_locust.commands.importing.intake import OperationIntake
    from motel_locust.engine.recorded import RecordedValue

KINDS: Final = {
    name: number
    for number, word in enumerate(
        ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    )
    for name in (number, f"SPAN_KIND_{word}")
}
"""``Span.SpanKind`` by number and by name."""

ERROR: Final = frozenset({2, "STATUS_CODE_ERROR"})
OK: Final = frozenset({1, "STATUS_CODE_OK"})


def span(
    fields: dict[str, Any], operation: OperationIntake, resource: Iterable[dict[str, Any]]
) -> RecordedSpan:
    """Return the span *fields*, whose ids and times are known to be right.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if an event or a link is not OTLP JSON.
    """
    parent, kind = fields.get("parentSpanId"), KINDS.get(fields.get("kind", 0), 0)
    parent_id = parse_id(parent, SPAN_BYTES) if parent else b""
    status = _status(fields.get("status") or {})
    return RecordedSpan(
        span_id=parse_id(fields["spanId"], SPAN_BYTES).hex(),
        service=operation.service,
        operation=operation.name,
        start_ns=parse_ns(fields["startTimeUnixNano"]),
        end_ns=parse_ns(fields["endTimeUnixNano"]),
        parent_id=parent_id.hex() if any(parent_id) else "",
        failed=status is not None and status.code == recorded.ERROR,
        kind=Kind(kind) if kind else None,
        attributes=_attributes(fields.get("attributes", ())),
        resource=_attributes(resource),
        events=tuple(
            RecordedEvent(
                name=event.get("name", ""),
                time_ns=parse_ns(event.get("timeUnixNano", 0)),
                attributes=_attributes(event.get("attributes", ())),
            )
            for event in fields.get("events", ())
        ),
        links=tuple(
            RecordedLink(
                trace_id=parse_id(link["traceId"], TRACE_BYTES).hex(),
                span_id=parse_id(link["spanId"], SPAN_BYTES).hex(),
                attributes=_attributes(link.get("attributes", ())),
            )
            for link in fields.get("links", ())
        ),
        status=status,
    )


def _status(fields: dict[str, Any]) -> RecordedStatus | None:
    code, message = fields.get("code", 0), fields.get("message", "")
    if code in ERROR:
        return RecordedStatus(recorded.ERROR, message)
    if code in OK:
        return RecordedStatus(recorded.OK, message)
    return RecordedStatus(recorded.UNSET, message) if message else None


def _attributes(listed: Iterable[dict[str, Any]]) -> dict[str, RecordedValue]:
    return {
        each["key"]: _value(each.get("value") or {})
        for each in listed
        if each["key"] not in LEFT_OUT
    }


def _value(fields: dict[str, Any]) -> RecordedValue:
    for kind, content in fields.items():
        match kind:
            case "stringValue" | "boolValue":
                value: RecordedValue = content
                return value
            case "intValue":
                return int(content)
            case "doubleValue":
                return float(content)
            case "bytesValue":
                return b64decode(content)
            case "arrayValue":
                return [_value(each) for each in content.get("values", ())]
            case "kvlistValue":
                listed = content.get("values", ())
                return {each["key"]: _value(each.get("value") or {}) for each in listed}
    return None
