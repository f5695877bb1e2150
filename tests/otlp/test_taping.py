from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from motel_locust.engine.recorded import RecordedLink
from motel_locust.otlp import taping
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.recorded_fields import FormatError
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.otlp.taping import OTHERS, TapeBuilder
from tests.integration.collected import CollectedSpan, spans_of
from tests.oracles import recordings
from tests.recorded import START_NS, attributes, checkout, traces
from tests.recorded import recordings as drawn_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.recorded import RecordedTrace


def replayed(
    recording: Sequence[RecordedTrace],
    *,
    times: int = 1,
    shift_ns: int = 0,
    preserve_ids: bool = False,
) -> tuple[Batch, list[CollectedSpan]]:
    """What comes of sending every trace so many times, each with keys of its own."""
    builder = TapeBuilder(preserve_ids=preserve_ids)
    for trace in recording:
        builder.add(trace)
    tape = builder.build()
    picked = np.repeat(np.arange(len(recording)), times)
    start_ns = tape.start_ns[picked] + shift_ns
    batch = tape.batch(
        picked,
        np.arange(2 * picked.size, dtype=np.uint64).reshape(-1, 2),
        start_ns=start_ns,
        tick_ns=np.sort(start_ns) // 1000,
        pause=lambda: None,
    )
    whole, in_steps = (
        BodyBuilder(Heads(builder.resources, {})),
        BodyBuilder(Heads(builder.resources, {})),
    )
    for body, at_once in ((whole, None), (in_steps, 2)):
        for parcel in BatchEncoder(SpanEncoder, rows_at_once=at_once).encode(batch):
            body.add(parcel)
    assert whole.build() == in_steps.build()
    return batch, list(spans_of(TracesData.FromString(whole.build())))


@settings(max_examples=60, deadline=None)
@given(drawn_recordings)
def test_what_was_recorded_is_what_is_sent(recording: list[RecordedTrace]) -> None:
    batch, spans = replayed(recording, times=2)
    forms = recordings.forms(recording)
    assert recordings.sent_forms(spans) == forms + forms
    assert sum(part.spans for part in batch.counts) == len(spans)
    assert sum(part.traces for part in batch.counts) == 2 * len(recording)
    failed = sum(span.failed for trace in recording for span in trace.spans)
    assert sum(part.errors for part in batch.counts) == 2 * failed


@settings(max_examples=40, deadline=None)
@given(traces(attributes))
def test_attributes_keep_every_value_and_its_type(trace: RecordedTrace) -> None:
    _, spans = replayed([trace])
    assert recordings.sent_forms(spans) == recordings.forms([trace])


@settings(max_examples=40, deadline=None)
@given(drawn_recordings)
def test_ids_can_be_preserved(recording: list[RecordedTrace]) -> None:
    _, spans = replayed(recording, preserve_ids=True)
    sent = sorted(
        (each.span.trace_id.hex(), each.span.span_id.hex(), each.span.start_time_unix_nano)
        for each in spans
    )
    assert sent == sorted(
        (trace.trace_id, span.span_id, recordings.start_ns(trace, i))
        for trace in recording
        for i, span in enumerate(trace.spans)
    )
    links = [link for each in spans for link in each.span.links]
    assert sorted((link.trace_id.hex(), link.span_id.hex()) for link in links) == sorted(
        (link.trace_id, link.span_id)
        for trace in recording
        for span in trace.spans
        for link in span.links
    )


def test_all_times_of_a_trace_move_together() -> None:
    _, spans = replayed([checkout()], shift_ns=-12345)
    _, unmoved = replayed([checkout()])

    def times(spans: list[CollectedSpan]) -> list[list[int]]:
        return [
            [each.span.start_time_unix_nano, each.span.end_time_unix_nano]
            + [event.time_unix_nano for event in each.span.events]
            for each in spans
        ]

    assert times(spans) == [[time - 12345 for time in each] for each in times(unmoved)]


def test_new_ids_are_never_made_twice_and_links_follow_them() -> None:
    first, second = checkout(0), checkout(1)
    link = RecordedLink(first.trace_id, first.spans[2].span_id)
    second = replace(second, spans=(replace(second.spans[0], links=(link,)), *second.spans[1:]))
    builder = TapeBuilder()
    builder.add(first)
    builder.add(second)
    tape = builder.build()
    # A user's traces share their key, as do those of one loop.
    for key in ([1, 2], [3, 4]):
        batch = tape.batch(
            np.array([0, 1]),
            np.array([key, key], np.uint64),
            start_ns=tape.start_ns,
            tick_ns=np.zeros(2, np.int64),
            pause=lambda: None,
        )
        encoder = BatchEncoder(SpanEncoder)
        body = BodyBuilder(Heads(builder.resources, {}))
        for parcel in encoder.encode(batch):
            body.add(parcel)
        spans = [each.span for each in spans_of(TracesData.FromString(body.build()))]
        [found] = [link for span in spans for link in span.links]
        assert (found.trace_id, found.span_id) in {
            (span.trace_id, span.span_id) for span in spans if span.name == "db.do"
        }
    _, spans = replayed([checkout(nth) for nth in range(50)], times=4)
    ids = {(each.span.trace_id, each.span.span_id) for each in spans}
    assert len(ids) == len(spans) == 800
    assert len({trace_id for trace_id, _ in ids}) == 200


def test_a_wrong_id_cannot_be_preserved() -> None:
    good = checkout()
    for wrong in ("", "0" * 32, "A" * 32, "1" * 31):
        with pytest.raises(FormatError, match=r"^trace_id"):
            TapeBuilder(preserve_ids=True).add(replace(good, trace_id=wrong))
    for wrong in ("", "0" * 16, "1" * 17):
        spans = (*good.spans[:2], replace(good.spans[2], span_id=wrong))
        with pytest.raises(FormatError, match=r"^spans\[2\]\.span_id"):
            TapeBuilder(preserve_ids=True).add(replace(good, spans=spans))


def test_without_ids_traces_and_spans_are_told_apart_by_their_place() -> None:
    bare = [
        replace(
            checkout(),
            trace_id="",
            line=line,
            spans=tuple(replace(span, span_id="", parent_id="") for span in checkout().spans),
        )
        for line in (1, 2)
    ]
    _, spans = replayed(bare)
    assert len({each.span.trace_id for each in spans}) == 2
    assert len({each.span.span_id for each in spans}) == len(spans) == 8


def test_beyond_so_many_operations_the_others_are_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taping, "MOST_OPERATIONS", 5)
    names = [f"op {i}" for i in range(10)]
    recording = [
        replace(checkout(i), spans=(replace(checkout(i).spans[0], operation=name),))
        for i, name in enumerate(names)
    ]
    batch, spans = replayed(recording)
    assert sorted(each.span.name for each in spans) == sorted(names)
    counted = {each.shape.name for each in batch.columns}
    assert len(counted) == 5 + 1
    assert OTHERS in counted


def test_traces_come_in_the_order_of_their_starts() -> None:
    builder = TapeBuilder()
    for nth in (2, 0, 1):
        builder.add(checkout(nth, start_ns=START_NS + nth))
    tape = builder.build()
    assert (tape.start_ns - START_NS).tolist() == [0, 1, 2]
    assert tape.end_ns == START_NS + 2 + 9_000_001
    for track in tape.tracks:
        assert (np.diff(track.trace) >= 0).all()
