"""What an endpoint's answer means for a body: HTTP statuses to causes. No I/O.

The rules are those of the OTLP specification 1.7, "OTLP/HTTP Response": 2xx is success, perhaps
partial; "Retryable Response Codes" lists the statuses to try again; "all other 4xx or 5xx response
status codes MUST NOT be retried". Redirects are not followed and end like these.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from motel_locust.otlp.delivery import Answer, Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.ledger import Signal

# OTLP 1.7, "Retryable Response Codes". A gateway says 502 and 504 when it lost the answer of the
# server behind it, which may well have counted the items: an answer lost on the way, for us.
RETRYABLE: Final[Mapping[int, Cause]] = {
    429: Cause.PUSHBACK,
    502: Cause.LOSS,
    503: Cause.PUSHBACK,
    504: Cause.LOSS,
}

Response = ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse

RESPONSES: Final[Mapping[Signal, type[Response]]] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
REJECTED_FIELDS: Final = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}
JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
DETAIL_CHARS: Final = 200


def http_answer(
    status: int,
    content: bytes,
    *,
    content_type: str,
    retry_after: str | None,
    now: datetime,
    signal: Signal,
    items: int,
) -> Answer:
    """Return what a complete HTTP response means for a body of *items* items.

    A success whose content is no Export…ServiceResponse is not believed: how many items it took
    cannot be known, so they count as failed and ambiguous (``Cause.GARBLED``). It comes from
    something that is not an OTLP endpoint, such as a login page.
    """
    if 200 <= status < 300:
        return _success(status, content, content_type=content_type, signal=signal, items=items)
    cause = RETRYABLE.get(status, Cause.REFUSAL)
    return Answer(
        cause,
        reason=status_text(status),
        retry_after_s=retry_after_s(retry_after, now=now) if cause is not Cause.REFUSAL else None,
        detail=status_message(content, content_type),
    )


def status_text(status: int) -> str:
    """Return "HTTP 503 Service Unavailable" for 503; a number nobody defined stands alone."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def retry_after_s(text: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, None where it says nothing usable.

    RFC 9110, section 10.2.3: either whole seconds or an HTTP date; one that is past means 0.
    """
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date that says "-0000" instead of "GMT" comes without a zone; HTTP dates are always GMT.
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def status_message(content: bytes, content_type: str) -> str:
    """Return the message of a refusal, shortened; OTLP sends it in a ``google.rpc.Status``."""
    text = ""
    if _media_type(content_type) == PROTOBUF:
        # google.rpc.Status and OTLP's own Status both have their message in field 2; what else
        # google.rpc.Status holds is unknown to ours and skipped.
        try:
            text = Status.FromString(content).message
        except DecodeError:
            text = ""
    else:
        text = content.decode("utf-8", "replace")
    return " ".join(text.split())[:DETAIL_CHARS]


def _success(
    status: int, content: bytes, *, content_type: str, signal: Signal, items: int
) -> Answer:
    """Return the answer of a 2xx response, which may have refused a part."""
    response = RESPONSES[signal]()
    try:
        if _media_type(content_type) == JSON and content:
            Parse(content, response, ignore_unknown_fields=True)
        else:
            response.ParseFromString(content)
    except (DecodeError, ParseError, UnicodeDecodeError):
        return Answer(
            Cause.GARBLED, reason=f"unreadable answer with {status_text(status)}", rejected=0
        )
    return success_answer(response, signal, items)


def success_answer(response: Response, signal: Signal, items: int) -> Answer:
    """Return the answer of a success, whose *response* may tell of a part that was refused."""
    partial = response.partial_success
    refused = min(max(getattr(partial, REJECTED_FIELDS[signal]), 0), items)
    return Answer(
        Cause.ACK,
        reason="partial success" if refused else "",
        rejected=refused,
        detail=partial.error_message[:DETAIL_CHARS],
    )


def _media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header, without its parameters."""
    return content_type.partition(";")[0].strip().lower()
