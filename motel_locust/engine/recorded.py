"""Recorded traces as values: what a recording holds, whichever way it was written down.

Ids are texts, as they were recorded; times are Unix time. What is empty was not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from motel_locust.engine.columns import Kind

RecordedValue: TypeAlias = (
    "str | bool | int | float | bytes | list[RecordedValue] | dict[str, RecordedValue] | None"
)
"""A value of an attribute, whatever OTLP knows: text, truth, number, bytes, nothing, list, map."""

RecordedAttributes: TypeAlias = Mapping[str, RecordedValue]

UNSET, OK, ERROR = "unset", "ok", "error"
"""The codes of a status."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of a span."""

    name: str
    time_ns: int
    attributes: RecordedAttributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedLink:
    """A link to a span, of this recording or of anywhere."""

    trace_id: str
    span_id: str
    attributes: RecordedAttributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedStatus:
    """A status as it was: then nothing is made up for a span that failed."""

    code: str
    """One of ``unset``, ``ok`` and ``error``."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """A span. ``failed`` alone is what recordings without ``status`` say of it."""

    span_id: str
    service: str
    operation: str
    start_ns: int
    end_ns: int
    parent_id: str = ""
    failed: bool = False
    kind: Kind | None = None
    """None where it was not recorded: then it follows from the parent."""
    attributes: RecordedAttributes = field(default_factory=dict)
    resource: RecordedAttributes = field(default_factory=dict)
    """What its resource has besides ``service.name``."""
    events: tuple[RecordedEvent, ...] = ()
    links: tuple[RecordedLink, ...] = ()
    status: RecordedStatus | None = None


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """A trace and the line of the recording on which it begins, from 1."""

    trace_id: str
    spans: tuple[RecordedSpan, ...]
    line: int = 1
