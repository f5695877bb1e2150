"""Attributes as segments, cut from messages that opentelemetry-proto serialised.

Protobuf messages merge by concatenation: the bytes of ``Span(attributes=[...])`` are what those
attributes add to a span. The value comes last in its field, so a field with a value to fill in is a
*head*, all bytes of a sample but those of its value, and a column behind it.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from motel_locust.engine.columns import (
    Choice,
    Constant,
    Double,
    Integer,
    Numbered,
    Recorded,
    Spelled,
)
from motel_locust.engine.spelling import spell
from motel_locust.otlp.contents import SpanId, Time, TraceId, arranged, common_width
from motel_locust.otlp.segments import ByWidth, Column, Enclosed, Stamp, Table
from motel_locust.otlp.wire import (
    MOST_DIGITS,
    decimals,
    digit_counts,
    varint,
    varint_width,
    varint_widths,
    varints,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.protobuf.message import Message

    from motel_locust.engine.columns import Value
    from motel_locust.engine.recorded import RecordedValue
    from motel_locust.otlp.contents import Content, Field, Owner
    from motel_locust.otlp.segments import Part, Segment

MOST_COMBINATIONS = 512
MOST_TABLE_BYTES = 1 << 18
"""Choices are fused up to these limits: one gather for several draws, out of a table in cache."""


def head(sample: Message, value: bytes) -> bytes:
    """Return the bytes of *sample* but for those of *value*, with which they end."""
    content = sample.SerializeToString()
    assert value, "a sample needs a value"
    assert content.endswith(value), "the value is not the last of its message"
    return content[: -len(value)]


def any_value(value: RecordedValue | tuple[str, ...]) -> AnyValue:
    """Return *value* as OTLP has it; None is a value that is nothing."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case tuple() | list():
            return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
        case bytes():
            return AnyValue(bytes_value=value)
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case None:
            return AnyValue()


def key_values(attributes: Mapping[str, RecordedValue | tuple[str, ...]]) -> list[KeyValue]:
    """Return *attributes* as OTLP has them."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def content_segments(content: Content) -> list[Segment]:
    """Return the segments of a message with *content*.

    The last one is a stamp, of all fields and of the attributes of fixed width; those before it may
    reach into it.
    """
    owner, (choices, varying, fixed) = content.owner, arranged(content)
    parts: list[Part] = []
    for field in content.fields:
        parts += _field(owner, field)
    for source, attribute in fixed:
        match attribute:
            case Constant(key, value):
                parts.append(attribute_field(owner, key, value))
            case Double(key):
                parts += _double(owner, key, source)
            case Integer(key, low, high):
                parts += _integer(owner, key, source, low, high)
            case Spelled():
                parts += _spelled(owner, attribute, source)
    segments: list[Segment] = []
    for source, differing in varying:
        match differing:
            case Integer(key, low, high):
                segments.append(_varying_integer(owner, key, source, low, high))
            case Numbered(key, texts):
                segments.append(_numbered(owner, key, source, texts))
    stamp = Stamp(parts)
    options = {source: option_fields(owner, choice) for source, choice in choices}
    return [*tables(options, reach=stamp.bounds.least), *segments, stamp]


def tables(choices: Mapping[int, Sequence[bytes]], *, reach: int) -> list[Table]:
    """Return tables of *choices*, by column, in their order; *reach* bytes are sure to follow."""
    return [Table(group, reach=reach) for group in _fused(choices, reach=reach)]


def message_field(tag: bytes, content: Sequence[Segment]) -> Segment:
    """Return an embedded message, its tag and length included, as one segment."""
    match content:
        case [Stamp() as stamp]:
            return Stamp([tag + varint(stamp.bounds.most), *stamp.parts])
        case _:
            return Enclosed(tag, content)


def _field(owner: Owner, field: Field) -> list[Part]:
    match field:
        case TraceId(name, source):
            return [head(_sample(owner, name, _ID_16), _ID_16), Column(source, "V16")]
        case SpanId(name, source):
            return [head(_sample(owner, name, _ID_8), _ID_8), Column(source, "<u8")]
        case Time(name, source):
            return [head(_sample(owner, name, _FIXED64), _ID_8), Column(source, "<i8")]
        case message:
            return [message.SerializeToString()]


def _sample(owner: Owner, name: str, value: bytes | int) -> Message:
    message = owner()
    setattr(message, name, value)
    return message


def option_fields(owner: Owner, choice: Choice | Recorded) -> Sequence[bytes]:
    """Return the attribute of each option of *choice*, as a field of *owner*."""
    match choice:
        case Choice(key, options):
            return _attributes(owner, key, options)
        case Recorded(contents):
            return contents


def attribute_field(owner: Owner, key: str, value: Value | tuple[str, ...]) -> bytes:
    """Return one attribute as a field of *owner*."""
    return owner(attributes=key_values({key: value})).SerializeToString()


def _attributes(owner: Owner, key: str, options: Sequence[Value]) -> list[bytes]:
    """Return each of *options* as attribute *key*; of texts of one length all but the text once."""
    heads: dict[int, bytes] = {}
    found = []
    for option in options:
        if not isinstance(option, str) or not option:
            found.append(attribute_field(owner, key, option))
            continue
        text = option.encode()
        if len(text) not in heads:
            sample = "0" * len(text)
            heads[len(text)] = _head(owner, key, sample, sample.encode())
        found.append(heads[len(text)] + text)
    return found


def _head(owner: Owner, key: str, sample: Value, value: bytes) -> bytes:
    return head(owner(attributes=key_values({key: sample})), value)


def _double(owner: Owner, key: str, source: int) -> list[Part]:
    return [_head(owner, key, 0.5, struct.pack("<d", 0.5)), Column(source, "<f8")]


def _integer(owner: Owner, key: str, source: int, low: int, high: int) -> list[Part]:
    width = common_width(low, high)
    assert width is not None, "integers of different widths"
    sample = _sample_integer(width)
    encode = partial(varints, width=width)
    return [_head(owner, key, sample, varint(sample)), Column(source, f"V{width}", encode)]


def _varying_integer(owner: Owner, key: str, source: int, low: int, high: int) -> ByWidth:
    widths = range(varint_width(max(low, 0)), varint_width(high) + 1)
    stamps = {
        width: Stamp(
            [
                _head(owner, key, _sample_integer(width), varint(_sample_integer(width))),
                Column(0, f"V{width}"),
            ]
        )
        for width in (*widths, *([varint_width(low)] if low < 0 else []))
    }
    return ByWidth(source, stamps, widths=varint_widths, encode=varints)


def _sample_integer(width: int) -> int:
    """Return an int64 whose varint has *width* bytes."""
    return -1 if width == varint_width(-1) else (1 << 7 * width) - 1


def _numbered(owner: Owner, key: str, source: int, texts: Sequence[str]) -> ByWidth:
    stamps = {}
    for digits in range(1, MOST_DIGITS + 1):
        sample = ("0" * digits).join(texts)
        parts: list[Part] = [_head(owner, key, sample, sample[len(texts[0]) :].encode())]
        for text in texts[1:]:
            parts += [Column(0, f"V{digits}"), text.encode()]
        stamps[digits] = Stamp(parts)
    return ByWidth(source, stamps, widths=digit_counts, encode=decimals)


def _spelled(owner: Owner, attribute: Spelled, source: int) -> list[Part]:
    sample = "0" * attribute.length
    before = _head(owner, attribute.key, sample, sample.encode())
    return [before, Column(source, f"V{attribute.length}", partial(spell, attribute))]


def _fused(
    choices: Mapping[int, Sequence[bytes]], *, reach: int
) -> Iterator[dict[int, Sequence[bytes]]]:
    """Yield *choices* in groups small enough for a table each."""
    group: dict[int, Sequence[bytes]] = {}
    combinations, longest, difference = 1, 0, 0
    for source, options in choices.items():
        widths = [len(option) for option in options]
        combinations *= len(options)
        longest += max(widths)
        difference += max(widths) - min(widths)
        fits = (
            combinations <= MOST_COMBINATIONS
            and combinations * longest <= MOST_TABLE_BYTES
            and difference <= reach
        )
        if group and not fits:
            yield group
            group = {}
            combinations, longest = len(options), max(widths)
            difference = max(widths) - min(widths)
        group[source] = options
    if group:
        yield group


# Samples to cut heads from; see `head`.
_ID_16 = bytes(range(0xA0, 0xB0))
_ID_8 = _ID_16[:8]
_FIXED64 = int.from_bytes(_ID_8, "little")
