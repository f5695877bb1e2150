from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from motel_locust.engine.columns import (
    Choice,
    Columns,
    Constant,
    Double,
    EventShape,
    Integer,
    Kind,
    LinkColumns,
    LinkShape,
    Numbered,
    Shape,
)
from motel_locust.otlp.spans import SpanEncoder
from tests import strategies
from tests.oracles import spans as oracle

ROWS = st.sampled_from([0, 1, 2, 7, 40])


@st.composite
def batches(draw: st.DrawFn, rows: st.SearchStrategy[int] = ROWS) -> tuple[Columns, np.ndarray]:
    """Spans of one shape, one to a trace, and the traces' ids."""
    count = draw(rows)
    columns = draw(strategies.columns(trace=np.arange(count)))
    return columns, draw(strategies.trace_ids(count))


def decoded(encoder: SpanEncoder, columns: Columns, trace_id: np.ndarray) -> list[Span]:
    """Encode *columns* and parse every row by itself."""
    encoded = encoder.encode(columns, trace_id)
    rows = []
    for start, end in pairwise(encoded.offsets.tolist()):
        (row,) = ScopeSpans.FromString(encoded.content[start:end].tobytes()).spans
        rows.append(row)
    assert len(encoded.content) == encoded.offsets[-1]
    return rows


def assert_equal_to_columns(columns: Columns, trace_id: np.ndarray) -> None:
    rows = decoded(SpanEncoder(columns.shape), columns, trace_id)
    assert len(rows) == len(columns.start_ns)
    for row, found in enumerate(rows):
        assert oracle.normal_form(found) == oracle.normal_form(oracle.span(columns, row, trace_id))


def plain(shape: Shape, *values: object) -> tuple[Columns, np.ndarray]:
    """Spans of a *shape* without events and links, with the columns *values*."""
    rows = max((len(value) for value in values if value is not None), default=3)
    columns = Columns(
        shape=shape,
        trace=np.arange(rows),
        span_id=np.arange(1, rows + 1, dtype=np.uint64),
        parent_id=None,
        start_ns=strategies.EPOCH_NS + np.arange(rows),
        end_ns=strategies.EPOCH_NS + np.arange(rows) * 2,
        failed=np.arange(rows) % 3 == 1,
        values=tuple(None if value is None else np.asarray(value) for value in values),
    )
    return columns, np.arange(2 * rows, dtype=np.uint64).view("V16")


def shape_of(*attributes: object, **rest: object) -> Shape:
    return Shape("shop", "pay", Kind.CLIENT, False, attributes, **rest)


@settings(max_examples=150, deadline=None)
@given(batches())
def test_every_row_parses_back_as_the_span_it_was_made_from(batch):
    assert_equal_to_columns(*batch)


@settings(max_examples=8, deadline=None)
@given(batches(st.just(1000)))
def test_a_thousand_rows_parse_back_too(batch):
    assert_equal_to_columns(*batch)


@settings(max_examples=100, deadline=None)
@given(batches())
def test_the_sdk_encodes_the_same_spans_to_equal_messages(batch):
    columns, trace_id = batch
    sdk_spans = [oracle.sdk_span(columns, row, trace_id) for row in range(len(columns.start_ns))]
    request = encode_spans(sdk_spans)
    theirs = [
        oracle.with_trace_flags(span)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    ours = decoded(SpanEncoder(columns.shape), columns, trace_id)
    assert [*map(oracle.normal_form, ours)] == [*map(oracle.normal_form, theirs)]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_was_encoded_stays_when_the_encoder_is_used_again(data):
    columns, trace_id = data.draw(batches())
    rows = data.draw(ROWS)
    others = data.draw(strategies.columns(trace=np.zeros(rows, np.int64), shape=columns.shape))
    encoder = SpanEncoder(columns.shape)
    encoded = encoder.encode(columns, trace_id)
    before = encoded.content.tobytes(), encoded.offsets.tolist()
    encoder.encode(others, np.zeros(1, "V16"))
    assert (encoded.content.tobytes(), encoded.offsets.tolist()) == before


@settings(max_examples=50, deadline=None)
@given(batches(st.sampled_from([1, 2, 7])), st.data())
def test_a_row_is_encoded_alike_alone_and_among_others(batch, data):
    columns, trace_id = batch
    columns = replace(columns, shape=replace(columns.shape, links=()), links=())
    row = data.draw(st.integers(0, len(columns.start_ns) - 1))

    def only(column):
        return None if column is None else column[row : row + 1]

    alone = replace(
        columns,
        **{
            name: only(getattr(columns, name))
            for name in ("trace", "span_id", "parent_id", "start_ns", "end_ns", "failed")
        },
        values=tuple(map(only, columns.values)),
        events=tuple(tuple(map(only, values)) for values in columns.events),
    )
    encoder = SpanEncoder(columns.shape)
    start, end = encoder.encode(columns, trace_id).offsets.tolist()[row : row + 2]
    among = encoder.encode(columns, trace_id).content[start:end]
    assert among == encoder.encode(alone, trace_id).content


def test_no_rows_encode_to_no_bytes():
    columns, trace_id = plain(shape_of(Double("x")), np.empty(0))
    encoded = SpanEncoder(columns.shape).encode(columns, trace_id)
    assert (len(encoded.content), encoded.offsets.tolist()) == (0, [0])


@pytest.mark.parametrize(
    "parts", [("",), ("plain",), ("", ""), ("a", "b", ""), ("", "-", "/", "!")]
)
def test_numbers_are_written_out_wherever_they_stand_and_however_long_they_are(parts):
    assert_equal_to_columns(*plain(shape_of(Numbered("n", parts)), strategies.ROUND))


@pytest.mark.parametrize("key", ["k", "k" * 110, "k" * 130])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 127),
        (1, 5000),
        (0, 2**28 - 1),
        (0, 2**32 - 1),
        (0, 2**35 - 1),
        (0, 2**35),
        (2**41, 2**42 - 1),
        (-1, 1),
        (-300, -200),
        (-(2**63), 2**63 - 1),
    ],
)
def test_integers_of_any_range_are_written(key, low, high):
    values = [number for number in (low, *strategies.WIDTHS, -1, high) if low <= number <= high]
    assert_equal_to_columns(*plain(shape_of(Integer(key, low, high)), values))


def test_choices_of_very_different_lengths_share_a_span():
    options = ("", "word", "x" * 2000, 3, True, "y" * 2010, -0.5, "z" * 70_000)
    shape = shape_of(Choice("a", options), Choice("b", (False, "no")), Choice("c", ("",)))
    rows = np.arange(40)
    assert_equal_to_columns(*plain(shape, rows % 8, rows % 2, rows * 0))


def test_many_choices_are_more_than_one_table_holds():
    choices = [Choice(f"c{n}", tuple(range(n))) for n in range(1, 12)]
    rows = np.arange(200)
    indexes = [rows * 7 % len(choice.options) for choice in choices]
    assert_equal_to_columns(*plain(shape_of(*choices), *indexes))


@pytest.mark.parametrize("size", [0, 50, 127, 128, 16_300, 16_383, 16_384, 2_097_000, 2_097_152])
def test_a_span_may_be_of_any_size(size):
    event = EventShape("e" * size, 5, (Numbered("n", ("", "")),))
    shape = shape_of(Constant("c", "x" * size), Choice("d", ("", "y" * size)), events=(event,))
    columns, trace_id = plain(shape, None, [0, 1, 1])
    assert_equal_to_columns(replace(columns, events=((np.array([9, 10, 11]),),)), trace_id)


def test_doubles_keep_their_bits():
    values = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308]
    columns, trace_id = plain(shape_of(Double("d")), values)
    found = decoded(SpanEncoder(columns.shape), columns, trace_id)
    doubles = np.array([span.attributes[0].value.double_value for span in found])
    assert doubles.tobytes() == np.array(values).tobytes()


def test_keys_may_look_like_the_samples_that_places_are_found_by():
    keys = ["0", "000", "0" * 19, "\x7f", "\x7f" * 9, "ÿ", "\u00a0\u00a1", "-", "0.5"]
    attributes = [
        kind
        for key in keys
        for kind in (
            Integer("i" + key, 0, 127),
            Integer(key, 0, 2**62),
            Numbered("n" + key, ("0", "0")),
            Double("d" + key),
        )
    ]
    columns = [[0.5, 1e9] if isinstance(kind, Double) else [1, 100] for kind in attributes]
    assert_equal_to_columns(*plain(shape_of(*attributes), *columns))


def test_events_and_links_keep_their_order_and_the_exception_comes_last():
    nth = Choice("nth", ("short", "by far longer"))
    shape = shape_of(
        events=(EventShape("late", 10**9, (nth,)), EventShape("early", 0, ())),
        links=(LinkShape((nth,)), LinkShape(())),
    )
    columns, trace_id = plain(shape)
    links = tuple(
        LinkColumns(
            chosen=np.array(chosen),
            trace_id=trace_id[chosen],
            span_id=np.array(chosen, np.uint64) + np.uint64(10 * number),
            values=values,
        )
        for number, chosen, values in [(1, [0, 1], (np.array([1, 0]),)), (2, [1, 2], ())]
    )
    columns = replace(columns, events=((np.array([0, 1, 0]),), ()), links=links)
    found = decoded(SpanEncoder(shape), columns, trace_id)
    assert [[event.name for event in span.events] for span in found] == [
        ["late", "early"],
        ["late", "early", "exception"],
        ["late", "early"],
    ]
    assert [[link.span_id[0] for link in span.links] for span in found] == [[10], [11, 21], [22]]
    assert_equal_to_columns(columns, trace_id)


def test_lengths_and_numbers_are_never_padded_beyond_five_bytes():
    shape = shape_of(Constant("c", "x" * 3_000_000), Integer("i", 0, 2**35 - 1))
    columns, trace_id = plain(shape, None, [0])
    content = SpanEncoder(shape).encode(columns, trace_id).content.tobytes()
    assert b"\x80\x80\x80\x80\x00" in content
    assert b"\x80\x80\x80\x80\x80" not in content
