"""Spans from columns to bytes: an encoder for every shape.

A row becomes one ``spans`` field of ``ScopeSpans``, tag and length included, so that any run of
rows can stand in a request as it is. Of the order of fields only this matters: events and links
keep the order of their bytes, and the exception comes after the topology's events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags, Status

from motel_locust.engine.columns import EXCEPTION_TYPE, Constant, EventShape
from motel_locust.otlp.attributes import content_segments, head, message_field
from motel_locust.otlp.blocks import NOTHING, Encoded
from motel_locust.otlp.pieces import Bounds, join, spread, write
from motel_locust.otlp.segments import Column, Prefix, Stamp, bounds_of, plan_all
from motel_locust.otlp.wire import field_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Columns, LinkShape, Recorded, Shape
    from motel_locust.otlp.pieces import Piece
    from motel_locust.otlp.segments import Part, Segment

FLAGS = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
"""Of every span and link: sampled, and known to be not remote."""


class SpanEncoder:
    """Encodes the spans of one *shape*. It keeps its templates, so make it once."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._events = [_event(event) for event in shape.events]
        self._own_events = [_own_event(recorded) for recorded in shape.own_events]
        self._links = [_link(link) for link in shape.links]
        self._failure = [] if shape.recorded else _failure(shape)
        self._fields = _fields(shape)
        content = sum(
            [
                *(event.bounds for event in self._events),
                *(event.bounds.optional() for event in self._own_events),
                *(link.bounds.optional() for link in self._links),
                bounds_of(self._failure).optional(),
                bounds_of(self._fields),
            ],
            Bounds(),
        )
        self._prefix = Prefix(field_tag(ScopeSpans(spans=[Span()])), content)
        assert (self._prefix.bounds + content).overhang == 0, "rows would reach into the next"

    def encode(self, columns: Columns, trace_id: NDArray[np.void]) -> Encoded:
        """Return the spans of *columns*, whose traces have the ids *trace_id*, V16[traces]."""
        rows = len(columns.start_ns)
        if rows == 0:
            return NOTHING
        content, offsets = write(self._prefix.enclose(self._plan(columns, trace_id)), rows=rows)
        return Encoded(content.data, offsets)

    def _plan(self, columns: Columns, trace_id: NDArray[np.void]) -> list[Piece]:
        rows = len(columns.start_ns)
        pieces: list[Piece] = []
        for event, shape, values in zip(
            self._events, self.shape.events, columns.events, strict=True
        ):
            pieces.append(event.plan([columns.start_ns + shape.delay_ns, *values]))
        for event, had in zip(self._own_events, columns.own_events, strict=True):
            if len(had.chosen):
                piece = event.plan([had.time_ns, had.recorded])
                pieces.append(spread(piece, had.chosen, rows=rows))
        for link, found in zip(self._links, columns.links, strict=True):
            if len(found.chosen):
                piece = link.plan([found.trace_id, found.span_id, *found.values])
                pieces.append(spread(piece, found.chosen, rows=rows))
        failed = columns.failed.nonzero()[0]
        if self._failure and len(failed):
            piece = join(plan_all(self._failure, [columns.end_ns[failed]]))
            pieces.append(spread(piece, failed, rows=rows))
        fields = [
            trace_id[columns.trace],
            columns.span_id,
            columns.start_ns,
            columns.end_ns,
            columns.parent_id,
            *columns.values,
        ]
        return [*pieces, *plan_all(self._fields, fields)]


def _fields(shape: Shape) -> list[Segment]:
    """Return what every span has; frame: the columns in the order of `SpanEncoder._plan`."""
    parts: list[Part] = [
        head(Span(trace_id=_ID_16), _ID_16),
        Column(0, "V16"),
        head(Span(span_id=_ID_8), _ID_8),
        Column(1, "<u8"),
        head(Span(start_time_unix_nano=_FIXED64), _ID_8),
        Column(2, "<i8"),
        head(Span(end_time_unix_nano=_FIXED64), _ID_8),
        Column(3, "<i8"),
        Span(
            name="" if shape.recorded else shape.name,
            kind=Span.SpanKind.ValueType(shape.kind),
            flags=FLAGS,
        ).SerializeToString(),
    ]
    if shape.has_parent:
        parts += [head(Span(parent_span_id=_ID_8), _ID_8), Column(4, "<u8")]
    return content_segments(Span, parts, shape.attributes, first=5)


def _event(shape: EventShape) -> Segment:
    """Return one ``Span.events``; frame: its time and the columns of its attributes."""
    parts: list[Part] = [
        head(Span.Event(time_unix_nano=_FIXED64), _ID_8),
        Column(0, "<i8"),
        Span.Event(name=shape.name).SerializeToString(),
    ]
    return message_field(
        field_tag(Span(events=[Span.Event()])),
        content_segments(Span.Event, parts, shape.attributes, first=1),
    )


def _own_event(recorded: Recorded) -> Segment:
    """Return one ``Span.events``; frame: its time and which of the options it is."""
    parts: list[Part] = [head(Span.Event(time_unix_nano=_FIXED64), _ID_8), Column(0, "<i8")]
    return message_field(
        field_tag(Span(events=[Span.Event()])),
        content_segments(Span.Event, parts, [recorded], first=1),
    )


def _link(shape: LinkShape) -> Segment:
    """Return one ``Span.links``; frame: trace id, span id and the columns of its attributes."""
    parts: list[Part] = [
        head(Span.Link(trace_id=_ID_16), _ID_16),
        Column(0, "V16"),
        head(Span.Link(span_id=_ID_8), _ID_8),
        Column(1, "<u8"),
        Span.Link(flags=FLAGS).SerializeToString(),
    ]
    return message_field(
        field_tag(Span(links=[Span.Link()])),
        content_segments(Span.Link, parts, shape.attributes, first=2),
    )


def _failure(shape: Shape) -> list[Segment]:
    """Return what a failed span has besides; frame: the span's end."""
    status = Status(code=Status.STATUS_CODE_ERROR, message=shape.message)
    exception = EventShape(
        name="exception",
        delay_ns=0,
        attributes=(
            Constant("exception.type", EXCEPTION_TYPE),
            Constant("exception.message", shape.exception_message),
        ),
    )
    return [Stamp([Span(status=status).SerializeToString()]), _event(exception)]


# Samples to cut heads from; see `attributes.head`.
_ID_16 = bytes(range(0xA0, 0xB0))
_ID_8 = _ID_16[:8]
_FIXED64 = int.from_bytes(_ID_8, "little")
