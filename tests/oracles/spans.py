"""Spans made from their columns one at a time, in plain Python.

`span` fills a message of opentelemetry-proto. `sdk_span` makes a span of the OpenTelemetry SDK for
the SDK's own encoder, so that a field we misunderstand is not misunderstood twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status as SdkStatus
from opentelemetry.trace.status import StatusCode

from motel_locust.engine.columns import (
    EXCEPTION_TYPE,
    Choice,
    Constant,
    Double,
    Integer,
    Numbered,
    Spelled,
)
from tests.oracles.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Attribute, Columns, LinkColumns, Value, ValueColumn

FLAGS = 0x101  # sampled; known to be not remote


def drawn(attribute: Attribute, column: ValueColumn, row: int) -> Value | tuple[str, ...]:
    """Return the value that a row has for an attribute."""
    if isinstance(attribute, Constant):
        return attribute.value
    assert column is not None
    match attribute:
        case Choice(_, options):
            return options[column[row]]
        case Integer() | Double():
            return column[row].item()
        case Numbered(_, parts):
            return str(column[row]).join(parts)
        case Spelled(key, length):
            return spelled(key, int(column[row]), length)


def drawn_all(
    attributes: tuple[Attribute, ...], columns: tuple[ValueColumn, ...], row: int
) -> dict[str, Value | tuple[str, ...]]:
    """Return all attributes of a row, by key."""
    return {
        attribute.key: drawn(attribute, column, row)
        for attribute, column in zip(attributes, columns, strict=True)
    }


def id_bytes(column: NDArray[np.uint64], row: int) -> bytes:
    """Return the eight bytes of a span id."""
    return int(column[row]).to_bytes(8, "little")


def links(columns: Columns, row: int) -> Iterator[tuple[LinkColumns, tuple[Attribute, ...], int]]:
    """Yield the links that a row has: columns, attributes and row of each."""
    for shape, found in zip(columns.shape.links, columns.links, strict=True):
        for index in (found.chosen == row).nonzero()[0].tolist():
            yield found, shape.attributes, index


def exception(columns: Columns) -> dict[str, str]:
    """Return the attributes of a failed span's last event."""
    return {
        "exception.type": EXCEPTION_TYPE,
        "exception.message": columns.shape.exception_message,
    }


def any_value(value: Value | tuple[str, ...]) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(array_value=ArrayValue(values=[any_value(each) for each in value]))


def key_values(attributes: dict[str, Value | tuple[str, ...]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(columns: Columns, row: int, trace_id: NDArray[np.void]) -> Span:
    """Return the span of a row as its message."""
    shape = columns.shape
    made = Span(
        trace_id=trace_id[columns.trace[row]].tobytes(),
        span_id=id_bytes(columns.span_id, row),
        flags=FLAGS,
        name=shape.name,
        kind=Span.SpanKind.ValueType(shape.kind),
        start_time_unix_nano=int(columns.start_ns[row]),
        end_time_unix_nano=int(columns.end_ns[row]),
        attributes=key_values(drawn_all(shape.attributes, columns.values, row)),
    )
    if columns.parent_id is not None:
        made.parent_span_id = id_bytes(columns.parent_id, row)
    for event, values in zip(shape.events, columns.events, strict=True):
        made.events.add(
            name=event.name,
            time_unix_nano=int(columns.start_ns[row]) + event.delay_ns,
            attributes=key_values(drawn_all(event.attributes, values, row)),
        )
    for found, attributes, index in links(columns, row):
        made.links.add(
            trace_id=found.trace_id[index].tobytes(),
            span_id=id_bytes(found.span_id, index),
            flags=FLAGS,
            attributes=key_values(drawn_all(attributes, found.values, index)),
        )
    if columns.failed[row]:
        made.status.code = Status.STATUS_CODE_ERROR
        made.status.message = shape.message
        made.events.add(
            name="exception",
            time_unix_nano=int(columns.end_ns[row]),
            attributes=key_values(exception(columns)),
        )
    return made


def context(trace_id: bytes, span_id: bytes) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def sdk_span(columns: Columns, row: int, trace_id: NDArray[np.void]) -> ReadableSpan:
    """Return the span of a row as the SDK has it."""
    shape = columns.shape
    trace = trace_id[columns.trace[row]].tobytes()
    start_ns, end_ns = int(columns.start_ns[row]), int(columns.end_ns[row])
    failed = bool(columns.failed[row])
    events = [
        Event(event.name, drawn_all(event.attributes, values, row), start_ns + event.delay_ns)
        for event, values in zip(shape.events, columns.events, strict=True)
    ]
    if failed:
        events.append(Event("exception", exception(columns), end_ns))
    parent = columns.parent_id
    return ReadableSpan(
        shape.name,
        context=context(trace, id_bytes(columns.span_id, row)),
        parent=None if parent is None else context(trace, id_bytes(parent, row)),
        kind=SpanKind[shape.kind.name],
        start_time=start_ns,
        end_time=end_ns,
        attributes=drawn_all(shape.attributes, columns.values, row),
        events=events,
        links=[
            Link(
                context(found.trace_id[index].tobytes(), id_bytes(found.span_id, index)),
                drawn_all(attributes, found.values, index),
            )
            for found, attributes, index in links(columns, row)
        ],
        status=SdkStatus(StatusCode.ERROR, shape.message) if failed else SdkStatus(),
    )


def with_trace_flags(message: Span) -> Span:
    """Return a *message* of the SDK's encoder with the bits of the flags that it leaves out.

    The specification puts the W3C trace flags into the lowest eight bits; the SDK for Python, other
    than the one for Go, leaves them zero.
    """
    completed = Span.FromString(message.SerializeToString())
    for owner in (completed, *completed.links):
        owner.flags |= TraceFlags.SAMPLED
    return completed


def normal_form(message: Span) -> bytes:
    """Return what is equal for equal spans.

    Attributes have no order, a status may be empty or missing, and NaN is to equal itself.
    """
    ordered = Span.FromString(message.SerializeToString())
    ordered.status.SetInParent()
    for owner in (ordered, *ordered.events, *ordered.links):
        attributes = sorted(owner.attributes, key=lambda attribute: attribute.key)
        del owner.attributes[:]
        owner.attributes.extend(attributes)
    return ordered.SerializeToString(deterministic=True)
