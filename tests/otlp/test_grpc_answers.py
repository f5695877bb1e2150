from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import DebugInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from motel_locust.otlp.delivery import MAY_HAVE_ARRIVED, STEPS, Answer, Cause, Stage
from motel_locust.otlp.grpc_answers import grpc_failure, grpc_success, retry_delay_s
from motel_locust.otlp.quiet_grpc import grpc

CODES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def success(content: bytes | None, *, signal: str = "traces", items: int = 10) -> Answer:
    return grpc_success(content, signal=signal, items=items)


def status(*details: RetryInfo | DebugInfo) -> bytes:
    told = Status(code=8, message="later")
    for detail in details:
        told.details.add().Pack(detail)
    return told.SerializeToString()


def retry_info(seconds: int, nanos: int = 0) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))


@pytest.mark.parametrize(
    ("code", "alone", "with_retry_info"),
    [
        ("CANCELLED", Cause.LOSS, Cause.LOSS),
        ("UNKNOWN", Cause.REFUSAL, Cause.REFUSAL),
        ("INVALID_ARGUMENT", Cause.REFUSAL, Cause.REFUSAL),
        ("DEADLINE_EXCEEDED", Cause.LOSS, Cause.LOSS),
        ("NOT_FOUND", Cause.REFUSAL, Cause.REFUSAL),
        ("ALREADY_EXISTS", Cause.REFUSAL, Cause.REFUSAL),
        ("PERMISSION_DENIED", Cause.REFUSAL, Cause.REFUSAL),
        ("RESOURCE_EXHAUSTED", Cause.REFUSAL, Cause.PUSHBACK),
        ("FAILED_PRECONDITION", Cause.REFUSAL, Cause.REFUSAL),
        ("ABORTED", Cause.LOSS, Cause.LOSS),
        ("OUT_OF_RANGE", Cause.LOSS, Cause.LOSS),
        ("UNIMPLEMENTED", Cause.REFUSAL, Cause.REFUSAL),
        ("INTERNAL", Cause.REFUSAL, Cause.REFUSAL),
        ("UNAVAILABLE", Cause.LOSS, Cause.PUSHBACK),
        ("DATA_LOSS", Cause.LOSS, Cause.LOSS),
        ("UNAUTHENTICATED", Cause.REFUSAL, Cause.REFUSAL),
    ],
)
def test_only_the_codes_that_otlp_names_are_tried_again(code, alone, with_retry_info) -> None:
    assert grpc_failure(code, "no").cause is alone
    later = grpc_failure(code, "no", status=status(retry_info(3)))
    assert later.cause is with_retry_info
    assert later.retry_after_s == (None if with_retry_info is Cause.REFUSAL else 3.0)


def test_every_code_is_in_the_table_above() -> None:
    (marked,) = test_only_the_codes_that_otlp_names_are_tried_again.pytestmark
    assert sorted(row[0] for row in marked.args[1]) == sorted(CODES)


@given(st.sampled_from(CODES), st.text(max_size=60), st.none() | st.binary(max_size=60))
def test_every_status_is_a_legal_step(code: str, details: str, told: bytes | None) -> None:
    found = grpc_failure(code, details, status=told)
    assert (Stage.IN_FLIGHT, found.cause) in STEPS


def test_reasons_are_few_and_the_endpoints_own_words_are_for_the_log() -> None:
    assert grpc_failure("INTERNAL", "disk 7\n is full") == Answer(
        Cause.REFUSAL, "gRPC INTERNAL", detail="disk 7 is full"
    )
    assert len(grpc_failure("INTERNAL", "x" * 1000).detail) == 200
    assert grpc_failure("DEADLINE_EXCEEDED", "Deadline Exceeded").reason == "no answer in time"


# What grpcio itself says, as version 1.70 and as version 1.85 put it.


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:9: Failed to"
            " connect to remote host: Connection refused",
            "connection refused",
        ),
        (
            "failed to connect to all addresses; last error: INTERNAL: ipv4:127.0.0.1:9: Failed"
            " parsing HTTP/2 (Trying to connect an http1.x server (HTTP status 400))",
            "HTTP at this port, no gRPC; use http/protobuf or the gRPC port",
        ),
        (
            "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:9:"
            " Socket closed",
            "no connection",
        ),
        ("DNS resolution failed for nowhere.invalid:9: C-ares status", "host name not found"),
        ("errors resolving nowhere.invalid:9: [address lookup failed]", "host name not found"),
    ],
)
def test_where_no_connection_came_about_nothing_was_sent(details: str, reason: str) -> None:
    answer = grpc_failure("UNAVAILABLE", details)
    assert (answer.cause, answer.reason) == (Cause.UNREACHABLE, reason)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("UNAVAILABLE", "Socket closed"),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer"),
        ("UNAVAILABLE", "Stream removed (GOAWAY received; Error code: 0; Debug Text: )"),
        ("INTERNAL", "Received RST_STREAM with error code 2"),
        (
            "PERMISSION_DENIED",
            "Stream removed (RST_STREAM (Received RST_STREAM with error code 12))",
        ),
        ("RESOURCE_EXHAUSTED", "Received RST_STREAM with error code 11"),
        ("UNKNOWN", "No status received"),
        ("UNKNOWN", "Stream removed"),
    ],
)
def test_a_stream_that_broke_has_no_status_whatever_grpcio_makes_of_it(code, details) -> None:
    answer = grpc_failure(code, details)
    assert (answer.cause, answer.reason) == (Cause.LOSS, "connection lost")


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (1000000 vs. 65536)"),
        (
            "RESOURCE_EXHAUSTED",
            "Stream removed (CLIENT: Received message larger than max (7 vs. 6))",
        ),
        ("INTERNAL", "Decompression failed due to zlib error"),
        ("INTERNAL", "Unexpected error decompressing data for algorithm gzip"),
    ],
)
def test_an_answer_that_cannot_be_taken_in_may_have_been_a_yes(code: str, details: str) -> None:
    answer = grpc_failure(code, details)
    assert answer.cause in MAY_HAVE_ARRIVED
    assert answer.reason == "unreadable answer"


def test_an_endpoint_may_say_itself_that_a_message_is_too_large() -> None:
    go = "grpc: received message larger than max (5000097 vs. 4194304)"
    assert grpc_failure("RESOURCE_EXHAUSTED", go).cause is Cause.REFUSAL
    core = "SERVER: Received message larger than max (5000097 vs. 4194304)"
    assert grpc_failure("RESOURCE_EXHAUSTED", core).cause is Cause.REFUSAL


@pytest.mark.parametrize(
    ("code", "number", "cause", "reason"),
    [
        ("UNIMPLEMENTED", 404, Cause.REFUSAL, "HTTP 404 Not Found instead of gRPC"),
        ("UNAVAILABLE", 503, Cause.PUSHBACK, "HTTP 503 Service Unavailable instead of gRPC"),
        ("UNAVAILABLE", 502, Cause.LOSS, "HTTP 502 Bad Gateway instead of gRPC"),
        ("UNKNOWN", 500, Cause.REFUSAL, "HTTP 500 Internal Server Error instead of gRPC"),
    ],
)
def test_an_answer_of_http_alone_means_what_it_means_over_http(code, number, cause, reason) -> None:
    answer = grpc_failure(code, f"Received http2 header with status: {number}")
    assert (answer.cause, answer.reason) == (cause, reason)


# RetryInfo


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (None, None),
        (b"", None),
        (b"\xff\xff", None),
        (status(), None),
        (status(DebugInfo(detail="x")), None),
        (status(retry_info(2, 500_000_000)), 2.5),
        (status(DebugInfo(detail="x"), retry_info(1)), 1.0),
        (status(RetryInfo()), 0.0),
        (status(retry_info(-5)), 0.0),
    ],
)
def test_the_delay_of_a_retry_info(told: bytes | None, seconds: float | None) -> None:
    assert retry_delay_s(told) == seconds


# OK


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
    assert success(response.SerializeToString(), signal=signal) == Answer(
        Cause.ACK, "partial success", rejected=4, detail="too old"
    )


@pytest.mark.parametrize("content", [b"", b"\x0a\x00"])
def test_a_full_success_is_empty_or_nearly(content: bytes) -> None:
    assert success(content) == Answer(Cause.ACK)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no message with gRPC OK"),
        (b"\xff\xff\xff", "unreadable answer with gRPC OK"),
    ],
)
def test_a_yes_that_cannot_be_read_is_not_believed(content: bytes | None, reason: str) -> None:
    assert success(content) == Answer(Cause.GARBLED, reason)
