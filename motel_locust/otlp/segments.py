"""The kinds of segments that a message consists of; what they are for is told in `pieces`.

A segment is built once and then makes a piece from each *frame*: the columns of a batch.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np

from motel_locust.otlp.pieces import Bounds, Piece, Put, join
from motel_locust.otlp.wire import prefix_item_width, prefixes, varint_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.otlp.wire import Size

Frame: TypeAlias = "Sequence[NDArray[Any] | None]"
"""Columns of equal length, at least one row; the first is never None."""


class Segment(Protocol):
    """A part of a message, made from columns."""

    bounds: Bounds

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""


def plan_all(segments: Iterable[Segment], frame: Frame) -> list[Piece]:
    """Return the pieces of *segments*, all from one frame."""
    return [segment.plan(frame) for segment in segments]


def bounds_of(segments: Iterable[Segment]) -> Bounds:
    """Return the bounds of *segments* one behind the other."""
    return sum((segment.bounds for segment in segments), Bounds())


class Column(NamedTuple):
    """A place of fixed width in a message, to be filled from the frame's column *source*."""

    source: int
    dtype: str
    encode: Callable[[NDArray[Any]], NDArray[Any]] | None = None


Part: TypeAlias = "bytes | Column"


class Stamp:
    """A segment of fixed width: the same bytes on every row, but for some columns."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._places: list[tuple[int, Column]] = []
        template = bytearray()
        for part in parts:
            if isinstance(part, bytes):
                template += part
            else:
                self._places.append((len(template), part))
                template += bytes(np.dtype(part.dtype).itemsize)
        width = len(template)
        self._template = np.frombuffer(bytes(template), f"V{width}")
        self.bounds = Bounds(width, width)

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""
        if not self._places:
            return Piece(self.bounds.most, [Put(0, self._template)])
        rows, width = len(_column(frame, 0)), self.bounds.most
        # Copied anew: rows that were kept would have left the caches since the last batch, and fill
        # as much memory as the batch itself.
        items = np.empty(rows, self._template.dtype)
        items[:] = self._template
        for offset, column in self._places:
            values = _column(frame, column.source)
            # Into the very item type: writing a two-dimensional slice takes five times as long.
            place: NDArray[Any] = np.ndarray(rows, column.dtype, items, offset, (width,))
            place[:] = values if column.encode is None else column.encode(values)
        return Piece(width, [Put(0, items)])


MOST_PADDING_BYTES: Final = 1 << 22
"""Of all entries of a table together."""


class Table:
    """One of several byte strings, encoded in advance; or one of each of several lists, fused.

    Args:
        options: the byte strings to choose from, by the frame's column of indexes.
        reach: how many bytes are certain to follow in the row.
    """

    def __init__(self, options: Mapping[int, Sequence[bytes]], *, reach: int) -> None:
        self._radices = [(source, len(texts)) for source, texts in options.items()]
        entries = [b"".join(texts) for texts in product(*options.values())]
        self._sizes = np.array([len(entry) for entry in entries])
        # The entries of a class are so close in length that what follows covers the difference,
        # and so close that many of them do not take much more memory than their bytes.
        reach = min(reach, MOST_PADDING_BYTES // len(entries))
        shortest: list[int] = []
        for size in np.unique(self._sizes).tolist():
            if not shortest or size - shortest[-1] > reach:
                shortest.append(size)
        self._class = np.searchsorted(shortest, self._sizes, "right") - 1
        self._place = np.zeros(len(entries), np.int64)
        self._items = []
        overhang = 0
        for number in range(len(shortest)):
            members = (self._class == number).nonzero()[0]
            self._place[members] = np.arange(len(members))
            self._items.append(_padded([entries[member] for member in members.tolist()]))
            overhang = max(overhang, self._items[-1].dtype.itemsize - shortest[number])
        self.bounds = Bounds(int(self._sizes.min()), int(self._sizes.max()), overhang)

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*: one put per class of lengths that occurs."""
        (source, _), *others = self._radices
        entry = _column(frame, source)
        for source, radix in others:
            entry = entry * radix + _column(frame, source)
        if len(self._items) == 1:
            return Piece(self._sizes[entry], [Put(0, self._items[0].take(entry))])
        classes, puts = self._class[entry], []
        for number in np.unique(classes).tolist():
            rows = (classes == number).nonzero()[0]
            puts.append(Put(0, self._items[number].take(self._place[entry[rows]]), rows))
        return Piece(self._sizes[entry], puts)


def _padded(texts: Sequence[bytes]) -> NDArray[np.void]:
    """Return *texts* as items as wide as the longest of them, zeros behind the others."""
    width = max(1, *map(len, texts))  # NumPy has no items without width
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), f"V{width}")


class ByWidth:
    """Values whose encoded width differs from row to row: a stamp for every width.

    Args:
        source: the frame's column of values.
        stamps: by width; they are filled from a frame whose only column is what *encode* returns.
        widths: the encoded width of each value.
        encode: values of one width to items of that width.
    """

    def __init__(
        self,
        source: int,
        stamps: Mapping[int, Stamp],
        *,
        widths: Callable[[NDArray[np.int64]], Size],
        encode: Callable[[NDArray[np.int64], int], NDArray[np.void]],
    ) -> None:
        self._source, self._stamps = source, stamps
        self._widths, self._encode = widths, encode
        sizes = [stamp.bounds.most for stamp in stamps.values()]
        self.bounds = Bounds(min(sizes), max(sizes))

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*: one put per width that occurs."""
        values = _column(frame, self._source)
        widths = self._widths(values)
        if isinstance(widths, int):
            return self._stamps[widths].plan([self._encode(values, widths)])
        size, puts = np.zeros(len(values), np.int64), []
        for width in np.unique(widths).tolist():
            rows = (widths == width).nonzero()[0]
            piece = self._stamps[width].plan([self._encode(values[rows], width)])
            size[rows] = piece.size
            puts += [put._replace(rows=rows) for put in piece.puts]
        return Piece(size, puts)


class Prefix:
    """Tag and length in front of *content*, an embedded message that differs in length by row.

    The length takes as many bytes as the longest content needs; shorter ones are padded.
    """

    def __init__(self, tag: bytes, content: Bounds) -> None:
        self._tag, self._length_width = tag, varint_width(content.most)
        width = 1 + self._length_width
        self.bounds = Bounds(width, width, prefix_item_width(self._length_width) - width)

    def enclose(self, content: Iterable[Piece]) -> Piece:
        """Return the pieces of *content*, one behind the other, behind their tag and length."""
        width = self.bounds.most
        message = join(content, start=width)
        lengths = np.atleast_1d(np.asarray(message.size - width))
        items = prefixes(self._tag, lengths, self._length_width)
        return Piece(message.size, [Put(0, items), *message.puts])


class Enclosed:
    """An embedded message that differs in length from row to row."""

    def __init__(self, tag: bytes, segments: Sequence[Segment]) -> None:
        self._segments, content = segments, bounds_of(segments)
        self._prefix = Prefix(tag, content)
        self.bounds = self._prefix.bounds + content

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""
        return self._prefix.enclose(plan_all(self._segments, frame))


def _column(frame: Frame, source: int) -> NDArray[Any]:
    column = frame[source]
    assert column is not None, f"the frame has no column {source}"
    return column
