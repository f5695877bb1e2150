"""Messages as OTLP JSON, and requests as lines, as the Collector's file exporter writes them.

OTLP JSON is protobuf's mapping to JSON, but for this: ids are hexadecimal, and enumerations are
numbers (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import math
from base64 import b64encode
from functools import cache
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.requests import ID_KEYS, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from motel_locust.otlp.ledger import Signal


def request_line(content: bytes, signal: Signal) -> str:
    """Return the request *content* of *signal* as one line, without its end."""
    request = REQUESTS[f"/v1/{signal}"].FromString(content)
    if isinstance(request, ExportTraceServiceRequest):
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    span.status.SetInParent()  # the file exporter writes an empty status too
    return message_text(request)


# Written here, as google's json_format takes four times as long: it makes dictionaries first.
def message_text(message: Message) -> str:
    """Return *message* as OTLP JSON, without line breaks and blanks."""
    members = [_writer(field)(value) for field, value in message.ListFields()]
    return f"{{{','.join(members)}}}"


string_text: Final[Callable[[str], str]] = JSONEncoder(ensure_ascii=False).encode
"""Returns a text as JSON, quotes included."""


def double_text(value: float) -> str:
    """Return *value* as JSON; what is no number is a text."""
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


@cache
def _writer(field: FieldDescriptor) -> Callable[[Any], str]:
    """Return what makes a member of an object of the value of *field*."""
    name, write = f'"{field.json_name}":', _value_writer(field)
    if field.is_repeated:
        return lambda values: f"{name}[{','.join(map(write, values))}]"
    return lambda value: name + write(value)


def _value_writer(field: FieldDescriptor) -> Callable[[Any], str]:
    """Return what writes one value of *field*; OTLP has no maps and no floats."""
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return message_text
        case FieldDescriptor.TYPE_STRING:
            return string_text
        case FieldDescriptor.TYPE_BYTES if field.json_name in ID_KEYS:
            return lambda value: f'"{value.hex()}"'
        case FieldDescriptor.TYPE_BYTES:
            return lambda value: f'"{b64encode(value).decode()}"'
        case FieldDescriptor.TYPE_DOUBLE:
            return double_text
        case FieldDescriptor.TYPE_BOOL:
            return lambda value: "true" if value else "false"
        case _ if field.cpp_type in _WIDE:
            return '"{}"'.format
        case _:
            return str


_WIDE: Final = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
"""Numbers that JSON's may not hold, so they are texts."""
