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

from motel_locust.otlp.attributes import content_segments, head
from motel_locust.otlp.blocks import NOTHING, Encoded
from motel_locust.otlp.pieces import write
from motel_locust.otlp.segments import Column, Enclosed, Prefix, bounds_of, plan_all
from motel_locust.otlp.texts import text_segments
from motel_locust.otlp.wire import field_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.records import LogColumns, LogShape
    from motel_locust.otlp.segments import Part, Segment

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
        frame = [
            trace_id[columns.trace],
            columns.span_id,
            columns.time_ns,
            columns.observed_ns,
            *columns.values,
            *columns.shown,
        ]
        piece = self._prefix.enclose(plan_all(self._fields, frame))
        content, offsets = write(piece, rows=rows)
        return Encoded(content.data, offsets)


def _fields(shape: LogShape) -> list[Segment]:
    """Return all that a record has; frame: the columns in the order of `LogEncoder.encode`."""
    parts: list[Part] = [
        head(LogRecord(trace_id=_ID_16), _ID_16),
        Column(0, "V16"),
        head(LogRecord(span_id=_ID_8), _ID_8),
        Column(1, "<u8"),
        head(LogRecord(time_unix_nano=_FIXED64), _ID_8),
        Column(2, "<i8"),
        head(LogRecord(observed_time_unix_nano=_FIXED64), _ID_8),
        Column(3, "<i8"),
        LogRecord(
            severity_number=SeverityNumber.ValueType(shape.severity),
            severity_text=shape.severity.name,
            flags=SAMPLED,
        ).SerializeToString(),
    ]
    constant = all(isinstance(part, str) for part in shape.body)
    if constant:
        text = "".join(map(str, shape.body))
        parts.append(LogRecord(body=AnyValue(string_value=text)).SerializeToString())
    content = content_segments(LogRecord, parts, shape.attributes, first=FIXED_COLUMNS)
    if constant:
        return content
    first = FIXED_COLUMNS + len(shape.attributes)
    words = text_segments(shape.body, first=first, reach=bounds_of(content).least)
    value = Enclosed(field_tag(AnyValue(string_value="")), words)
    return [Enclosed(field_tag(LogRecord(body=AnyValue())), [value]), *content]


# Samples to cut heads from; see `attributes.head`.
_ID_16 = bytes(range(0xA0, 0xB0))
_ID_8 = _ID_16[:8]
_FIXED64 = int.from_bytes(_ID_8, "little")
