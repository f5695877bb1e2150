"""Requests as lines of OTLP JSON, as the Collector's file exporter writes them.

OTLP JSON is protobuf's mapping to JSON, but for this: ids are hexadecimal, and enumerations are
numbers (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.requests import REQUESTS

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from motel_locust.otlp.ledger import Signal

IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def request_line(content: bytes, signal: Signal) -> str:
    """Return the request *content* of *signal* as one line, without its end."""
    request = REQUESTS[f"/v1/{signal}"].FromString(content)
    if isinstance(request, ExportTraceServiceRequest):
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    span.status.SetInParent()  # the file exporter writes an empty status too
    return message_text(request)


def message_text(message: Message) -> str:
    """Return *message* as OTLP JSON, without line breaks."""
    return json_text(_with_hexadecimal_ids(MessageToDict(message, use_integers_for_enums=True)))


def json_text(value: Any) -> str:
    """Return *value* as JSON, without line breaks and blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _with_hexadecimal_ids(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: b64decode(inner).hex() if key in IDS else _with_hexadecimal_ids(inner)
                for key, inner in value.items()
            }
        case list():
            return [_with_hexadecimal_ids(inner) for inner in value]
        case _:
            return value
