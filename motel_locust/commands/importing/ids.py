"""Ids and times as exporters write them."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8
NS_PER_S: Final = 1_000_000_000
LATEST_NS: Final = 2**63 - 1

_NOT_STANDARD: Final = str.maketrans("-_", "+/")


def parse_id(text: Any, size: int) -> bytes:
    """Return an id of OTLP JSON, *size* bytes: hexadecimal, else base64 in any of its forms.

    Raises:
        ValueError: if it is neither.
    """
    if not isinstance(text, str):
        raise ValueError(f"an id must be a text, not {text!r}")
    if len(text) == 2 * size:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        decoded = b64decode(padded.translate(_NOT_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != size:
        raise ValueError(f'"{text}" is not an id of {size} bytes, in hexadecimal or base64')
    return decoded


def parse_free_id(text: Any, size: int) -> bytes:
    """Return an id of Jaeger JSON, which leaves out leading zeros; what is not hexadecimal, hashed.

    Raises:
        ValueError: if it is empty or no text.
    """
    if not isinstance(text, str) or not text:
        raise ValueError(f"an id must be a text, not {text!r}")
    if len(text) <= 2 * size:
        try:
            return bytes.fromhex(text.zfill(2 * size))
        except ValueError:
            pass
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def parse_ns(value: Any) -> int:
    """Return nanoseconds of Unix time given as a number or a text.

    Raises:
        ValueError: if it is none, or beyond the year 2262.
    """
    try:
        time_ns = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a time in nanoseconds") from None
    if not 0 <= time_ns <= LATEST_NS:
        raise ValueError(f"{value} ns is not a time between 1970 and 2262")
    return time_ns


_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def parse_rfc3339(text: Any) -> int:
    """Return the nanoseconds of Unix time of *text*, all digits of the fraction kept.

    Raises:
        ValueError: if it is no time of RFC 3339.
    """
    match = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 2026-03-01T10:00:00.5Z")
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None
    # The microseconds of datetime would lose three digits.
    seconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return parse_ns(seconds * NS_PER_S + int((fraction or "")[:9].ljust(9, "0")))
