"""Log records from columns to OTLP JSON: an encoder for every shape.

A row becomes one element of ``logRecords`` with a comma behind it, so that any run of rows can
stand in a request as it is, but for the last comma.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.otlp.blocks import NOTHING
from motel_locust.otlp.json_segments import escaped, object_end, object_start
from motel_locust.otlp.logs import first_shown, log_content, log_frame, varies
from motel_locust.otlp.pieces import join, write
from motel_locust.otlp.segments import Stamp, bounds_of, plan_all
from motel_locust.otlp.texts import text_segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.records import LogColumns, LogShape
    from motel_locust.otlp.blocks import Encoded
    from motel_locust.otlp.segments import Segment


class JsonLogEncoder:
    """Encodes the records of one *shape*. It keeps its templates, so make it once."""

    def __init__(self, shape: LogShape) -> None:
        self.shape = shape
        content = log_content(shape)
        end = object_end(content)
        reach = end.bounds.least
        body = _body(shape, reach=reach) if varies(shape) else []
        self._segments = [*object_start(content, reach=reach), *body, end]
        assert bounds_of(self._segments).overhang == 0, "rows would reach into the next"

    def encode(self, columns: LogColumns, trace_id: NDArray[np.void]) -> Encoded:
        """Return the records of *columns*, whose traces have the ids *trace_id*, V16[traces]."""
        rows = len(columns.time_ns)
        if rows == 0:
            return NOTHING
        piece = join(plan_all(self._segments, log_frame(columns, trace_id)))
        return write(piece, rows=rows)


def _body(shape: LogShape, *, reach: int) -> list[Segment]:
    """Return a body that varies, as a member."""
    words = text_segments(shape.body, first=first_shown(shape), reach=reach, escape=escaped)
    return [Stamp([b'"body":{"stringValue":"']), *words, Stamp([b'"},'])]
