"""An HTTP request of OTLP, read: its content decompressed and parsed. No I/O.

What cannot be read is a :class:`Refusal`: the status to answer with, and why.
"""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import zstandard
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from isal.igzip import BadGzipFile, IGzipFile
from isal.isal_zlib import IsalError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.answers import JSON, PROTOBUF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.tally import Request

CONTENT_BYTES: Final = 20 << 20
"""The limit of a request, compressed and not: that of the Collector's receiver."""

REQUESTS: Final[Mapping[str, type[Request]]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
MEDIA_TYPES: Final = (PROTOBUF, JSON)

ZSTD_STEP: Final = 1 << 10
"""Bytes that are decompressed at once: 4 of them can become 128 KiB, so these at most 32 MiB."""


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
    request = REQUESTS[path]()
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
    if not content:
        raise Refusal(400, "the gzip content is cut off")
    try:
        # One byte more than allowed is enough to know, however much would come.
        whole: bytes = IGzipFile(fileobj=BytesIO(content)).read(  # type: ignore[no-untyped-call]
            CONTENT_BYTES + 1
        )
    except EOFError:
        raise Refusal(400, "the gzip content is cut off") from None
    except (BadGzipFile, IsalError):  # type: ignore[misc]  # the stub has it as an instance
        raise Refusal(400, "the content is not gzip, as its encoding says") from None
    _check_size(len(whole))
    return whole


def _unzstd(content: bytes) -> bytes:
    whole = bytearray()
    frame: zstandard.ZstdDecompressionObj | None = None
    # zstd's own reader stops at a limit, but does not tell where the content is cut off.
    for start in range(0, len(content), ZSTD_STEP):
        rest = content[start : start + ZSTD_STEP]
        while rest:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                whole += frame.decompress(rest)
            except zstandard.ZstdError:
                raise Refusal(400, "the content is not zstd, as its encoding says") from None
            _check_size(len(whole))
            rest = frame.unused_data
            if frame.eof:
                frame = None
    if frame is not None or not content:
        raise Refusal(400, "the zstd content is cut off")
    return bytes(whole)


def _check_size(size: int) -> None:
    if size > CONTENT_BYTES:
        raise Refusal(413, f"the request is larger than {CONTENT_BYTES >> 20} MiB")
