from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from motel_locust.engine.columns import (
    Choice,
    Columns,
    Constant,
    Double,
    EventShape,
    Integer,
    Kind,
    LinkShape,
    Recorded,
    Shape,
)
from motel_locust.otlp import groups
from motel_locust.otlp.groups import SpanGroups
from motel_locust.otlp.layouts import member_of
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.spans import SpanEncoder
from tests.otlp.test_parcels import batch_of, columns_of, spans_between, spans_of
from tests.strategies import batches

PLAIN = Shape("shop", "pay", Kind.SERVER, False, (Constant("k", "v"),))


def sibling(service: str, name: str, *attributes) -> Columns:
    shape = replace(PLAIN, service=service, name=name, attributes=attributes)
    return columns_of(shape, rows=3, values=tuple(np.zeros(3, np.int64) for _ in attributes))


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, service="cart", name="a longer name", kind=Kind.CLIENT),
        replace(PLAIN, attributes=()),
        replace(PLAIN, attributes=(Constant("a", 1), Choice("b", (True, 2.5, "c")))),
    ],
)
def test_shapes_that_differ_in_constants_and_choices_are_of_one_layout(other):
    assert member_of(other).layout == member_of(PLAIN).layout


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, has_parent=True),
        replace(PLAIN, message="circuit_open"),
        replace(PLAIN, exception_message="rejected"),
        replace(PLAIN, attributes=(Double("k"),)),
        replace(PLAIN, attributes=(Integer("k", 0, 9),)),
    ],
)
def test_shapes_that_differ_otherwise_are_not(other):
    assert member_of(other).layout != member_of(PLAIN).layout


def test_integers_that_are_written_alike_are_of_one_layout():
    narrow, wide, wider = (
        member_of(replace(PLAIN, attributes=(Integer("k", low, high),)))
        for low, high in ((5, 300), (0, 16_383), (0, 16_384))
    )
    assert narrow.layout == wide.layout != wider.layout


@pytest.mark.parametrize(
    "shape",
    [
        replace(PLAIN, events=(EventShape("e", 0, ()),)),
        replace(PLAIN, links=(LinkShape(()),)),
        replace(PLAIN, own_events=(Recorded((b"x",)),)),
        replace(PLAIN, recorded=True, attributes=(Recorded((b"x",)),)),
        replace(PLAIN, attributes=(Choice("k", tuple(map(str, range(2_000)))),)),
    ],
)
def test_what_a_table_cannot_tell_stays_alone(shape):
    assert member_of(shape) is None


def test_the_spans_of_a_service_are_in_the_order_of_their_traces():
    batch = batch_of(
        [sibling("shop", "pay"), sibling("cart", "add"), sibling("shop", "ship")], traces=3
    )
    (parcel,) = BatchEncoder(SpanEncoder, groups=SpanGroups()).encode(batch)
    assert {
        owner: [span.name for piece in pieces for span in ScopeSpans.FromString(piece).spans]
        for owner, pieces in parcel.pieces.items()
    } == {"shop": ["pay", "ship"] * 3, "cart": ["add"] * 3}
    assert spans_of(parcel) == spans_between(batch, 0)


def test_a_shape_with_many_rows_and_one_with_a_layout_of_its_own_stay_alone(monkeypatch):
    monkeypatch.setattr(groups, "FEW_ROWS", 4)
    few, other, many, none = (
        sibling("shop", "a"),
        sibling("shop", "b", Integer("k", 0, 9)),
        columns_of(PLAIN, rows=4, values=(None,)),
        columns_of(replace(PLAIN, name="c"), rows=0, values=(None,)),
    )
    assert SpanGroups().divide([few, other, many, none]) == ([2, 3, 0, 1], [])


def test_owners_are_encoded_together_as_long_as_they_have_few_rows(monkeypatch):
    monkeypatch.setattr(groups, "MOST_ROWS", 7)
    columns = [sibling(owner, str(n)) for n, owner in enumerate("abcbca")]
    alone, together = SpanGroups().divide(columns)
    assert alone == []
    assert [indexes for _, indexes in together] == [[0, 5], [1, 3], [2, 4]]


def test_shapes_that_come_later_join_their_group(monkeypatch):
    monkeypatch.setattr(groups, "MOST_MEMBERS", 4)
    encoder = BatchEncoder(SpanEncoder, groups=SpanGroups())
    for first in range(6):
        batch = batch_of([sibling("shop", str(first + n)) for n in range(3)], traces=3)
        (parcel,) = encoder.encode(batch)
        assert spans_of(parcel) == spans_between(batch, 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=3), st.integers(1, 12), st.integers(1, 30))
def test_however_groups_are_cut_spans_are_the_same(found, members, rows):
    encoder = BatchEncoder(SpanEncoder, groups=SpanGroups())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "MOST_MEMBERS", members)
        patch.setattr(groups, "MOST_ROWS", rows)
        for batch in found:
            parcels = encoder.encode(batch)
            for part in range(len(batch.edges_ns)):
                of_part = [p for p in parcels if p.release_ns == batch.edges_ns[part]]
                spans = sum(map(spans_of, of_part), start=type(spans_between(batch, part))())
                assert spans == spans_between(batch, part)
