"""What a message consists of, whichever way it is written: protobuf or JSON.

A message has *fields* of its own and attributes. What differs from row to row is read from the
*frame*, the columns of a batch; a field or attribute names the place of its column in there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from motel_locust.engine.columns import (
    Attribute,
    Choice,
    Constant,
    Double,
    Integer,
    Numbered,
    Spelled,
)
from motel_locust.otlp.wire import LONGEST_PADDED, varint_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.engine.columns import Recorded

Owner: TypeAlias = "type[Span | Span.Event | Span.Link | LogRecord]"
"""The class of the messages that carry attributes."""


class TraceId(NamedTuple):
    """The field *name*, an id of 16 bytes. Column *source*: V16[rows]."""

    name: str
    source: int


class SpanId(NamedTuple):
    """The field *name*, an id of 8 bytes. Column *source*: uint64[rows], its bytes."""

    name: str
    source: int


class Time(NamedTuple):
    """The field *name*, Unix time in ns. Column *source*: int64[rows], not negative."""

    name: str
    source: int


Field: TypeAlias = "TraceId | SpanId | Time | Message"
"""A field, or a message with all those that are the same on every row."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What every *owner* of one shape contains; attribute *i* reads column ``first + i``."""

    owner: Owner
    fields: Sequence[Field]
    attributes: Sequence[Attribute | Recorded]
    first: int


class Arranged(NamedTuple):
    """Attributes in the order in which they are written, each with the place of its column."""

    choices: list[tuple[int, Choice | Recorded]]
    varying: list[tuple[int, Integer | Numbered]]
    """Of different widths as protobuf."""
    fixed: list[tuple[int, Constant | Double | Integer | Spelled]]
    """Of the same width on every row as protobuf."""


def arranged(content: Content) -> Arranged:
    """Return the attributes of *content* in the order that all ways of writing keep."""
    found = Arranged([], [], [])
    for source, attribute in enumerate(content.attributes, content.first):
        match attribute:
            case Constant() | Double() | Spelled():
                found.fixed.append((source, attribute))
            case Numbered(key, (text,)):
                found.fixed.append((source, Constant(key, text)))
            case Integer(_, low, high) if common_width(low, high):
                found.fixed.append((source, attribute))
            case Integer() | Numbered():
                found.varying.append((source, attribute))
            case _:
                found.choices.append((source, attribute))
    return found


def common_width(low: int, high: int) -> int | None:
    """Return a width that fits the varints of *low* to *high*, if need be padded."""
    shortest, longest = varint_width(low), varint_width(high)
    if (low < 0) == (high < 0) and shortest == longest:
        return longest
    return longest if low >= 0 and longest <= LONGEST_PADDED else None
