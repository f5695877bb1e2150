"""An HTTP request of OTLP, read: its content decompressed and parsed. No I/O.

What cannot be read is a :class:`Refusal`: the status to answer with, and why.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.answers import JSON, PROTOBUF

if TYPE_CHECKING:
    from motel_locust.otlp.tally import Request

CONTENT_BYTES: Final = 20 << 20
"""The limit of a request, compressed and not: that of the Collector's receiver."""

REQUESTS: Final = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
MEDIA_TYPES: Final = (PROTOBUF, JSON)

GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib expects a gzip header when 16 is added to the window bits."""


class Refusal(Exception):  # the endpoint's answer, not an error of ours
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def decompress(content: bytes, encoding: str) -> bytes:
    """Return *content* without its Content-Encoding; raise Refusal if that cannot be done."""
    match encoding.strip().lower():
        case "" | "identity":
            return content
        case "gzip":
            return _gunzip(content)
        case "zstd":
            return _unzstd(content)
        case _:
            raise Refusal(415, f'content encoding "{encoding}" is not known; use gzip or zstd')


def parse(path: str, content: bytes, media_type: str) -> Request:
    """Return the request that *content* holds; raise Refusal if it holds none."""
    request: Request = REQUESTS[path]()
    try:
        if media_type == JSON:
            ParseDict(with_base64_ids(json.loads(content)), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(content)
    except (DecodeError, ParseError, ValueError, RecursionError) as error:
        raise Refusal(400, f"not an {request.DESCRIPTOR.name}: {error}"[:200]) from None
    return request


ID_KEYS: Final = frozenset(("traceId", "spanId", "parentSpanId"))


def with_base64_ids(tree: Any) -> Any:
    """Return parsed OTLP JSON with its ids in base64, as protobuf's own JSON form has all bytes.

    OTLP writes ids, and only these, in hexadecimal. Attributes are lists of key and value, so a key
    of a dictionary here is always a field's name.
    """
    if isinstance(tree, list):
        return [with_base64_ids(item) for item in tree]
    if isinstance(tree, dict):
        return {
            key: b64encode(bytes.fromhex(value)).decode()
            if key in ID_KEYS and isinstance(value, str)
            else with_base64_ids(value)
            for key, value in tree.items()
        }
    return tree


def _gunzip(content: bytes) -> bytes:
    inflate = zlib.decompressobj(GZIP_WINDOW)
    try:
        # One byte more than allowed is enough to know, however much would come.
        whole = inflate.decompress(content, CONTENT_BYTES + 1)
    except zlib.error:
        raise Refusal(400, "the content is not gzip, as its encoding says") from None
    _check_size(len(whole))
    if not inflate.eof:
        raise Refusal(400, "the gzip content is cut off")
    return whole


def _unzstd(content: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise Refusal(415, "zstd is not installed here; use gzip") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            whole = reader.read(CONTENT_BYTES + 1)
    except zstandard.ZstdError:
        raise Refusal(400, "the content is not zstd, as its encoding says") from None
    _check_size(len(whole))
    return whole


def _check_size(size: int) -> None:
    if size > CONTENT_BYTES:
        raise Refusal(413, f"the request is larger than {CONTENT_BYTES >> 20} MiB")
