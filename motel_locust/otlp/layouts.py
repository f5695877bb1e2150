"""What shapes of spans have in common, and what tells them apart.

Shapes of one *layout* differ in constants and choices only: in bytes that can be told in advance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.engine.columns import Constant, Integer
from motel_locust.otlp.attributes import attribute_field, option_fields
from motel_locust.otlp.contents import Content, arranged, common_width
from motel_locust.otlp.spans import FIXED_COLUMNS, span_content, span_fields
from motel_locust.otlp.wire import LONGEST_PADDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from motel_locust.engine.columns import Attribute, Shape

MOST_TEXT_BYTES: Final = 1 << 13
"""Of all texts of a shape: what shapes tell apart stays in the caches."""


class Layout(NamedTuple):
    """What shapes that are encoded together have in common; equal for equal ones."""

    has_parent: bool
    attributes: tuple[Attribute, ...]
    """Those with columns, but for choices, in the order in which they are written."""
    message: str
    exception_message: str


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A shape beside others of its layout.

    ``texts`` are all that a span may have besides what the layout tells: one for each combination
    of the choices, the last one varying fastest. ``choices`` are the places of these among the
    shape's attributes, each with the number of its options; ``places`` those of the layout's.
    """

    shape: Shape
    layout: Layout
    texts: Sequence[bytes]
    choices: Sequence[tuple[int, int]]
    places: Sequence[int]


def member_of(shape: Shape) -> Member | None:
    """Return *shape* as a member, None if it has more than the texts of a member can tell."""
    if shape.events or shape.own_events or shape.links or shape.recorded:
        return None
    content = span_content(shape)
    choices, varying, fixed = arranged(content)
    own = [field.SerializeToString() for field in content.fields if isinstance(field, Message)]
    columns: list[tuple[int, Attribute]] = [*varying]
    for source, attribute in fixed:
        if isinstance(attribute, Constant):
            own.append(attribute_field(Span, attribute.key, attribute.value))
        else:
            columns.append((source, attribute))
    options = [option_fields(Span, choice) for _, choice in choices]
    longest = sum(map(len, own)) + sum(max(map(len, texts)) for texts in options)
    if prod(map(len, options)) * longest > MOST_TEXT_BYTES:
        return None
    layout = Layout(
        shape.has_parent,
        tuple(_of_width(attribute) for _, attribute in columns),
        shape.message,
        shape.exception_message,
    )
    return Member(
        shape,
        layout,
        texts=[b"".join(texts) for texts in product([b"".join(own)], *options)],
        choices=[
            (source - FIXED_COLUMNS, len(texts))
            for (source, _), texts in zip(choices, options, strict=True)
        ],
        places=[source - FIXED_COLUMNS for source, _ in columns],
    )


def layout_content(layout: Layout, *, first: int) -> Content:
    """Return what spans of *layout* have beside the texts of their shapes.

    Frame: that of `span_frame`, and from *first* on the columns of the layout's attributes.
    """
    fields = span_fields(has_parent=layout.has_parent)
    return Content(Span, fields, layout.attributes, first=first)


def _of_width(attribute: Attribute) -> Attribute:
    """Return *attribute* such that all integers that are written alike are equal."""
    match attribute:
        case Integer(key, low, high) if low >= 0 and (width := common_width(low, high)):
            if width <= LONGEST_PADDED:
                return Integer(key, 0, (1 << 7 * width) - 1)
    return attribute
