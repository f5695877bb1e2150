from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.otlp.recorded_fields import LAST_NS, FormatError, parse_time, parse_trace
from motel_locust.otlp.recording import span_text, time_text, trace_line
from tests.recorded import attributes, checkout, traces

TIME = "2026-03-01T10:00:00Z"
SPAN = {"span_id": "a", "service": "s", "operation": "o", "start": TIME, "end": TIME}


@settings(max_examples=50)
@given(traces(attributes))
def test_what_is_written_reads_back_equal(trace) -> None:
    line = trace_line(trace.trace_id, map(span_text, trace.spans))
    assert "\n" not in line
    assert repr(parse_trace(json.loads(line))) == repr(trace)  # as NaN is not equal to itself


def test_what_is_empty_is_not_written() -> None:
    (text,) = {span_text(span) for span in parse_trace({"spans": [SPAN]}).spans}
    assert json.loads(text) == SPAN


@given(st.integers(0, LAST_NS))
def test_times_read_back_to_the_nanosecond(time_ns: int) -> None:
    assert parse_time(time_text(time_ns)) == time_ns


@given(st.datetimes(datetime(1970, 1, 2), datetime(2261, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_offsets_are_those_of_datetime(moment: datetime, minutes: int) -> None:
    sign, (hours, rest) = "-+"[minutes >= 0], divmod(abs(minutes), 60)
    text = f"{moment.isoformat()}{sign}{hours:02}:{rest:02}"
    exact = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time(text) == exact.days * 86_400 * 10**9 + exact.seconds * 10**9 + (
        exact.microseconds * 1000
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.1z", 100_000_000),
        ("1970-01-01 00:00:00.000000001Z", 1),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * 10**9),  # a leap second
        ("1969-12-31T23:59:59Z", None),
        ("2300-01-01T00:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-03-01T10:00:00", None),
        ("2026-03-01T10:00:00.1234567891Z", None),
        ("2026-03-01T10:00:00+24:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_those_of_rfc_3339(text: str, expected: int | None) -> None:
    assert parse_time(text) == expected


def test_fields_are_found_in_any_case_and_unknown_ones_ignored() -> None:
    spans = [{**{key.upper(): value for key, value in SPAN.items()}, "X": 1, "Error": True}]
    [span] = parse_trace({"Trace_ID": "t", "SPANS": spans, "more": []}).spans
    assert (span.span_id, span.operation, span.failed) == ("a", "o", True)


def test_what_is_missing_is_empty() -> None:
    trace = parse_trace({"spans": [{"start": TIME, "end": TIME}]})
    assert trace.trace_id == ""
    [span] = trace.spans
    assert (span.span_id, span.parent_id, span.service, span.attributes) == ("", "", "", {})
    assert parse_trace({"trace_id": None, "spans": None}).spans == ()


def test_an_end_before_the_start_is_the_start() -> None:
    [span] = parse_trace({"spans": [{**SPAN, "end": "2026-03-01T09:00:00Z"}]}).spans
    assert span.end_ns == span.start_ns


def test_a_status_says_whether_a_span_failed() -> None:
    spans = [
        {**SPAN, "error": True},
        {**SPAN, "status": {"code": "ERROR"}},
        {**SPAN, "error": True, "status": {"code": "ok"}},
    ]
    assert [span.failed for span in parse_trace({"spans": spans}).spans] == [True, True, False]


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ([1], 'a trace "[1]" is not a JSON object'),
        ({"spans": {"a": 1}}, 'spans "{"a": 1}" is not a list'),
        ({"trace_id": 7, "spans": []}, 'trace_id "7" is not text; put it in quotes'),
        ({"spans": [SPAN, "x"]}, 'spans[1] "x" is not a JSON object'),
        (
            {"spans": [{**SPAN, "start": ""}]},
            "spans[0].start is missing; write 2026-03-01T10:00:00.000000125Z",
        ),
        (
            {"spans": [{**SPAN, "end": "noon"}]},
            'spans[0].end "noon" is no RFC 3339 time from 1970 to 2262; write'
            " 2026-03-01T10:00:00.000000125Z",
        ),
        ({"spans": [{**SPAN, "error": "yes"}]}, 'spans[0].error "yes" is not true or false'),
        (
            {"spans": [{**SPAN, "kind": "root"}]},
            'spans[0].kind "root" is not known; write one of internal, server, client, producer,'
            " consumer",
        ),
        (
            {"spans": [{**SPAN, "status": {"code": "2"}}]},
            'spans[0].status.code "2" is not known; write ok or error',
        ),
        ({"spans": [{**SPAN, "events": {"a": 1}}]}, 'spans[0].events "{"a": 1}" is not a list'),
        (
            {"spans": [{**SPAN, "events": [{"name": "e"}]}]},
            "spans[0].events[0].time is missing; write 2026-03-01T10:00:00.000000125Z",
        ),
        (
            {"spans": [{**SPAN, "links": [{"trace_id": 1}]}]},
            'spans[0].links[0].trace_id "1" is not text; put it in quotes',
        ),
        (
            {"spans": [{**SPAN, "attributes": [1]}]},
            'spans[0].attributes "[1]" is not an object of keys and values',
        ),
        (
            {"spans": [{**SPAN, "attributes": {"n": 2**63}}]},
            "spans[0].attributes.n 9223372036854775808 is beyond 64 bits; write it as text or as"
            " 9223372036854775808.0",
        ),
        (
            {"spans": [{**SPAN, "attributes": {"b": {"$bytes": "*"}}}]},
            'spans[0].attributes.b "*" is not base64',
        ),
        (
            {"spans": [{**SPAN, "attributes": {"d": {"$double": "1"}}}]},
            'spans[0].attributes.d "1" is not NaN, Infinity or -Infinity',
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(trace, message: str) -> None:
    with pytest.raises(FormatError) as problem:
        parse_trace(trace)
    assert str(problem.value) == message


def test_the_traces_of_tests_are_of_the_form() -> None:
    trace = checkout()
    line = trace_line(trace.trace_id, map(span_text, trace.spans))
    assert parse_trace(json.loads(line)) == trace
