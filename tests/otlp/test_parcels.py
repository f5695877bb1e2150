from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from io import BytesIO
from itertools import chain, groupby

import numpy as np
import pytest
from google.protobuf.proto import parse_length_prefixed
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from motel_locust.engine.assembly import NOTHING
from motel_locust.engine.columns import Batch, Columns, Constant, Counts, Kind, Shape
from motel_locust.engine.instances import owner_of
from motel_locust.otlp.groups import SpanGroups
from motel_locust.otlp.parcels import BatchEncoder, Parcel
from motel_locust.otlp.spans import SpanEncoder
from tests.oracles import spans as oracle
from tests.strategies import EPOCH_NS, TICK_NS, batches

encoders = st.sampled_from(
    [BatchEncoder, lambda *args, **options: BatchEncoder(*args, groups=SpanGroups(), **options)]
)
limits = st.sampled_from([1, 100, 300, 1000, 5000, 1 << 20])


def spans_of(parcel: Parcel) -> Counter[tuple[str, bytes]]:
    """Every span with its owner, in a form that is equal for equal spans."""
    return Counter(
        (owner, oracle.normal_form(span))
        for owner, pieces in parcel.pieces.items()
        for span in ScopeSpans.FromString(b"".join(pieces)).spans
    )


def spans_between(batch: Batch, part: int) -> Counter[tuple[str, bytes]]:
    """The same of a part of a batch, from its columns."""
    return Counter(
        (
            columns.shape.service
            if columns.resource is None
            else owner_of(columns.shape.service, int(columns.resource[row])),
            oracle.normal_form(oracle.span(columns, row, batch.trace_id)),
        )
        for columns, rows in zip(batch.columns, batch.rows, strict=True)
        for row in range(rows[part], rows[part + 1])
    )


def by_part(batch: Batch, parcels: list[Parcel]) -> list[list[Parcel]]:
    grouped = {
        release_ns: list(group)
        for release_ns, group in groupby(parcels, lambda parcel: parcel.release_ns)
    }
    assert list(grouped) == sorted(grouped)
    return [grouped.pop(edge_ns, []) for edge_ns in batch.edges_ns.tolist()]


@settings(max_examples=60, deadline=None)
@given(
    st.booleans().flatmap(lambda in_order: batches(in_order=in_order)),
    st.lists(st.integers(0, 10**12), max_size=3),
    limits,
    st.sampled_from([None, 1, 3]),
    encoders,
)
def test_the_parcels_of_a_part_are_the_part(batch, resources, limit, at_once, make):
    if resources:
        # Some services have several resources; each span is of one of them.
        columns = tuple(
            each
            if place == 1
            else replace(each, resource=np.resize(np.repeat(resources, 2), len(each.trace)))
            for place, each in enumerate(batch.columns)
        )
        batch = replace(batch, columns=columns)
    encoder = make(SpanEncoder, max_body_bytes=limit, rows_at_once=at_once)
    parcels = encoder.encode(batch)
    for part, group in enumerate(by_part(batch, parcels)):
        assert sum(map(spans_of, group), Counter()) == spans_between(batch, part)
        for parcel in group:
            assert parcel.items == spans_of(parcel).total()
            assert parcel.size == sum(map(len, chain(*parcel.pieces.values())))
            assert parcel.size <= limit or parcel.items == 1
            assert parcel.items


def traces_of(parcel: Parcel) -> Counter[bytes]:
    """The bytes that each trace has in a parcel, by trace id."""
    found = Counter()
    for piece in chain(*parcel.pieces.values()):
        stream = BytesIO(piece)
        while stream.tell() < len(piece):
            start = stream.tell()
            stream.read(1)  # the tag
            span = parse_length_prefixed(Span, stream)
            found[span.trace_id] += stream.tell() - start
    return found


@settings(max_examples=60, deadline=None)
@given(batches(), limits, encoders)
def test_a_trace_stays_in_one_parcel_if_it_fits(batch, limit, make):
    batch = replace(batch, trace_id=np.arange(2 * len(batch.trace_id)).view("V16"))
    parcels = make(SpanEncoder, max_body_bytes=limit).encode(batch)
    sizes = defaultdict(list)
    for parcel in parcels:
        for trace_id, size in traces_of(parcel).items():
            sizes[trace_id].append(size)
    for of_trace in sizes.values():
        assert len(of_trace) == 1 or sum(of_trace) > limit


def columns_of(shape: Shape, *, rows: int, values: tuple = ()) -> Columns:
    """Spans of one trace each."""
    return Columns(
        shape=shape,
        trace=np.arange(rows),
        span_id=np.arange(1, rows + 1, dtype=np.uint64),
        parent_id=None,
        start_ns=np.full(rows, EPOCH_NS),
        end_ns=np.full(rows, EPOCH_NS),
        failed=np.zeros(rows, bool),
        values=values,
    )


def batch_of(columns: list[Columns], traces: int) -> Batch:
    """A batch of one part."""
    return Batch(
        trace_id=np.arange(2 * traces, dtype=np.uint64).view("V16"),
        arrival_ns=np.full(traces, EPOCH_NS),
        columns=tuple(columns),
        edges_ns=np.array([EPOCH_NS]),
        rows=np.array([[0, len(each.trace)] for each in columns], np.int64).reshape(-1, 2),
        counts=(Counts(),),
    )


def test_as_many_traces_share_a_parcel_as_fit():
    shape = Shape("shop", "pay", Kind.SERVER, False, ())
    batch = batch_of([columns_of(shape, rows=10)], 10)
    (whole,) = BatchEncoder(SpanEncoder).encode(batch)
    found = BatchEncoder(SpanEncoder, max_body_bytes=whole.size * 4 // 10).encode(batch)
    assert [parcel.items for parcel in found] == [4, 4, 2]


@pytest.mark.parametrize("groups", [None, SpanGroups()])
def test_shapes_that_python_takes_for_equal_keep_their_values(groups):
    values = [True, 1, 1.0, False, 0, 0.0, -0.0]
    shapes = [Shape("shop", "pay", Kind.SERVER, False, (Constant("k", v),)) for v in values]
    batch = batch_of([columns_of(shape, rows=1, values=(None,)) for shape in shapes], 1)
    encoder = BatchEncoder(SpanEncoder, groups=groups)
    for _ in range(2):
        (parcel,) = encoder.encode(batch)
        assert spans_of(parcel) == spans_between(batch, 0)
        assert len(spans_of(parcel)) == len(values)


@settings(max_examples=30, deadline=None)
@given(st.lists(batches(), min_size=2, max_size=3), encoders)
def test_parcels_stay_as_they_are_when_more_batches_are_encoded(found, make):
    encoder = make(SpanEncoder)
    first, *others = found
    parcels = encoder.encode(first)
    before = [spans_of(parcel) for parcel in parcels]
    for other in others:
        encoder.encode(other)
    assert [spans_of(parcel) for parcel in parcels] == before


def test_a_batch_without_parts_has_no_parcels():
    assert BatchEncoder(SpanEncoder).encode(NOTHING) == []


def test_a_part_without_spans_has_no_parcel():
    empty = Batch(
        trace_id=np.empty(0, "V16"),
        arrival_ns=np.empty(0, np.int64),
        columns=(),
        edges_ns=EPOCH_NS + np.arange(2) * TICK_NS,
        rows=np.empty((0, 3), np.int64),
        counts=(Counts(), Counts(traces=1)),
    )
    assert BatchEncoder(SpanEncoder).encode(empty) == []
