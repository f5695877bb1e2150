"""Spans from columns to bytes: an encoder for every shape.

A row becomes one ``spans`` field of ``ScopeSpans``, tag and length included, so that any run of
rows can stand in a request as it is. Of the order of fields only this matters: events and links
keep the order of their bytes, and the exception comes after the topology's events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags, Status

from motel_locust.engine.columns import EXCEPTION_TYPE, Constant, EventShape
from motel_locust.otlp.attributes import content_segments, message_field
from motel_locust.otlp.blocks import NOTHING
from motel_locust.otlp.contents import Content, SpanId, Time, TraceId
from motel_locust.otlp.pieces import Bounds, join, spread, write
from motel_locust.otlp.segments import Prefix, Stamp, bounds_of, plan_all
from motel_locust.otlp.wire import field_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Columns, LinkShape, Recorded, Shape
    from motel_locust.otlp.blocks import Encoded
    from motel_locust.otlp.contents import Field
    from motel_locust.otlp.pieces import Piece
    from motel_locust.otlp.segments import Frame, Segment

FLAGS = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
"""Of every span and link: sampled, and known to be not remote."""


FIXED_COLUMNS = 5
"""Trace id, span id, two times and parent id come before those of the shape's values."""


class SpanEncoder:
    """Encodes the spans of one *shape*. It keeps its templates, so make it once."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._events = [_event(event_content(event)) for event in shape.events]
        self._own_events = [_own_event(recorded) for recorded in shape.own_events]
        self._links = [_link(link_content(link)) for link in shape.links]
        self._failure = None if shape.recorded else Failure(shape.message, shape.exception_message)
        self._fields = content_segments(span_content(shape))
        self._prefix = span_prefix(
            *(event.bounds for event in self._events),
            *(event.bounds.optional() for event in self._own_events),
            *(link.bounds.optional() for link in self._links),
            *([self._failure.bounds] if self._failure else []),
            bounds_of(self._fields),
        )

    def encode(self, columns: Columns, trace_id: NDArray[np.void]) -> Encoded:
        """Return the spans of *columns*, whose traces have the ids *trace_id*, V16[traces]."""
        rows = len(columns.start_ns)
        if rows == 0:
            return NOTHING
        return write(self._prefix.enclose(self._plan(columns, trace_id)), rows=rows)

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
        if self._failure:
            pieces += self._failure.plan(columns.failed, columns.end_ns)
        return [*pieces, *plan_all(self._fields, span_frame(columns, trace_id))]


class Failure:
    """What failed spans have besides: a status with *message*, and an event ``exception``."""

    def __init__(self, message: str, exception_message: str) -> None:
        status = Span(status=error_status(message)).SerializeToString()
        event = _event(event_content(exception(exception_message)))
        self._segments: list[Segment] = [Stamp([status]), event]
        self.bounds = bounds_of(self._segments).optional()

    def plan(self, failed: NDArray[np.bool_], end_ns: NDArray[np.int64]) -> list[Piece]:
        """Return the piece of all rows; none if none of them *failed*."""
        rows = failed.nonzero()[0]
        if not len(rows):
            return []
        piece = join(plan_all(self._segments, [end_ns[rows]]))
        return [spread(piece, rows, rows=len(failed))]


def span_prefix(*content: Bounds) -> Prefix:
    """Return what stands before a span of *content*, the bounds of all that a row may have."""
    bounds = sum(content, Bounds())
    prefix = Prefix(field_tag(ScopeSpans(spans=[Span()])), bounds)
    assert (prefix.bounds + bounds).overhang == 0, "rows would reach into the next"
    return prefix


def span_fields(*, has_parent: bool) -> list[Field]:
    """Return the fields of a span that have columns."""
    fields: list[Field] = [
        TraceId("trace_id", 0),
        SpanId("span_id", 1),
        Time("start_time_unix_nano", 2),
        Time("end_time_unix_nano", 3),
    ]
    return [*fields, SpanId("parent_span_id", 4)] if has_parent else fields


def span_content(shape: Shape) -> Content:
    """Return what every span has but for events and links; frame: that of `span_frame`."""
    own = Span(
        name="" if shape.recorded else shape.name,
        kind=Span.SpanKind.ValueType(shape.kind),
        flags=FLAGS,
    )
    fields = [*span_fields(has_parent=shape.has_parent), own]
    return Content(Span, fields, shape.attributes, first=FIXED_COLUMNS)


def span_frame(columns: Columns, trace_id: NDArray[np.void]) -> Frame:
    """Return the frame of `span_content`."""
    return [
        trace_id[columns.trace],
        columns.span_id,
        columns.start_ns,
        columns.end_ns,
        columns.parent_id,
        *columns.values,
    ]


def event_content(shape: EventShape) -> Content:
    """Return what an event has; frame: its time and the columns of its attributes."""
    fields: list[Field] = [Time("time_unix_nano", 0), Span.Event(name=shape.name)]
    return Content(Span.Event, fields, shape.attributes, first=1)


def link_content(shape: LinkShape) -> Content:
    """Return what a link has; frame: trace id, span id and the columns of its attributes."""
    fields: list[Field] = [
        TraceId("trace_id", 0),
        SpanId("span_id", 1),
        Span.Link(flags=FLAGS),
    ]
    return Content(Span.Link, fields, shape.attributes, first=2)


def error_status(message: str) -> Status:
    """Return the status of a failed span."""
    return Status(code=Status.STATUS_CODE_ERROR, message=message)


def exception(message: str) -> EventShape:
    """Return the event at the end of a failed span."""
    return EventShape(
        name="exception",
        delay_ns=0,
        attributes=(
            Constant("exception.type", EXCEPTION_TYPE),
            Constant("exception.message", message),
        ),
    )


def _event(content: Content) -> Segment:
    return message_field(field_tag(Span(events=[Span.Event()])), content_segments(content))


def _own_event(recorded: Recorded) -> Segment:
    """Return one ``Span.events``; frame: its time and which of the options it is."""
    return _event(Content(Span.Event, [Time("time_unix_nano", 0)], [recorded], first=1))


def _link(content: Content) -> Segment:
    return message_field(field_tag(Span(links=[Span.Link()])), content_segments(content))
