"""How rows of different widths are laid out and written, one array assignment for a part of all.

A message is a chain of segments. What one segment adds to the rows of a batch is a *piece*: its
size on every row, and the *puts* that write it. `join` chains pieces, `write` lays the rows out and
makes the puts through windows that overlap all over the output, so that an item may begin at any
byte.

A put may reach beyond its segment's end, by its *overhang*: a table of texts of different lengths
has items as wide as its longest. What follows in the row is put later and covers that. So puts are
made in order, and `Bounds` proves, when a template is built, that no row reaches into the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from motel_locust.otlp.blocks import Encoded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from motel_locust.otlp.wire import Size


class Put(NamedTuple):
    """Items to write, V{width}[rows], or V{width}[1] for all rows."""

    shift: Size  # where, in bytes from the segment's start
    items: NDArray[np.void]
    rows: NDArray[np.int64] | None = None  # which rows; None: all of them


class Piece(NamedTuple):
    """What one segment adds to the rows of one batch; its size is 0 on rows that go without."""

    size: Size
    puts: list[Put]


def join(pieces: Iterable[Piece], *, start: int = 0) -> Piece:
    """Return *pieces* one behind the other on every row, *start* bytes from the row's start."""
    size: Size = start
    puts = []
    for piece in pieces:
        for put in piece.puts:
            here = size if put.rows is None or isinstance(size, int) else size[put.rows]
            puts.append(Put(here + put.shift, put.items, put.rows))
        size = size + piece.size
    return Piece(size, puts)


def spread(piece: Piece, chosen: NDArray[np.int64], *, rows: int) -> Piece:
    """Return a piece of only the *chosen* rows, int64[chosen], as one of all *rows*."""
    size = np.zeros(rows, np.int64)
    size[chosen] = piece.size
    puts = [
        Put(put.shift, put.items, chosen if put.rows is None else chosen[put.rows])
        for put in piece.puts
    ]
    return Piece(size, puts)


def write(piece: Piece, *, rows: int) -> Encoded:
    """Return the bytes of all *rows*, at least one, in memory of their own."""
    if isinstance(piece.size, int):
        offsets = np.arange(0, (rows + 1) * piece.size, piece.size)
    else:
        offsets = np.empty(rows + 1, np.int64)
        offsets[0] = 0
        piece.size.cumsum(out=offsets[1:])
    starts = offsets[:-1]
    # Written where it stays: 5 to 10 ns a row less than a buffer that is reused, and a copy of it.
    content = np.empty(int(offsets[-1]), np.uint8)
    for shift, items, chosen in piece.puts:
        here = starts if chosen is None else starts[chosen]
        windows: NDArray[np.void] = np.ndarray(
            content.size - items.dtype.itemsize + 1, items.dtype, content, 0, (1,)
        )
        windows[here + shift] = items
    return Encoded(content.data, offsets)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest size of a segment, and how far its puts may reach beyond it."""

    least: int = 0
    most: int = 0
    overhang: int = 0

    def __add__(self, after: Bounds) -> Bounds:
        """Return the bounds of this segment with *after* behind it."""
        return Bounds(
            self.least + after.least,
            self.most + after.most,
            max(self.overhang - after.least, after.overhang),
        )

    def optional(self) -> Bounds:
        """Return the bounds of a segment that some rows have and others have not."""
        return Bounds(0, self.most, self.overhang)
