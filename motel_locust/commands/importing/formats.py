"""The formats of traces: which one a document is of, and its spans."""

from __future__ import annotations

from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.commands.importing import frames, jaeger, otlp_json, otlp_proto, stdouttrace
from motel_locust.commands.importing.documents import documents
from motel_locust.commands.importing.sources import push_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.commands.importing.faults import Place
    from motel_locust.commands.importing.intake import Intake

    Reader = Callable[[dict[str, Any], Intake], None]

AUTO: Final = "auto"

_SIGNS: Final[tuple[tuple[str, str, Reader], ...]] = (
    ("otlp", "resourceSpans", otlp_json.take_document),
    ("otlp", "batches", otlp_json.take_document),
    ("stdouttrace", "SpanContext", stdouttrace.take_document),
    ("jaeger", "data", jaeger.take_document),
)
"""Format, the key by which its documents are known, and what reads one."""

FORMATS: Final = (AUTO, "stdouttrace", "otlp", "jaeger", "meta-summary")

_LOOKED_FOR: Final = (
    'none of the formats looked for: OTLP JSON ("resourceSpans" or "batches"), stdouttrace lines'
    ' ("SpanContext"), Jaeger JSON ("data" with "spans"), OTLP protobuf'
)


def take_spans(stream: IO[bytes], place: Place, intake: Intake, form: str) -> bool:
    """Hand the spans of *stream* to *intake*; return whether it is of a known format.

    *form* is one of FORMATS, but not ``meta-summary``; ``auto`` takes documents of any format, and
    skips what holds no spans.

    Raises:
        ImportFault: at the first line or message that cannot be read.
    """
    head = stream.read(5)
    stream = push_back(head, stream)
    if form in (AUTO, "otlp"):
        if frames.is_framed(head):
            for message in frames.messages(stream, place):
                _take_message(message, place, intake)
            return True
        if frames.is_message(head) and (form == "otlp" or not _is_text(stream)):
            _take_message(frames.whole(stream, place), place, intake)
            return True
    if head and not _may_be_json(head):
        return False
    known = not head
    for document in documents(stream, place):
        known = _take_document(document, place, intake, form) or known
    return known


def unknown(place: Place) -> str:
    """Return the message for a file of no known format."""
    return f"{place.name}: {_LOOKED_FOR}"


def _is_text(stream: IO[bytes]) -> bool:
    """Return whether the stream is text: its first byte, 0x0A, is also the end of a line."""
    peeked: bytes = stream.peek(64)[:64]  # type: ignore[attr-defined]  # push_back buffers
    return peeked.lstrip()[:1] in (b"{", b"[", b"")


def _may_be_json(head: bytes) -> bool:
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return not begin or begin[:1] in (b"{", b"[")


def _take_document(document: dict[str, Any], place: Place, intake: Intake, form: str) -> bool:
    if isinstance(inner := document.get("result"), dict):
        document = inner  # Jaeger's API, version 3: OTLP in an envelope
    for name, key, take in _SIGNS:
        if key not in document or form not in (AUTO, name):
            continue
        try:
            take(document, intake)
        except ValueError as error:
            raise place.fault(str(error)) from None
        except (KeyError, TypeError, AttributeError) as error:
            raise place.fault(f"not {name}: {_misfit(error)}") from None
        return True
    intake.skipped += 1
    return False


def _misfit(error: KeyError | TypeError | AttributeError) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return "a list, an object or a text stands where another one belongs"


def _take_message(message: bytes, place: Place, intake: Intake) -> None:
    if message.startswith(b"{"):
        for document in documents(BytesIO(message), place):
            _take_document(document, place, intake, "otlp")
        return
    try:
        request = ExportTraceServiceRequest.FromString(message)
        otlp_proto.take_request(request, intake)
    except (DecodeError, ValueError) as error:
        raise place.fault(f"not OTLP traces in protobuf: {error}") from None
