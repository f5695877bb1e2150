from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    Metric,
    ScopeMetrics,
)

from motel_locust.engine.points import (
    AttributeSet,
    Buckets,
    Exemplars,
    ExponentialBuckets,
    MetricPoints,
    MetricShape,
    PointColumns,
    Stretches,
)
from motel_locust.otlp.metrics import MetricEncoder
from motel_locust.otlp.parcels import Parcel
from tests.strategies import SERVICES, arrays, doubles, ids, int64s, texts, trace_ids, values

TIME_NS = 1_700_000_000_000_000_000
LIMIT = 5_000
counts = st.integers(0, 2**63 - 1)
TEMPORALITIES = {
    "cumulative": AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    "delta": AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
}


@st.composite
def metric_shapes(draw: st.DrawFn) -> MetricShape:
    kind = draw(st.sampled_from(["sum", "histogram", "exponential_histogram", "gauge"]))
    bounds = sorted(draw(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=15)))
    return MetricShape(
        draw(st.sampled_from(SERVICES)),
        draw(texts),
        draw(texts),
        kind,
        monotonic=draw(st.booleans()),
        temporality=draw(st.sampled_from(["cumulative", "delta"])),
        bounds=tuple(bounds) if kind == "histogram" else (),
    )


@st.composite
def attribute_sets(draw: st.DrawFn) -> AttributeSet:
    found = draw(st.dictionaries(texts, values, max_size=3))
    return AttributeSet(tuple(found.items()))


@st.composite
def stretches(draw: st.DrawFn, points: int) -> Stretches:
    """Up to three buckets of each point, the outer ones not empty."""
    few = st.lists(st.integers(1, 3) | st.integers(1, 2**58), max_size=3)
    found = [draw(few) for _ in range(points)]
    firsts = [draw(st.integers(-(2**30), 2**30)) if each else 0 for each in found]
    return Stretches(
        np.array(firsts),
        np.array([count for each in found for count in each], np.int64),
        np.cumsum([0, *map(len, found)]),
    )


@st.composite
def exponential_buckets(draw: st.DrawFn, points: int) -> ExponentialBuckets:
    return ExponentialBuckets(
        draw(arrays(counts, "i8", points)),
        draw(arrays(st.integers(-10, 20), "i8", points)),
        draw(arrays(counts, "i8", points)),
        draw(stretches(points)),
        draw(stretches(points)),
        draw(arrays(doubles, "f8", points)),
        draw(arrays(doubles, "f8", points)),
    )


@st.composite
def point_columns(draw: st.DrawFn, shape: MetricShape) -> PointColumns:
    sets = draw(st.lists(attribute_sets(), min_size=1, max_size=4))
    sets = (sets * 30)[: draw(st.integers(1, 60))]
    whole = shape.kind == "sum" and draw(st.booleans())
    elements, dtype = (int64s, "i8") if whole else (doubles, "f8")
    points = len(sets)
    buckets: Buckets | ExponentialBuckets | None = None
    if shape.kind == "exponential_histogram":
        buckets = draw(exponential_buckets(points))
    if shape.kind == "histogram":
        cells = points * (len(shape.bounds) + 1)
        least, greatest = draw(arrays(doubles, "f8", points)), draw(arrays(doubles, "f8", points))
        # Their sum has to fit too.
        few = draw(arrays(st.integers(0, 2**58), "i8", cells))
        buckets = Buckets(few.reshape(points, -1), least, greatest)
    chosen = draw(st.lists(st.integers(0, points - 1), max_size=9))
    exemplars = None
    if chosen:
        exemplars = Exemplars(
            np.array(sorted(chosen)),
            draw(arrays(counts, "i8", len(chosen))),
            draw(arrays(elements, dtype, len(chosen))),
            draw(ids(len(chosen))),
            draw(trace_ids(len(chosen))),
        )
    return PointColumns(
        shape,
        tuple(sets),
        draw(arrays(elements, dtype, points)),
        0 if shape.kind == "gauge" else TIME_NS - draw(st.integers(0, 10**12)),
        TIME_NS,
        buckets,
        exemplars,
    )


# All of a service come together, as in a file.
points_strategy = st.lists(metric_shapes().flatmap(point_columns), max_size=4).map(
    lambda columns: MetricPoints(
        TIME_NS, tuple(sorted(columns, key=lambda each: each.shape.service))
    )
)


def parsed(parcels: list[Parcel]) -> list[tuple[str, Metric]]:
    """The metrics of all *parcels* with their services."""
    return [
        (service, metric)
        for parcel in parcels
        for service, pieces in parcel.pieces.items()
        for piece in pieces
        for metric in ScopeMetrics.FromString(piece).metrics
    ]


def points_of(metric: Metric) -> list[Any]:
    return list(getattr(metric, metric.WhichOneof("data")).data_points)


def bits(value: float) -> bytes:
    """A float64 by its bits, as NaN is not itself."""
    return struct.pack("<d", value)


def plain(attributes: Any) -> list[tuple[str, type, Any]]:
    found = []
    for each in attributes:
        value = getattr(each.value, each.value.WhichOneof("value"))
        found.append((each.key, type(value), bits(value) if type(value) is float else value))
    return found


def expected_attributes(of: AttributeSet) -> list[tuple[str, type, Any]]:
    return [
        (key, type(value), bits(value) if type(value) is float else value)
        for key, value in of.attributes
    ]


def shown(exemplar: Exemplar) -> tuple[Any, ...]:
    value = getattr(exemplar, exemplar.WhichOneof("value"))
    return (
        exemplar.time_unix_nano,
        bits(value) if type(value) is float else value,
        exemplar.span_id,
        exemplar.trace_id,
    )


def expected_exemplars(columns: PointColumns, point: int) -> list[tuple[Any, ...]]:
    found = columns.exemplars
    if found is None:
        return []
    return [
        (
            int(found.time_ns[place]),
            bits(value) if type(value := found.value[place].item()) is float else value,
            found.span_id[place].tobytes(),
            found.trace_id[place].tobytes(),
        )
        for place in (found.point == point).nonzero()[0].tolist()
    ]


def assert_point(found: Any, columns: PointColumns, row: int) -> None:
    value = columns.value[row].item()
    assert plain(found.attributes) == expected_attributes(columns.attributes[row])
    assert (found.start_time_unix_nano, found.time_unix_nano) == (columns.start_ns, TIME_NS)
    assert list(map(shown, found.exemplars)) == expected_exemplars(columns, row)
    if columns.buckets is not None:
        assert bits(found.sum) == bits(value)
        assert_buckets(found, columns, row)
        assert bits(found.min) == bits(columns.buckets.least[row])
        assert bits(found.max) == bits(columns.buckets.greatest[row])
    elif type(value) is int:
        assert (found.WhichOneof("value"), found.as_int) == ("as_int", value)
    else:
        assert found.WhichOneof("value") == "as_double"
        assert bits(found.as_double) == bits(value)


def assert_buckets(found: Any, columns: PointColumns, row: int) -> None:
    if isinstance(buckets := columns.buckets, Buckets):
        assert list(found.bucket_counts) == buckets.count[row].tolist()
        assert found.count == sum(found.bucket_counts)
        assert tuple(found.explicit_bounds) == columns.shape.bounds
        return
    assert buckets is not None
    whole = (found.count, found.scale, found.zero_count, found.zero_threshold)
    assert whole == (buckets.total[row], buckets.scale[row], buckets.zeros[row], 0.0)
    for name, stretch in (("positive", buckets.positive), ("negative", buckets.negative)):
        start, stop = stretch.count_offset[row : row + 2]
        side = getattr(found, name)
        assert side.offset == stretch.first[row]
        assert list(side.bucket_counts) == stretch.count[start:stop].tolist()
        assert found.HasField(name) == bool(side.bucket_counts)


@settings(max_examples=50, deadline=None)
@given(points_strategy, st.sampled_from([1, LIMIT, 1 << 20]))
def test_every_point_parses_back_as_its_row(points: MetricPoints, limit: int) -> None:
    parcels = MetricEncoder(max_body_bytes=limit).encode(points)
    count = sum(len(columns.attributes) for columns in points.columns)
    assert sum(parcel.items for parcel in parcels) == count
    assert all(parcel.items for parcel in parcels)
    found: dict[str, list[Any]] = {}
    for service, metric in parsed(parcels):
        found.setdefault(service, []).append(metric)
    for columns in points.columns:
        row, shape = 0, columns.shape
        while row < len(columns.attributes):
            metric = found[shape.service].pop(0)
            assert (metric.name, metric.unit) == (shape.name, shape.unit)
            assert metric.WhichOneof("data") == shape.kind
            if shape.kind == "sum":
                assert metric.sum.is_monotonic == shape.monotonic
            if shape.kind != "gauge":
                temporality = getattr(metric, shape.kind).aggregation_temporality
                assert temporality == TEMPORALITIES[shape.temporality]
            for point in points_of(metric):
                assert_point(point, columns, row)
                row += 1
    assert not any(found.values())


@settings(max_examples=30, deadline=None)
@given(points_strategy)
def test_parcels_are_of_their_size_and_within_the_limit_unless_of_one_point(
    points: MetricPoints,
) -> None:
    for parcel in MetricEncoder(max_body_bytes=LIMIT).encode(points):
        pieces = [piece for found in parcel.pieces.values() for piece in found]
        assert parcel.size == sum(map(len, pieces))
        assert parcel.size <= LIMIT or parcel.items == 1
        assert parcel.release_ns == TIME_NS


def test_the_buckets_of_very_many_points_stay_their_own() -> None:
    count = np.arange(1, 901) ** 3
    side = Stretches(np.arange(300) - 150, count, np.arange(0, 901, 3))
    none = Stretches(np.zeros(300, np.int64), count[:0], np.zeros(301, np.int64))
    total, some = count.reshape(-1, 3).sum(axis=1), np.zeros(300)
    buckets = ExponentialBuckets(total, side.first % 9, total * 0, side, none, some, some)
    shape = MetricShape("shop", "took", "s", "exponential_histogram")
    columns = PointColumns(
        shape, (AttributeSet(()),) * 300, np.zeros(300), TIME_NS - 1, TIME_NS, buckets
    )
    ((_, metric),) = parsed(MetricEncoder().encode(MetricPoints(TIME_NS, (columns,))))
    for row, point in enumerate(points_of(metric)):
        assert_point(point, columns, row)


def counter(name: str, value: list[int]) -> PointColumns:
    sets = tuple(AttributeSet((("n", number),)) for number in range(len(value)))
    shape = MetricShape("shop", name, "", "sum", monotonic=True)
    return PointColumns(shape, sets, np.array(value), TIME_NS - 1, TIME_NS)


def test_an_encoder_may_be_used_again() -> None:
    encoder = MetricEncoder()
    first, second = counter("a", [1, 2]), counter("a", [3])
    for columns in (first, second, first):
        ((_, metric),) = parsed(encoder.encode(MetricPoints(TIME_NS, (columns,))))
        assert [point.as_int for point in points_of(metric)] == columns.value.tolist()


@pytest.mark.parametrize(("points", "pauses"), [(1, 1), (1_100, 6)])
def test_others_get_their_turn_while_points_are_encoded(points: int, pauses: int) -> None:
    paused: list[None] = []
    found = MetricPoints(TIME_NS, (counter("a", list(range(points))),))
    MetricEncoder().encode(found, lambda: paused.append(None))
    assert len(paused) == pauses


def test_nothing_is_no_parcel() -> None:
    assert MetricEncoder().encode(MetricPoints(TIME_NS, ())) == []
