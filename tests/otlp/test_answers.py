from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from motel_locust.otlp.answers import http_answer, retry_after_s, status_message
from motel_locust.otlp.delivery import STEPS, Answer, Cause, Stage

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
PROTOBUF = "application/x-protobuf"


def answer(
    status: int,
    content: bytes = b"",
    *,
    content_type: str = PROTOBUF,
    retry_after: str | None = None,
    signal: str = "traces",
    items: int = 10,
) -> Answer:
    return http_answer(
        status,
        content,
        content_type=content_type,
        retry_after=retry_after,
        now=NOW,
        signal=signal,
        items=items,
    )


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (200, Cause.ACK),
        (202, Cause.ACK),
        (204, Cause.ACK),
        (301, Cause.REFUSAL),
        (400, Cause.REFUSAL),
        (401, Cause.REFUSAL),
        (404, Cause.REFUSAL),
        (408, Cause.REFUSAL),
        (413, Cause.REFUSAL),
        (429, Cause.PUSHBACK),
        (500, Cause.REFUSAL),
        (501, Cause.REFUSAL),
        (502, Cause.LOSS),
        (503, Cause.PUSHBACK),
        (504, Cause.LOSS),
        (599, Cause.REFUSAL),
    ],
)
def test_only_the_statuses_that_otlp_names_are_tried_again(status: int, cause: Cause) -> None:
    assert answer(status).cause is cause


@given(st.integers(200, 999), st.binary(max_size=50), st.sampled_from([PROTOBUF, "", "text/html"]))
def test_every_answer_is_a_legal_step(status: int, content: bytes, content_type: str) -> None:
    found = answer(status, content, content_type=content_type)
    assert (Stage.IN_FLIGHT, found.cause) in STEPS
    assert 0 <= found.rejected <= 10


def test_reasons_are_few_and_tell_the_status() -> None:
    assert answer(503).reason == "HTTP 503 Service Unavailable"
    assert answer(599).reason == "HTTP 599"
    assert answer(200).reason == ""


@pytest.mark.parametrize(
    ("signal", "response", "field"),
    [
        ("traces", ExportTraceServiceResponse(), "rejected_spans"),
        ("metrics", ExportMetricsServiceResponse(), "rejected_data_points"),
        ("logs", ExportLogsServiceResponse(), "rejected_log_records"),
    ],
)
def test_a_partial_success_tells_what_was_rejected(signal, response, field) -> None:
    setattr(response.partial_success, field, 4)
    response.partial_success.error_message = "too old"
    found = answer(200, response.SerializeToString(), signal=signal)
    assert found == Answer(Cause.ACK, "partial success", rejected=4, detail="too old")


def test_a_full_success_may_carry_an_empty_partial_success() -> None:
    assert answer(200, b"\x0a\x00") == Answer(Cause.ACK)


@pytest.mark.parametrize(("said", "counted"), [(11, 10), (-1, 0)])
def test_no_more_is_rejected_than_was_sent(said: int, counted: int) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = said
    assert answer(200, response.SerializeToString()).rejected == counted


def test_answers_in_json_are_read_too() -> None:
    content = b'{"partialSuccess": {"rejectedSpans": "4", "errorMessage": "no"}, "new": 1}'
    assert answer(200, content, content_type="application/json; charset=utf-8").rejected == 4
    assert answer(200, b"{}", content_type="application/json") == Answer(Cause.ACK)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"<html>log in</html>", "text/html"),
        (b"OK", ""),
        (b"\x0a\x05\x08", PROTOBUF),
        (b"{", "application/json"),
        (b"\xff", "application/json"),
    ],
)
def test_a_yes_that_cannot_be_read_is_not_believed(content: bytes, content_type: str) -> None:
    found = answer(200, content, content_type=content_type)
    assert found == Answer(Cause.GARBLED, "unreadable answer with HTTP 200 OK")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Wed, 01 May 2024 12:00:30 GMT", 30.0),
        ("Wed, 01 May 2024 12:00:30 -0000", 30.0),
        ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, now=NOW) == seconds


def test_a_final_refusal_has_no_time_to_come_back() -> None:
    assert answer(503, retry_after="5").retry_after_s == 5.0
    assert answer(400, retry_after="5").retry_after_s is None


def test_the_endpoints_own_words_are_kept_for_the_log() -> None:
    # google.rpc.Status: code 3 in field 1, message in field 2.
    assert status_message(b"\x08\x03\x12\x08too  old", PROTOBUF) == "too old"
    assert status_message(b"\xff\xff", PROTOBUF) == ""
    assert status_message(b"<p>\n no", "text/html") == "<p> no"
    assert len(status_message(b"x" * 1000, "text/plain")) == 200
