"""Log records from columns to bytes: an encoder for every shape.

A row becomes one ``log_records`` field of ``ScopeLogs``, tag and length included, so that any run
of rows can stand in a request as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    LogRecordFlags,
    ScopeLogs,
    SeverityNumber,
)

from motel_locust.otlp.attributes import content_segments
from motel_locust.otlp.blocks import NOTHING
from motel_locust.otlp.contents import Content, SpanId, Time, TraceId
from motel_locust.otlp.pieces import write
from motel_locust.otlp.segments import Enclosed, Prefix, bounds_of, plan_all
from motel_locust.otlp.texts import text_segments
from motel_locust.otlp.wire import field_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.records import LogColumns, LogShape
    from motel_locust.otlp.blocks import Encoded
    from motel_locust.otlp.contents import Field
    from motel_locust.otlp.segments import Frame, Segment

SAMPLED = 1
"""Of the trace flags, https://www.w3.org/TR/trace-context/#sampled-flag; every span is sampled."""
assert SAMPLED & LogRecordFlags.LOG_RECORD_FLAGS_TRACE_FLAGS_MASK

FIXED_COLUMNS = 4
"""Trace id, span id and two times come before those of the shape's values."""


class LogEncoder:
    """Encodes the records of one *shape*. It keeps its templates, so make it once."""

    def __init__(self, shape: LogShape) -> None:
        self.shape = shape
        self._fields = _fields(shape)
        content = bounds_of(self._fields)
        self._prefix = Prefix(field_tag(ScopeLogs(log_records=[LogRecord()])), content)
        assert (self._prefix.bounds + content).overhang == 0, "rows would reach into the next"

    def encode(self, columns: LogColumns, trace_id: NDArray[np.void]) -> Encoded:
        """Return the records of *columns*, whose traces have the ids *trace_id*, V16[traces]."""
        rows = len(columns.time_ns)
        if rows == 0:
            return NOTHING
        piece = self._prefix.enclose(plan_all(self._fields, log_frame(columns, trace_id)))
        return write(piece, rows=rows)


def log_content(shape: LogShape) -> Content:
    """Return all that a record has but for a body that varies; frame: that of `log_frame`."""
    fields: list[Field] = [
        TraceId("trace_id", 0),
        SpanId("span_id", 1),
        Time("time_unix_nano", 2),
        Time("observed_time_unix_nano", 3),
        LogRecord(
            severity_number=SeverityNumber.ValueType(shape.severity),
            severity_text=shape.severity.name,
            flags=SAMPLED,
        ),
    ]
    if not varies(shape):
        text = "".join(map(str, shape.body))
        fields.append(LogRecord(body=AnyValue(string_value=text)))
    return Content(LogRecord, fields, shape.attributes, first=FIXED_COLUMNS)


def varies(shape: LogShape) -> bool:
    """Return whether the text of the body differs from row to row."""
    return not all(isinstance(part, str) for part in shape.body)


def log_frame(columns: LogColumns, trace_id: NDArray[np.void]) -> Frame:
    """Return the frame of `log_content`; from `first_shown` on, that of the body's text."""
    return [
        trace_id[columns.trace],
        columns.span_id,
        columns.time_ns,
        columns.observed_ns,
        *columns.values,
        *columns.shown,
    ]


def first_shown(shape: LogShape) -> int:
    """Return the first column of the body's text in the frame."""
    return FIXED_COLUMNS + len(shape.attributes)


def _fields(shape: LogShape) -> list[Segment]:
    content = content_segments(log_content(shape))
    if not varies(shape):
        return content
    reach = bounds_of(content).least
    words = text_segments(shape.body, first=first_shown(shape), reach=reach)
    value = Enclosed(field_tag(AnyValue(string_value="")), words)
    return [Enclosed(field_tag(LogRecord(body=AnyValue())), [value]), *content]
