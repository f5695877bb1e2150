"""Spans of OTLP protobuf as a recording holds them: with all that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Status

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

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.commands.importing.intake import OperationIntake
    from motel_locust.engine.recorded import RecordedValue

_KINDS: Final = frozenset(map(int, Kind))
_CODES: Final = {Status.STATUS_CODE_ERROR: recorded.ERROR, Status.STATUS_CODE_OK: recorded.OK}


def span(message: Span, operation: OperationIntake, resource: Resource) -> RecordedSpan:
    """Return the span *message*, whose ids and times are known to be right."""
    status = message.status
    code = _CODES.get(status.code, recorded.UNSET)
    told = code != recorded.UNSET or status.message
    return RecordedSpan(
        span_id=message.span_id.hex(),
        service=operation.service,
        operation=operation.name,
        start_ns=message.start_time_unix_nano,
        end_ns=message.end_time_unix_nano,
        parent_id=message.parent_span_id.hex() if any(message.parent_span_id) else "",
        failed=code == recorded.ERROR,
        kind=Kind(message.kind) if message.kind in _KINDS else None,
        attributes=_attributes(message.attributes),
        resource=_attributes(resource.attributes),
        events=tuple(
            RecordedEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in message.events
        ),
        links=tuple(
            RecordedLink(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
            for link in message.links
        ),
        status=RecordedStatus(code, status.message) if told else None,
    )


def _attributes(listed: Iterable[KeyValue]) -> dict[str, RecordedValue]:
    return {each.key: _value(each.value) for each in listed if each.key not in LEFT_OUT}


def _value(value: AnyValue) -> RecordedValue:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: _value(each.value) for each in value.kvlist_value.values}
        case kind:
            content: RecordedValue = getattr(value, kind)
            return content
