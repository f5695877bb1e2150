"""What is written as JSON from the start says what the same in protobuf does, once rewritten."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from motel_locust.engine.records import LogBatch
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.json_bodies import JsonHeads
from motel_locust.otlp.json_logs import JsonLogEncoder
from motel_locust.otlp.json_spans import JsonSpanEncoder
from motel_locust.otlp.lines import request_line
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.notations import notation_of
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.spans import SpanEncoder
from tests import strategies
from tests.otlp.test_logs import log_columns

if TYPE_CHECKING:
    from motel_locust.engine.columns import Batch
    from motel_locust.engine.records import LogColumns
    from motel_locust.otlp.ledger import Signal

HUGE = 1 << 40
EPOCH_NS = strategies.EPOCH_NS
HARD_TEXTS = ("", '"', "\\", "a\nb\r\x00\x1f\x7f", "\u2028\ufeff", "😀 ö \U0010ffff", "</script>")


def alike(text: str | bytes, *, cut: bool = False) -> str:
    """JSON without what has no meaning, the order of members; 1, 1.0 and true stay three things.

    Where blocks were *cut* in different places, their items and services come in another order too.
    """

    def sort(members: dict[str, Any]) -> dict[str, Any]:
        for name in ("resourceSpans", "spans") if cut else ():
            if name in members:
                members[name].sort(key=lambda each: json.dumps(each, sort_keys=True))
        return members

    return json.dumps(json.loads(text, object_hook=sort), sort_keys=True)


def body_of(
    encoder: Any, heads: Any, batch: Any, *, most: int = HUGE, at_once: int | None = None
) -> bytes:
    builder = BodyBuilder(heads)
    batches = BatchEncoder(encoder, max_body_bytes=most, rows_at_once=at_once)
    for parcel in batches.encode(batch):
        builder.add(parcel)
    body = builder.build()
    if isinstance(heads, JsonHeads):
        assert builder.size == len(body)
    else:  # two lengths for each resource, of five bytes at most
        assert len(body) <= builder.size <= len(body) + 2 * 5 * len(batch.columns)
    return body


def assert_alike(
    batch: Any, signal: Signal, *, most: int = HUGE, at_once: int | None = None
) -> None:
    names = zip(strategies.SERVICES, HARD_TEXTS[:3], strict=True)
    resources = {name: {"a": text} for name, text in names}
    environment = {'"': "\\"}
    spans = signal == "traces"
    line = body_of(
        JsonSpanEncoder if spans else JsonLogEncoder,
        JsonHeads(resources, environment, signal),
        batch,
        most=most,
        at_once=at_once,
    )
    protobuf = body_of(SpanEncoder if spans else LogEncoder, Heads(resources, environment), batch)
    if not protobuf:
        assert line == b""
        return
    assert line.endswith(b"\n")
    assert len(line.splitlines()) == 1
    cut = most < HUGE
    assert alike(line, cut=cut) == alike(request_line(protobuf, signal), cut=cut)


def batch_of(columns: Columns, trace_id: np.ndarray) -> Batch:
    rows = len(columns.start_ns)
    return strategies.Batch(
        trace_id=trace_id,
        arrival_ns=np.zeros(len(trace_id), np.int64),
        columns=(columns,),
        edges_ns=np.array([EPOCH_NS]),
        rows=np.array([[0, rows]]),
        counts=(strategies.Counts(),),
    )


def plain(shape: Shape, *values: Any, rows: int | None = None) -> Batch:
    """Spans of a *shape* without events and links, with the columns *values*."""
    count = max((len(value) for value in values if value is not None), default=rows or 3)
    columns = Columns(
        shape=shape,
        trace=np.arange(count),
        span_id=np.arange(1, count + 1, dtype=np.uint64),
        parent_id=np.arange(count, dtype=np.uint64) if shape.has_parent else None,
        start_ns=EPOCH_NS + np.arange(count),
        end_ns=EPOCH_NS + np.arange(count) * 2,
        failed=np.arange(count) % 3 == 1,
        values=tuple(None if value is None else np.asarray(value) for value in values),
    )
    return batch_of(columns, np.arange(2 * count, dtype=np.uint64).view("V16"))


def shape_of(*attributes: Any, **rest: Any) -> Shape:
    return Shape("shop", "pay", Kind.CLIENT, True, attributes, **rest)


@settings(max_examples=40, deadline=None)
@given(
    strategies.batches(),
    st.sampled_from([1, 700, 5000, HUGE, HUGE]),
    st.sampled_from([None, 1, 3]),
)
def test_spans_are_what_they_are_in_protobuf(batch, most, at_once):
    assert_alike(batch, "traces", most=most, at_once=at_once)


@settings(max_examples=40, deadline=None)
@given(
    log_columns().filter(lambda made: made[0].time_ns.all() and made[0].observed_ns.all()),
    st.sampled_from([None, 1, 5]),
)
def test_log_records_are_what_they_are_in_protobuf(made, at_once):
    columns, trace_id = made
    assert_alike(log_batch(columns, trace_id), "logs", at_once=at_once)


def log_batch(columns: LogColumns, trace_id: np.ndarray) -> LogBatch:
    rows = np.array([[0, columns.time_ns.size]])
    return LogBatch(trace_id, (columns,), np.array([EPOCH_NS]), rows)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_row_is_written_alike_alone_and_among_others(data):
    columns = data.draw(strategies.columns(trace=np.arange(7)))
    columns = replace(columns, shape=replace(columns.shape, links=()), links=())
    trace_id = data.draw(strategies.trace_ids(7))
    encoder = JsonSpanEncoder(columns.shape)
    encoded = encoder.encode(columns, trace_id)
    whole, ends = encoded.content.tobytes(), encoded.offsets.tolist()
    for row, (start, end) in enumerate(pairwise(ends)):
        only = replace(
            columns,
            **{
                name: None if (column := getattr(columns, name)) is None else column[row : row + 1]
                for name in ("trace", "span_id", "parent_id", "start_ns", "end_ns", "failed")
            },
            values=tuple(one(column, row) for column in columns.values),
            events=tuple(tuple(one(each, row) for each in event) for event in columns.events),
        )
        assert encoder.encode(only, trace_id).content.tobytes() == whole[start:end]
    assert encoded.content.tobytes() == whole  # what was encoded stays


def one(column: Any, row: int) -> Any:
    return None if column is None else column[row : row + 1]


def test_no_items_are_no_body():
    encoded = JsonSpanEncoder(shape_of()).encode(
        plain(shape_of(), rows=3).columns[0], np.zeros(3, "V16")
    )
    assert len(encoded.offsets) == 4
    builder = BodyBuilder(JsonHeads({"shop": {}}, {}, "traces"))
    assert (builder.build(), builder.size) == (b"", 0)


@pytest.mark.parametrize("parts", [("", ""), ("a", '"', "\\"), ("", "-", "/", "!", "\n")])
def test_numbers_stand_in_texts_whatever_their_length(parts):
    assert_alike(plain(shape_of(Numbered("n", parts)), strategies.ROUND), "traces")


@pytest.mark.parametrize("key", ["", "0", '"0"', "0.5", "k" * 300])
def test_numbers_of_any_range_are_written_and_keys_may_look_like_them(key):
    for low, high in [(0, 9), (1, 5000), (0, 2**63 - 1), (-1, 1), (-(2**63), 2**63 - 1)]:
        edges = (low, *strategies.WIDTHS, *strategies.ROUND, -1, high)
        values = [number for number in edges if low <= number <= high]
        assert_alike(plain(shape_of(Integer(key, low, high)), values), "traces")


def test_doubles_are_written_so_that_their_bits_come_back():
    values = [
        *(0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, -2.5e-7),
        *(5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.nan),
    ]
    assert_alike(plain(shape_of(Double("d")), values), "traces")


def test_texts_are_escaped_wherever_they_stand():
    places = [
        shape
        for text in HARD_TEXTS
        for shape in (
            shape_of(Constant(text, text)),
            shape_of(Constant("k", (text, text))),
            replace(shape_of(), name=text),
            replace(shape_of(), message=text, exception_message=text),
        )
    ]
    for shape in places:
        assert_alike(plain(shape, *([None] * len(shape.attributes))), "traces")
    choice = Choice("c", HARD_TEXTS)
    assert_alike(plain(shape_of(choice), np.arange(len(HARD_TEXTS))), "traces")


def test_times_of_any_length_are_written():
    batch = plain(shape_of(events=(EventShape("", 3, ()),)), rows=len(strategies.ROUND) - 1)
    times = np.array(strategies.ROUND[:-1])
    (columns,) = batch.columns
    columns = replace(columns, start_ns=times, end_ns=times + 1, events=((),))
    assert_alike(batch_of(columns, batch.trace_id), "traces")


def test_events_and_links_are_where_a_span_has_them():
    nth = Choice("nth", ("short", "by far longer" * 50))
    link = LinkShape((nth, Double("d"), Integer("i", -5, 5)))
    for events in (), (EventShape("e", 10**9, (nth, Double("d"))), EventShape("f", 0, ())):
        batch = plain(shape_of(events=events, links=(link, LinkShape(()))), rows=4)
        (columns,) = batch.columns
        links = tuple(
            LinkColumns(
                chosen=np.array(chosen),
                trace_id=batch.trace_id[chosen],
                span_id=np.array(chosen, np.uint64) + np.uint64(10),
                values=values,
            )
            for chosen, values in [
                ([0, 1], (np.array([1, 0]), np.array([0.5, np.nan]), np.array([-5, 5]))),
                ([1, 2], ()),
            ]
        )
        rows = (np.array([0, 1, 0, 1]), np.array([0.25, np.inf, 3.0, -1e300]))
        columns = replace(columns, links=links, events=(rows, ())[: len(events)])
        assert_alike(batch_of(columns, batch.trace_id), "traces")


def test_choices_of_very_different_lengths_share_a_span():
    options = ("", "word", "x" * 2000, 3, True, "y" * 2010, -0.5, "z" * 70_000)
    shape = shape_of(Choice("a", options), Choice("b", (False, "no")), Choice("c", ("",)))
    rows = np.arange(40)
    assert_alike(plain(shape, rows % 8, rows % 2, rows * 0), "traces")


@pytest.mark.parametrize(
    ("endpoint", "signal", "notation"),
    [
        ("stdout://", "traces", "json"),
        ("file://x", "logs", "json"),
        ("file://x", "metrics", "protobuf"),
        ("discard://", "traces", "protobuf"),
        ("http://localhost", "traces", "protobuf"),
    ],
)
def test_lines_of_spans_and_records_are_json_from_the_start(endpoint, signal, notation):
    assert notation_of(resolve(Flags(endpoint=endpoint), {}, signal)) == notation
