"""Recorded traces for tests: drawn ones, and one that is written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
    RecordedEvent,
    RecordedLink,
    RecordedSpan,
    RecordedStatus,
    RecordedTrace,
)
from motel_locust.otlp.recording import span_text, trace_line

if TYPE_CHECKING:
    from collections.abc import Iterable

START_NS = 1_772_359_200_000_000_000

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
words = st.sampled_from(["", "a", "b", "http.route", "$bytes", "$double", "$map"])
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=True)
    | texts
    | st.binary(max_size=4)
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2)
)
attributes = st.dictionaries(words | texts, values, max_size=3)
few_attributes = st.sampled_from([{}, {}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}])
times = st.integers(START_NS, START_NS + 2_000_000_000)


def spans(span_id: st.SearchStrategy[str], attributes: st.SearchStrategy[Any] = few_attributes):
    """Spans of one trace whose ids, those of parents and links too, are drawn from *span_id*."""
    links = st.builds(RecordedLink, st.sampled_from(TRACE_IDS), span_id, attributes)
    return st.builds(
        lambda start_ns, took_ns, **fields: RecordedSpan(
            start_ns=start_ns, end_ns=start_ns + took_ns, **fields
        ),
        span_id=span_id,
        service=st.sampled_from(["shop", "db"]),
        operation=st.sampled_from(["get", "query", ""]),
        start_ns=times,
        took_ns=st.integers(0, 10**9),
        parent_id=st.just("") | span_id,
        kind=st.none() | st.sampled_from(Kind),
        attributes=attributes,
        resource=st.sampled_from([{}, {"host.name": "a"}, {"host.name": "b", "n": 1}]),
        events=st.lists(
            st.builds(RecordedEvent, st.sampled_from(["", "e"]), times, attributes), max_size=2
        ).map(tuple),
        links=st.lists(links, max_size=2).map(tuple),
    ).flatmap(_with_outcome)


def _with_outcome(span: RecordedSpan) -> st.SearchStrategy[RecordedSpan]:
    return st.one_of(
        st.just(span),
        st.just(replace(span, failed=True)),
        st.builds(
            lambda code, message: replace(
                span, failed=code == "error", status=RecordedStatus(code, message)
            ),
            st.sampled_from(["unset", "ok", "error"]),
            st.sampled_from(["", "timeout"]),
        ),
    )


TRACE_IDS = [f"{n:032x}" for n in (1, 2, 2**128 - 1)]
SPAN_IDS = [f"{n:016x}" for n in (1, 2, 3, 4, 2**64 - 1)]


def traces(attributes: st.SearchStrategy[Any] = few_attributes):
    """Traces with up to five spans, some with ids and parents as no tracer would write them."""
    return st.builds(
        RecordedTrace,
        st.sampled_from(TRACE_IDS),
        st.lists(spans(st.sampled_from(SPAN_IDS), attributes), min_size=1, max_size=5).map(tuple),
    )


recordings = st.lists(traces(), min_size=1, max_size=3, unique_by=lambda trace: trace.trace_id)


def text_of(recording: Iterable[RecordedTrace]) -> str:
    """The file of a recording."""
    return "".join(
        f"{trace_line(trace.trace_id, map(span_text, trace.spans))}\n" for trace in recording
    )


def checkout(nth: int = 0, *, start_ns: int = START_NS) -> RecordedTrace:
    """A trace of three services, one of which fails."""
    trace_id = f"{nth + 1:032x}"

    def span(place: int, parent: int | None, service: str, start: int, end: int, **more: Any):
        return RecordedSpan(
            f"{nth + 1:08x}{place + 1:08x}",
            service,
            f"{service}.do",
            start_ns + start,
            start_ns + end,
            "" if parent is None else f"{nth + 1:08x}{parent + 1:08x}",
            **more,
        )

    failed = RecordedStatus("error", "timed out")
    return RecordedTrace(
        trace_id,
        (
            span(0, None, "shop", 0, 9_000_001, kind=Kind.SERVER, attributes={"user": nth}),
            span(1, 0, "cart", 1_000_000, 8_000_000, resource={"host.name": "a"}),
            span(2, 1, "db", 2_000_000, 7_000_000, kind=Kind.CLIENT, failed=True, status=failed),
            span(3, 0, "shop", 8_000_000, 8_500_000, events=(RecordedEvent("e", start_ns + 5),)),
        ),
        nth + 1,
    )
