"""Text that differs from row to row, as segments: values as they print, between fixed words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from motel_locust.engine.columns import Choice, Double, Integer, Numbered
from motel_locust.engine.records import Elapsed
from motel_locust.engine.templates import print_duration
from motel_locust.otlp.pieces import Bounds, Piece, Put
from motel_locust.otlp.segments import ByWidth, Column, Stamp, Table, bounds_of
from motel_locust.otlp.wire import MOST_DIGITS, decimals, digit_counts
from motel_locust.topology.scalars import print_float, print_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.records import Shown
    from motel_locust.otlp.segments import Frame, Part, Segment

PRINTED_BYTES = 32
"""More than any number or duration takes: a double at most 24, the longest duration 24."""


def text_segments(body: Sequence[str | Shown], *, first: int, reach: int) -> list[Segment]:
    """Return the segments of the text *body*, not empty.

    Its varying parts read the columns of the frame from *first* on, in their order; *reach* is how
    many bytes are certain to follow the text.
    """
    words, varying = [""], []
    for part in body:
        if isinstance(part, str):
            words[-1] += part
        else:
            varying.append(part)
            words.append("")
    segments: list[Segment] = _fixed(words.pop())
    for source, word in reversed(list(enumerate(words))):
        behind = bounds_of(segments).least + reach
        segments[:0] = _segments(word, varying[source], source=first + source, reach=behind)
    return segments


def _segments(word: str, part: Shown, *, source: int, reach: int) -> list[Segment]:
    """Return *word* and the column *source* of *part*; *reach* bytes are certain to follow."""
    match part:
        case Choice(_, options):
            texts = [f"{word}{print_value(option)}".encode() for option in options]
            return [Table({source: texts}, reach=reach)]
        case Integer(_, low, high) if low >= 0:
            digits = range(len(str(low)), len(str(high)) + 1)
            return [_counted(source, (word, ""), digits)]
        case Numbered(_, (before, *others)):
            return [_counted(source, (word + before, *others), range(1, MOST_DIGITS + 1))]
        case Integer():
            printed = Printed(source, _print_integers)
        case Double():
            printed = Printed(source, _print_doubles)
        case Elapsed():
            printed = Printed(source, _print_durations)
    return [*_fixed(word), printed]


def _fixed(word: str) -> list[Segment]:
    return [Stamp([word.encode()])] if word else []


def _counted(source: int, texts: Sequence[str], digits: range) -> ByWidth:
    """Return *texts* with a number between each two of them."""
    stamps = {}
    for width in digits:
        parts: list[Part] = [texts[0].encode()]
        for text in texts[1:]:
            parts += [Column(0, f"V{width}"), text.encode()]
        stamps[width] = Stamp(parts)
    return ByWidth(source, stamps, widths=digit_counts, encode=decimals)


class Printed:
    """A segment of what *encode* makes of the column *source*: texts with zeros behind them.

    It returns S{PRINTED_BYTES}[rows] and how much of each counts, int64[rows], at least 1.
    """

    bounds = Bounds(1, PRINTED_BYTES, PRINTED_BYTES - 1)

    def __init__(
        self,
        source: int,
        encode: Callable[[NDArray[Any]], tuple[NDArray[np.bytes_], NDArray[np.int64]]],
    ) -> None:
        self._source, self._encode = source, encode

    def plan(self, frame: Frame) -> Piece:
        """Return the piece of the rows of *frame*."""
        column = frame[self._source]
        assert column is not None, f"the frame has no column {self._source}"
        texts, sizes = self._encode(column)
        return Piece(sizes, [Put(0, texts.view(f"V{PRINTED_BYTES}"))])


def _print_integers(
    values: NDArray[np.int64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    texts = values.astype(f"S{PRINTED_BYTES}")
    return texts, np.char.str_len(texts)


def _print_doubles(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return *values* as `print_float` has them."""
    # NumPy prints as Python does, and so as Go, but for the tail of 3.0 and for the largest.
    texts = values.astype(f"S{PRINTED_BYTES}")
    sizes = np.char.str_len(texts) - np.where(values == np.trunc(values), len(".0"), 0)
    unlike = (~(np.abs(values) < 1e16)).nonzero()[0]
    for row, value in zip(unlike.tolist(), values[unlike].tolist(), strict=True):
        texts[row] = print_float(value).encode()
    sizes[unlike] = np.char.str_len(texts[unlike])
    return texts, sizes


def _print_durations(
    values: NDArray[np.int64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    distinct, which = np.unique(values, return_inverse=True)
    printed = [print_duration(value).encode() for value in distinct.tolist()]
    texts = np.array(printed, f"S{PRINTED_BYTES}")
    return texts[which], np.char.str_len(texts)[which]
