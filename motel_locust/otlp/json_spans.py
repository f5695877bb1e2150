"""Spans from columns to OTLP JSON: an encoder for every shape.

A row becomes one element of ``spans`` with a comma behind it, so that any run of rows can stand in
a request as it is, but for the last comma.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from motel_locust.otlp.blocks import NOTHING
from motel_locust.otlp.json_segments import List, object_end, object_segments, object_start
from motel_locust.otlp.lines import message_text
from motel_locust.otlp.pieces import Bounds, join, spread, write
from motel_locust.otlp.segments import Table, bounds_of, plan_all
from motel_locust.otlp.spans import (
    error_status,
    event_content,
    exception,
    link_content,
    span_content,
    span_frame,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Columns, Shape
    from motel_locust.otlp.blocks import Encoded
    from motel_locust.otlp.pieces import Piece


class JsonSpanEncoder:
    """Encodes the spans of one *shape*, not of a recording. Make it once: it keeps its templates.

    It takes three to four times as long as `SpanEncoder`, most of it to write the bytes, which are
    two and a half times as many.
    """

    def __init__(self, shape: Shape) -> None:
        assert not shape.recorded, "what was recorded is protobuf"
        self.shape = shape
        content = span_content(shape)
        self._end = object_end(content)
        reach = self._end.bounds.least
        self._start = object_start(content, reach=reach)
        self._events = [
            object_segments(event_content(event), reach=reach)
            for event in (*shape.events, exception(shape.exception_message))
        ]
        self._links = [object_segments(link_content(link), reach=reach) for link in shape.links]
        self._event_list, self._link_list = List("events"), List("links")
        self._status = _status(shape, reach=reach)
        *events, failure = map(bounds_of, self._events)
        bounds = sum(
            [
                bounds_of(self._start),
                self._event_list.bounds.optional(),
                *events,
                failure.optional(),
                self._link_list.bounds.optional(),
                *(bounds_of(link).optional() for link in self._links),
                self._status.bounds,
                self._end.bounds,
            ],
            Bounds(),
        )
        assert bounds.overhang == 0, "rows would reach into the next"

    def encode(self, columns: Columns, trace_id: NDArray[np.void]) -> Encoded:
        """Return the spans of *columns*, whose traces have the ids *trace_id*, V16[traces]."""
        rows = len(columns.start_ns)
        if rows == 0:
            return NOTHING
        frame = span_frame(columns, trace_id)
        pieces = plan_all(self._start, frame)
        if events := self._plan_events(columns):
            pieces.append(self._event_list.enclose(events))
        if links := self._plan_links(columns):
            pieces.append(self._link_list.enclose(links))
        pieces.append(self._status.plan([columns.failed.astype(np.int64)]))
        pieces.append(self._end.plan(frame))
        return write(join(pieces), rows=rows)

    def _plan_events(self, columns: Columns) -> list[Piece]:
        *events, failure = self._events
        pieces = [
            join(plan_all(event, [columns.start_ns + shape.delay_ns, *values]))
            for event, shape, values in zip(events, self.shape.events, columns.events, strict=True)
        ]
        failed = columns.failed.nonzero()[0]
        if len(failed):
            piece = join(plan_all(failure, [columns.end_ns[failed]]))
            pieces.append(spread(piece, failed, rows=len(columns.failed)))
        return pieces

    def _plan_links(self, columns: Columns) -> list[Piece]:
        pieces = []
        for link, found in zip(self._links, columns.links, strict=True):
            if len(found.chosen):
                piece = join(plan_all(link, [found.trace_id, found.span_id, *found.values]))
                pieces.append(spread(piece, found.chosen, rows=len(columns.failed)))
        return pieces


def _status(shape: Shape, *, reach: int) -> Table:
    """Return the status as a member; frame: 1 where the span failed, else 0."""
    # An empty one is a member too, as the file exporter has it.
    texts = [
        message_text(Span(status=status)) for status in (Status(), error_status(shape.message))
    ]
    return Table({0: [f"{text[1:-1]},".encode() for text in texts]}, reach=reach)
