"""Protobuf out of a stream: messages with their length in front, or one alone.

The Collector's file exporter writes a length of four bytes, most significant first, before each
message wherever a line would not do: with ``format: proto``, and with compression, which then is
each message's own (fileexporter/README.md, "File Format").
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Final

from motel_locust.commands.importing.sources import ZSTD, Unzstd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.commands.importing.faults import Place

RESOURCE_SPANS: Final = 0x0A
"""``TracesData.resource_spans``, field 1, length-delimited: the first byte of a message."""
FRAME_BYTES: Final = 1 << 27
"""Below this the first byte of a length is less than RESOURCE_SPANS, which tells the two apart."""
_LENGTH_BYTES: Final = 4
_STARTS: Final = frozenset({RESOURCE_SPANS, ZSTD[0], ord("{")})


def is_framed(head: bytes) -> bool:
    """Return whether *head*, five bytes, is a length and the begin of a message."""
    if len(head) <= _LENGTH_BYTES:
        return False
    length = int.from_bytes(head[:_LENGTH_BYTES], "big")
    return 0 < length <= FRAME_BYTES and head[_LENGTH_BYTES] in _STARTS


def is_message(head: bytes) -> bool:
    """Return whether *head* may be the begin of a message without a length."""
    return bool(head) and head[0] == RESOURCE_SPANS


def messages(stream: IO[bytes], place: Place) -> Iterator[bytes]:
    """Yield the length-prefixed messages of *stream*, decompressed; *place* tells the number.

    Raises:
        ImportFault: where a message is cut off or too long.
    """
    place.unit = "message"
    while prefix := stream.read(_LENGTH_BYTES):
        place.number += 1
        length = int.from_bytes(prefix, "big")
        if length > FRAME_BYTES:
            raise place.fault(
                f"a message of {length:,} bytes is longer than {FRAME_BYTES >> 20} MiB;"
                " is this OTLP with a length of four bytes before each message?"
            )
        message = stream.read(length)
        if len(prefix) < _LENGTH_BYTES or len(message) < length:
            raise place.fault("the message is cut off")
        yield _decompressed(message, place) if message.startswith(ZSTD) else message


def whole(stream: IO[bytes], place: Place) -> bytes:
    """Return all of *stream* as one message.

    Raises:
        ImportFault: if it is too long for one.
    """
    message = stream.read(FRAME_BYTES + 1)
    if len(message) > FRAME_BYTES:
        raise place.fault(
            f"one protobuf message of more than {FRAME_BYTES >> 20} MiB;"
            " write a length of four bytes before each, as the Collector's file exporter does"
        )
    return message


def _decompressed(message: bytes, place: Place) -> bytes:
    content = io.BufferedReader(Unzstd(io.BytesIO(message))).read(FRAME_BYTES + 1)
    if len(content) > FRAME_BYTES:
        raise place.fault(f"the message is longer than {FRAME_BYTES >> 20} MiB")
    return content
