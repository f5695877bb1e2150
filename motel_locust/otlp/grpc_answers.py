"""What the end of a gRPC call means for a body: statuses to causes. No I/O.

The rules are those of the OTLP specification 1.7. "OTLP/gRPC Response" lists the codes to try
again; all others are final. "OTLP/gRPC Throttling": RESOURCE_EXHAUSTED is tried again only if the
server says when, in a RetryInfo; UNAVAILABLE may say it too.

A status has no sign of who said it: the endpoint, a gateway before it, or grpcio itself when a
connection broke. The details of grpcio's own are read here; they are those of 1.70 to 1.85.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from motel_locust.otlp import answers
from motel_locust.otlp.answers import DETAIL_CHARS, RESPONSES, status_text, success_answer
from motel_locust.otlp.delivery import Answer, Cause

if TYPE_CHECKING:
    from motel_locust.otlp.ledger import Signal

# OTLP 1.7, "OTLP/gRPC Response". None of them says that nothing was counted: gRPC has one code,
# UNAVAILABLE, where HTTP tells 502, 503 and 504 apart, and gateways use it for answers they lost.
# So the items may have arrived, whichever it is.
RETRYABLE: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
# OTLP 1.7, "OTLP/gRPC Throttling": with a RetryInfo these are the endpoint's own words, and mean
# that it did not take the items.
THROTTLED: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})

NOT_CONNECTED: Final = (
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",
    "empty address list",
)
"""How the details of UNAVAILABLE begin when nothing can have been sent."""
WHY_NOT_CONNECTED: Final = (
    ("http1.x server", "HTTP at this port, no gRPC; use http/protobuf or the gRPC port"),
    ("Connection refused", "connection refused"),
    ("CERTIFICATE_VERIFY_FAILED", "certificate not trusted"),
    ("Hostname Verification Check failed", "certificate not trusted"),
    ("ALPN", "no HTTP/2 at this port, so no gRPC; use http/protobuf or the gRPC port"),
    ("handshake", "TLS handshake failed"),
    ("imeout", "connection timed out"),
    ("resol", "host name not found"),
)
"""A part of those details, and the reason that it stands for; the first that fits counts."""

UNREADABLE: Final = (
    *("CLIENT: Received message larger than max", "Decompression failed"),
    "error decompressing",
)
"""Parts of grpcio's details where a message came that it could not take."""
BROKEN: Final = (
    *("Stream removed", "No status received", "RST_STREAM", "GOAWAY received"),
    *("Socket closed", "recvmsg", "sendmsg", "Failed parsing HTTP/2"),
)
"""Parts of grpcio's details where a stream ended without a status of the endpoint's."""
HTTP_STATUS: Final = re.compile(r"Received http2 header with status: (\d{3})")
"""grpcio's details where a server answered with HTTP alone."""


def grpc_success(content: bytes | None, *, signal: Signal, items: int) -> Answer:
    """Return what OK and a message mean for a body of *items* items; None is no message at all.

    What is no Export…ServiceResponse is not believed, see :func:`answers.http_answer`.
    """
    if content is None:
        return Answer(Cause.GARBLED, "no message with gRPC OK")
    try:
        response = RESPONSES[signal].FromString(content)
    except DecodeError:
        return Answer(Cause.GARBLED, "unreadable answer with gRPC OK")
    return success_answer(response, signal, items)


def grpc_failure(code: str, details: str, *, status: bytes | None = None) -> Answer:
    """Return what another status means.

    *code* is its name, such as ``"UNAVAILABLE"``, *details* its message, and *status* the value of
    the trailer ``grpc-status-details-bin``: a ``google.rpc.Status``, which may hold a RetryInfo.
    """
    detail = " ".join(details.split())[:DETAIL_CHARS]
    if code == "UNAVAILABLE" and details.startswith(NOT_CONNECTED):
        return Answer(Cause.UNREACHABLE, _why_not_connected(details), detail=detail)
    if any(part in details for part in UNREADABLE):
        return Answer(Cause.GARBLED, "unreadable answer", detail=detail)
    if http := HTTP_STATUS.search(details):
        number = int(http[1])
        cause = answers.RETRYABLE.get(number, Cause.REFUSAL)
        return Answer(cause, f"{status_text(number)} instead of gRPC", detail=detail)
    # grpcio says the deadline's end in the same words as a broken stream; it is a code of its own.
    if code != "DEADLINE_EXCEEDED" and any(part in details for part in BROKEN):
        return Answer(Cause.LOSS, "connection lost", detail=detail)
    delay_s = retry_delay_s(status)
    cause = _cause(code, delay_s)
    return Answer(
        cause,
        "no answer in time" if code == "DEADLINE_EXCEEDED" else f"gRPC {code}",
        retry_after_s=None if cause is Cause.REFUSAL else delay_s,
        detail=detail,
    )


def _cause(code: str, delay_s: float | None) -> Cause:
    """Return what a status of the endpoint's own means, with the delay that it asks for."""
    if code in THROTTLED and delay_s is not None:
        return Cause.PUSHBACK
    return Cause.LOSS if code in RETRYABLE else Cause.REFUSAL


def retry_delay_s(status: bytes | None) -> float | None:
    """Return the seconds that a RetryInfo asks for, None where there is none.

    *status* is a serialised ``google.rpc.Status``. A delay below 0 means 0.
    """
    if status is None:
        return None
    info = RetryInfo()
    try:
        for detail in Status.FromString(status).details:
            if detail.Unpack(info):
                delay_s: float = info.retry_delay.ToNanoseconds() / 1e9
                return max(0.0, delay_s)
    except DecodeError:
        return None
    return None


def _why_not_connected(details: str) -> str:
    for part, reason in WHY_NOT_CONNECTED:
        if part in details:
            return reason
    return "no connection"
