"""Data points from columns to bytes: one or more ``Metric`` messages for each instrument.

A piece is one ``metrics`` field of ``ScopeMetrics``, tag and length included, so that any of them
can stand in a request as they are. All of a point but its attributes has a fixed width, so it is
stamped; the attributes of a series stay the same, so they are encoded once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)

from motel_locust.engine.engine import carry_on
from motel_locust.engine.points import Buckets, ExponentialBuckets
from motel_locust.otlp.attributes import head, key_values, message_field
from motel_locust.otlp.exponential import encode_buckets
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES, Parcel
from motel_locust.otlp.segments import Column, Stamp
from motel_locust.otlp.wire import enclosed, field_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.points import AttributeSet, MetricPoints, MetricShape, PointColumns
    from motel_locust.otlp.segments import Part, Segment

Owner: TypeAlias = "type[NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint]"
"""The class of the messages that are an instrument's points."""

# How many points are put together between two pauses: 3 ms of work where all series are new.
_POINTS_AT_ONCE: Final = 200
# By how much the lengths around many points are wider than those around none.
_LENGTHS: Final = 8


class MetricEncoder:
    """Encodes data points into parcels.

    Args:
        max_body_bytes: points that take more leave in several parcels.
    """

    def __init__(self, *, max_body_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_body_bytes
        self._encoders: dict[MetricShape, _InstrumentEncoder] = {}

    def encode(self, points: MetricPoints, pause: Callable[[], object] = carry_on) -> list[Parcel]:
        """Return the parcels of *points*, none empty; *pause* is called now and then."""
        parcels: list[Parcel] = []
        for pieces in self._fitting(points, pause):
            by_owner: dict[str, list[memoryview]] = {}
            for piece in pieces:
                by_owner.setdefault(piece.owner, []).append(memoryview(piece.content))
            items = sum(piece.points for piece in pieces)
            size = sum(len(piece.content) for piece in pieces)
            parcels.append(Parcel(points.time_ns, items, size, by_owner))
        return parcels

    def _fitting(self, points: MetricPoints, pause: Callable[[], object]) -> Iterator[list[_Piece]]:
        """Yield as many pieces at a time as the limit allows, at least one."""
        fitting: list[_Piece] = []
        size = 0
        for columns in points.columns:
            shape = columns.shape
            if shape not in self._encoders:
                self._encoders[shape] = _InstrumentEncoder(shape)
            for piece in self._encoders[shape].encode(columns, self._max_bytes, pause):
                if fitting and size + len(piece.content) > self._max_bytes:
                    yield fitting
                    fitting, size = [], 0
                fitting.append(piece)
                size += len(piece.content)
        if fitting:
            yield fitting


class _Piece(NamedTuple):
    """Some points of one instrument, as a whole ``metrics`` field of ``ScopeMetrics``."""

    owner: str
    content: bytes
    points: int


class _InstrumentEncoder:
    """Encodes the points of one instrument. It keeps its templates, so make it once."""

    def __init__(self, shape: MetricShape) -> None:
        self._shape = shape
        self._metric = Metric(name=shape.name, unit=shape.unit).SerializeToString()
        temporality = _TEMPORALITIES[shape.temporality]
        self._owner: Owner = NumberDataPoint
        match shape.kind:
            case "histogram":
                self._owner = HistogramDataPoint
                self._kind = field_tag(Metric(histogram=Histogram()))
                self._head = Histogram(aggregation_temporality=temporality).SerializeToString()
                self._point = field_tag(Histogram(data_points=[HistogramDataPoint()]))
                self._exemplar = field_tag(HistogramDataPoint(exemplars=[Exemplar()]))
            case "exponential_histogram":
                self._owner = ExponentialHistogramDataPoint
                self._kind = field_tag(Metric(exponential_histogram=ExponentialHistogram()))
                self._head = ExponentialHistogram(
                    aggregation_temporality=temporality
                ).SerializeToString()
                self._point = field_tag(
                    ExponentialHistogram(data_points=[ExponentialHistogramDataPoint()])
                )
                self._exemplar = field_tag(ExponentialHistogramDataPoint(exemplars=[Exemplar()]))
            case "sum":
                self._kind = field_tag(Metric(sum=Sum()))
                self._head = Sum(
                    aggregation_temporality=temporality, is_monotonic=shape.monotonic
                ).SerializeToString()
                self._point = field_tag(Sum(data_points=[NumberDataPoint()]))
                self._exemplar = field_tag(NumberDataPoint(exemplars=[Exemplar()]))
            case "gauge":
                self._kind = field_tag(Metric(gauge=Gauge()))
                self._head = b""
                self._point = field_tag(Gauge(data_points=[NumberDataPoint()]))
                self._exemplar = field_tag(NumberDataPoint(exemplars=[Exemplar()]))
        self._attributes: WeakKeyDictionary[AttributeSet, bytes] = WeakKeyDictionary()
        self._stamps: dict[str, tuple[Segment, Segment]] = {}

    def encode(
        self, columns: PointColumns, max_bytes: int, pause: Callable[[], object]
    ) -> Iterator[_Piece]:
        """Yield the points of *columns* in pieces of at most *max_bytes*, or of one point."""
        points: list[bytes] = []
        size, most = 0, max_bytes - len(self._enclosed([])) - _LENGTHS
        for message in self._messages(columns):
            if points and size + len(message) > most:
                yield _Piece(columns.owner, self._enclosed(points), len(points))
                points, size = [], 0
            points.append(message)
            size += len(message)
            if len(points) % _POINTS_AT_ONCE == 0:
                pause()
        yield _Piece(columns.owner, self._enclosed(points), len(points))
        pause()

    def _enclosed(self, points: Sequence[bytes]) -> bytes:
        """Return the ``metrics`` field with *points*."""
        return enclosed(
            _METRIC, self._metric + enclosed(self._kind, b"".join((self._head, *points)))
        )

    def _messages(self, columns: PointColumns) -> Iterator[bytes]:
        """Yield the ``data_points`` field of each point."""
        dtype = columns.value.dtype.str
        if dtype not in self._stamps:
            self._stamps[dtype] = (
                Stamp(self._point_parts(dtype)),
                message_field(self._exemplar, [Stamp(_exemplar_parts(dtype))]),
            )
        stamp, exemplar = self._stamps[dtype]
        fixed = _rows(stamp, self._frame(columns))
        buckets: Iterable[bytes] = [b""] * len(fixed)
        if isinstance(columns.buckets, ExponentialBuckets):
            buckets = encode_buckets(columns.buckets)
        shown = [b""] * len(fixed)
        if columns.exemplars is not None:
            found = columns.exemplars
            frame = [found.time_ns, found.value, found.span_id, found.trace_id]
            shown = _rows(exemplar, frame, np.bincount(found.point, minlength=len(fixed)))
        for attributes, *rest in zip(columns.attributes, fixed, buckets, shown, strict=True):
            yield enclosed(self._point, b"".join((self._encoded(attributes), *rest)))

    def _encoded(self, attributes: AttributeSet) -> bytes:
        found = self._attributes.get(attributes)
        if found is None:
            found = self._owner(
                attributes=key_values(dict(attributes.attributes))
            ).SerializeToString()
            self._attributes[attributes] = found
        return found

    def _frame(self, columns: PointColumns) -> list[NDArray[Any]]:
        """Return what :meth:`_point_parts` asks for."""
        points = len(columns.attributes)
        frame: list[NDArray[Any]] = [
            columns.value,
            np.full(points, columns.start_ns),
            np.full(points, columns.time_ns),
        ]
        match columns.buckets:
            case Buckets() as buckets:
                counts = np.ascontiguousarray(buckets.count)
                frame += [
                    counts.sum(axis=1),
                    counts.view(f"V{counts.dtype.itemsize * counts.shape[1]}")[:, 0],
                    buckets.least,
                    buckets.greatest,
                ]
            case ExponentialBuckets() as buckets:
                frame += [buckets.total, buckets.zeros, buckets.least, buckets.greatest]
        return frame

    def _point_parts(self, dtype: str) -> list[Part]:
        """Return all of a point that has a fixed width; frame: see :meth:`_frame`."""
        if self._owner is HistogramDataPoint:
            bounds = self._shape.bounds
            counts = struct.pack(f"<{len(bounds) + 1}Q", *[1] * (len(bounds) + 1))
            return _histogram_parts(
                HistogramDataPoint,
                [
                    head(HistogramDataPoint(bucket_counts=[1] * (len(bounds) + 1)), counts),
                    Column(4, f"V{len(counts)}"),
                    HistogramDataPoint(explicit_bounds=bounds).SerializeToString(),
                ],
            )
        if self._owner is ExponentialHistogramDataPoint:
            zeros = head(ExponentialHistogramDataPoint(zero_count=_FIXED64), _SAMPLE)
            return _histogram_parts(ExponentialHistogramDataPoint, [zeros, Column(4, "<i8")])
        whole = np.dtype(dtype).kind == "i"
        value = NumberDataPoint(as_int=_FIXED64) if whole else NumberDataPoint(as_double=_DOUBLE)
        return [
            head(value, _SAMPLE),
            Column(0, dtype),
            head(NumberDataPoint(start_time_unix_nano=_FIXED64), _SAMPLE),
            Column(1, "<i8"),
            head(NumberDataPoint(time_unix_nano=_FIXED64), _SAMPLE),
            Column(2, "<i8"),
        ]


def _histogram_parts(
    owner: type[HistogramDataPoint | ExponentialHistogramDataPoint], counts: Sequence[Part]
) -> list[Part]:
    """Return what both kinds of histograms have; *counts* is what they have in other ways."""
    return [
        head(owner(sum=_DOUBLE), _SAMPLE),
        Column(0, "<f8"),
        head(owner(start_time_unix_nano=_FIXED64), _SAMPLE),
        Column(1, "<i8"),
        head(owner(time_unix_nano=_FIXED64), _SAMPLE),
        Column(2, "<i8"),
        head(owner(count=_FIXED64), _SAMPLE),
        Column(3, "<i8"),
        *counts,
        head(owner(min=_DOUBLE), _SAMPLE),
        Column(5, "<f8"),
        head(owner(max=_DOUBLE), _SAMPLE),
        Column(6, "<f8"),
    ]


def _exemplar_parts(dtype: str) -> list[Part]:
    """Return an exemplar; frame: time, value, span id and trace id."""
    whole = np.dtype(dtype).kind == "i"
    value = Exemplar(as_int=_FIXED64) if whole else Exemplar(as_double=_DOUBLE)
    return [
        head(Exemplar(time_unix_nano=_FIXED64), _SAMPLE),
        Column(0, "<i8"),
        head(value, _SAMPLE),
        Column(1, dtype),
        head(Exemplar(span_id=_SAMPLE), _SAMPLE),
        Column(2, "<u8"),
        head(Exemplar(trace_id=_SAMPLE * 2), _SAMPLE * 2),
        Column(3, "V16"),
    ]


def _rows(
    segment: Segment, frame: Sequence[NDArray[Any]], rows: NDArray[np.int64] | None = None
) -> list[bytes]:
    """Return what a *segment* of fixed width makes of each row of *frame*.

    Or of several at a time: *rows*, int64[messages], adds up to all of them.
    """
    (put,) = segment.plan(frame).puts
    width, content = put.items.dtype.itemsize, put.items.tobytes()
    if rows is None:
        return [content[at : at + width] for at in range(0, len(content), width)]
    ends = rows.cumsum() * width
    starts = (ends - rows * width).tolist()
    return [content[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]


_METRIC: Final = field_tag(ScopeMetrics(metrics=[Metric()]))
_TEMPORALITIES: Final = {
    "cumulative": AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    "delta": AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
}

# Samples to cut heads from; see `attributes.head`.
_SAMPLE: Final = bytes(range(0x21, 0x29))
_FIXED64: Final = int.from_bytes(_SAMPLE, "little")
(_DOUBLE,) = struct.unpack("<d", _SAMPLE)
