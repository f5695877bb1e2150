"""Messages as OTLP JSON, as segments: the same contents that `attributes` writes as protobuf.

Every member of an object and every element of an array has a comma behind it; what closes the
object or array overwrites the last one. Ids stand at the end of an object: they are so long that
the texts before them may reach into them.
"""

from __future__ import annotations

from binascii import hexlify
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from motel_locust.engine.columns import Choice, Constant, Double, Integer, Numbered, Spelled
from motel_locust.engine.spelling import spell
from motel_locust.otlp.attributes import key_values, tables
from motel_locust.otlp.contents import SpanId, Time, TraceId, arranged
from motel_locust.otlp.doubles import print_doubles
from motel_locust.otlp.lines import double_text, message_text, string_text
from motel_locust.otlp.pieces import Bounds, Piece, Put, join
from motel_locust.otlp.segments import Column, Stamp, bounds_of, plan_all
from motel_locust.otlp.texts import Printed, counted, print_integers
from motel_locust.otlp.wire import MOST_DIGITS, decimals, digit_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Value
    from motel_locust.otlp.contents import Content, Owner
    from motel_locust.otlp.segments import Frame, Part, Segment
    from motel_locust.otlp.wire import Size

Stretch: TypeAlias = "Part | Segment"
"""A part of a stamp, or what cannot be part of one."""

TIME_DIGITS: Final = MOST_DIGITS
"""Of a Unix time in ns from 2001-09-09 on."""
LEAST_TIME: Final = 10 ** (TIME_DIGITS - 1)


def object_segments(content: Content, *, reach: int = 0) -> list[Segment]:
    """Return the segments of an object with *content*, a comma behind it.

    *reach* is how many bytes are certain to follow the object.
    """
    closing = object_end(content)
    reach += closing.bounds.least
    return [*object_start(content, reach=reach), closing]


def object_start(content: Content, *, reach: int) -> list[Segment]:
    """Return the segments of an object with *content*, without its ids and open at the end.

    *reach* is how many bytes are certain to follow.
    """
    opening = _Opening()
    opening.add(b"{")
    for field in content.fields:
        match field:
            case Time(name, source):
                opening.add_time(f'"{_json_name(content.owner, name)}":"', source)
            case TraceId() | SpanId():
                continue
            case message:
                members = message_text(message)[1:-1]
                if members:
                    opening.add(f"{members},".encode())
    if not content.attributes:
        return [opening.build()]
    opening.add(b'"attributes":[')
    return [opening.build(), *_stamped((*_attributes(content, reach), Closing(b"],")))]


def object_end(content: Content) -> Segment:
    """Return the ids of *content* and the end of the object, a comma behind it."""
    parts: list[Part] = []
    for field in content.fields:
        match field:
            case TraceId(name, source):
                width = 32
            case SpanId(name, source):
                width = 16
            case _:
                continue
        comma = "," if parts else ""
        parts += [
            f'{comma}"{_json_name(content.owner, name)}":"'.encode(),
            Column(source, f"V{width}", _hexadecimals),
            b'"',
        ]
    return Stamp([*parts, b"},"]) if parts else Closing(b"},")


class Closing:
    """Bytes that begin on the comma behind what stands before them."""

    def __init__(self, text: bytes) -> None:
        self._items = _items(text)
        self.bounds = Bounds(len(text) - 1, len(text) - 1)

    def plan(self, frame: Frame) -> Piece:  # noqa: ARG002  # the protocol's name
        """Return the piece of any number of rows."""
        return Piece(self.bounds.most, [Put(-1, self._items)])


class List:
    """An array that is a member of an object, on the rows that have elements of it."""

    def __init__(self, name: str) -> None:
        self._opening, self._closing = _items(f'"{name}":['.encode()), _items(b"],")
        width = self._opening.dtype.itemsize + 1
        self.bounds = Bounds(width, width)
        """Of what stands around elements."""

    def enclose(self, elements: Sequence[Piece]) -> Piece:
        """Return the pieces of *elements*, one behind the other, as the array."""
        width = self._opening.dtype.itemsize
        array = join(elements, start=width)
        if isinstance(array.size, int):
            opening, closing = Put(0, self._opening), Put(array.size - 1, self._closing)
            return Piece(array.size + 1, [opening, *array.puts, closing])
        rows = (array.size > width).nonzero()[0]
        ends = array.size[rows]
        opening, closing = Put(0, self._opening, rows), Put(ends - 1, self._closing, rows)
        size = np.zeros(array.size.size, np.int64)
        size[rows] = ends + 1
        return Piece(size, [opening, *array.puts, closing])


class _Opening:
    """Collects what an object begins with, its times among it."""

    def __init__(self) -> None:
        self._sources: list[int] = []
        self._parts: list[Part] = []
        self._stretches: list[Stretch] = []

    def add(self, text: bytes) -> None:
        self._parts.append(text)
        self._stretches.append(text)

    def add_time(self, text: str, source: int) -> None:
        encode = partial(decimals, digits=TIME_DIGITS)
        self._sources.append(source)
        self._parts += [text.encode(), Column(source, f"V{TIME_DIGITS}", encode), b'",']
        self._stretches.append(counted(source, (text, '",'), range(1, MOST_DIGITS + 1)))

    def build(self) -> _Timed:
        return _Timed(self._sources, Stamp(self._parts), _stamped(self._stretches))


class _Timed:
    """*stamp* where all times of *sources* have as many digits as those of today, else *others*."""

    def __init__(self, sources: Sequence[int], stamp: Stamp, others: Sequence[Segment]) -> None:
        self._sources, self._stamp, self._others = sources, stamp, others
        self.bounds = bounds_of(others)

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""
        times = [frame[source] for source in self._sources]
        if all(time is not None and time.min() >= LEAST_TIME for time in times):
            return self._stamp.plan(frame)
        return join(plan_all(self._others, frame))


class _Counted:
    """*texts* with a number of the column *source* between each two of them.

    Numbers are written with as many zeros before them as the longest needs, from right to left, so
    that what stands before a number covers its zeros: the first text is as long as they can be.
    """

    def __init__(self, source: int, texts: Sequence[str]) -> None:
        self._source = source
        first, *others = (text.encode() for text in texts)
        assert len(first) >= MOST_DIGITS - 1, "the zeros would reach into what stands before"
        self._first = _items(first)
        self._others = [(len(text), _items(text) if text else None) for text in others]
        self._fixed = len(first) + sum(map(len, others))
        self.bounds = Bounds(self._fixed + len(others), self._fixed + len(others) * MOST_DIGITS)

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""
        numbers = frame[self._source]
        assert numbers is not None, f"the frame has no column {self._source}"
        digits = digit_counts(numbers)
        most = digits if isinstance(digits, int) else int(digits.max())
        items = decimals(numbers, most)
        size: Size = self._fixed + len(self._others) * digits
        place, puts = size, []
        for width, text in reversed(self._others):
            place = place - width
            if text is not None:
                puts.append(Put(place, text))
            puts.append(Put(place - most, items))
            place = place - digits
        return Piece(size, [*puts, Put(0, self._first)])


def escaped(text: str) -> str:
    """Return *text* as it stands between quotes; a text's parts can be escaped one by one."""
    return string_text(text)[1:-1]


def _attributes(content: Content, reach: int) -> Iterator[Stretch]:
    """Yield what stands between the brackets."""
    choices, varying, fixed = arranged(content)
    options = {}
    for source, choice in choices:
        assert isinstance(choice, Choice), "what was recorded is protobuf"
        options[source] = _options(choice)
    yield from tables(options, reach=reach)
    for source, attribute in (*varying, *fixed):
        match attribute:
            case Constant(key, value):
                yield _attribute(key, value).encode()
            case Double(key):
                before, after = _around(key, 0.5, "0.5")
                yield before.encode()
                yield Printed(source, _print_doubles)
                yield after.encode()
            case Spelled(key, length):
                before, after = _around(key, "0", "0")
                yield before.encode()
                yield Column(source, f"V{length}", partial(spell, attribute))
                yield after.encode()
            case Integer(key, low) if low >= 0:
                yield _Counted(source, _around(key, 0, "0"))
            case Integer(key):
                before, after = _around(key, 0, "0")
                yield before.encode()
                yield Printed(source, print_integers)
                yield after.encode()
            case Numbered(key, texts):
                before, after = _around(key, "0", "0")
                first, *others = map(escaped, texts)
                *between, last = others
                yield _Counted(source, (before + first, *between, last + after))


def _options(choice: Choice) -> list[bytes]:
    """Return all that the attribute may be; around texts, which may be many, it is made once."""
    before, after = _around(choice.key, "0", "0")
    return [
        (
            f"{before}{escaped(option)}{after}"
            if isinstance(option, str)
            else _attribute(choice.key, option)
        ).encode()
        for option in choice.options
    ]


def _attribute(key: str, value: Value | tuple[str, ...]) -> str:
    (attribute,) = key_values({key: value})
    return f"{message_text(attribute)},"


def _around(key: str, value: Value, text: str) -> tuple[str, str]:
    """Return what stands before and behind the *text* of *value* in an attribute."""
    before, _, after = _attribute(key, value).rpartition(text)
    return before, after


def _stamped(stretches: Iterable[Stretch]) -> list[Segment]:
    """Return *stretches* as segments, parts that are neighbours in one stamp."""
    segments: list[Segment] = []
    parts: list[Part] = []
    for stretch in stretches:
        if isinstance(stretch, bytes | Column):
            parts.append(stretch)
            continue
        if parts:
            segments.append(Stamp(parts))
            parts = []
        segments.append(stretch)
    return [*segments, Stamp(parts)] if parts else segments


def _json_name(owner: Owner, name: str) -> str:
    return owner.DESCRIPTOR.fields_by_name[name].json_name


def _items(text: bytes) -> NDArray[np.void]:
    return np.frombuffer(text, f"V{len(text)}")


def _hexadecimals(ids: NDArray[Any]) -> NDArray[np.void]:
    """Return the bytes of each of *ids* as hexadecimal text."""
    return np.frombuffer(hexlify(ids.tobytes()), f"V{2 * ids.dtype.itemsize}")


def _print_doubles(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return *values* as protobuf's JSON has them."""
    texts, sizes = print_doubles(values)
    for row in (~np.isfinite(values)).nonzero()[0].tolist():
        text = double_text(float(values[row])).encode()
        texts[row], sizes[row] = text, len(text)
    return texts, sizes
