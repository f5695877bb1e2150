"""Words for recorded ids: see :mod:`motel_locust.engine.tape`."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from motel_locust.otlp.recorded_fields import FormatError
from motel_locust.topology.diagnostics import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.engine.recorded import RecordedLink, RecordedTrace


class Words(NamedTuple):
    """The words of one trace: of its id, of its spans and of the links of these, in order."""

    trace: bytes
    """16 bytes."""
    spans: list[int]
    links: list[tuple[bytes, int]]
    """Trace and span linked to, of all spans one after the other."""


Wording: TypeAlias = "Callable[[RecordedTrace], Words]"


def hashed_words(trace: RecordedTrace) -> Words:
    """Return words from which new ids are drawn.

    A span that is linked to gets the same word there as in its own trace, so that links still lead
    to it. Ids that were not recorded are told apart by their place in the recording.
    """
    trace_id = trace.trace_id or f"\x1f{trace.line}"
    return Words(
        _trace_word(trace_id),
        [_span_word(trace_id, span.span_id or f"\x1f{i}") for i, span in enumerate(trace.spans)],
        [
            (_trace_word(link.trace_id), _span_word(link.trace_id, link.span_id))
            for link in _links(trace)
        ],
    )


def _trace_word(trace_id: str) -> bytes:
    return blake2b(trace_id.encode(), digest_size=16).digest()


def _span_word(trace_id: str, span_id: str) -> int:
    digest = blake2b(f"{trace_id}\x1f{span_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _links(trace: RecordedTrace) -> list[RecordedLink]:
    return [link for span in trace.spans for link in span.links]


def preserved_words(trace: RecordedTrace) -> Words:
    """Return the ids themselves; raise FormatError if one cannot be an id of OTLP."""
    return Words(
        _id(trace.trace_id, 32, "trace_id"),
        [_span_id(span.span_id, f"spans[{i}].span_id") for i, span in enumerate(trace.spans)],
        [
            (
                _id(link.trace_id, 32, f"{where}.trace_id"),
                _span_id(link.span_id, f"{where}.span_id"),
            )
            for i, span in enumerate(trace.spans)
            for link in span.links
            for where in [f"spans[{i}].links"]
        ],
    )


def _span_id(text: str, where: str) -> int:
    return int.from_bytes(_id(text, 16, where), "little")


def _id(text: str, digits: int, where: str) -> bytes:
    if not _HEX.fullmatch(text) or len(text) != digits or not text.strip("0"):
        raise FormatError(
            f"{where} {quoted(text)} is not {digits} lower-case hexadecimal digits, not all 0,"
            " which preserved ids have to be"
        )
    return bytes.fromhex(text)


_HEX: Final = re.compile("[0-9a-f]+")
