"""Text that differs from row to row, as segments: values as they print, between fixed words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from motel_locust.engine.columns import Choice, Double, Integer, Numbered, Spelled
from motel_locust.engine.records import Elapsed
from motel_locust.engine.spelling import spell
from motel_locust.engine.templates import print_duration
from motel_locust.otlp.doubles import PRINTED_BYTES, print_doubles
from motel_locust.otlp.pieces import Bounds, Piece, Put
from motel_locust.otlp.segments import ByWidth, Column, Stamp, Table, bounds_of
from motel_locust.otlp.wire import MOST_DIGITS, decimals, digit_counts
from motel_locust.topology.scalars import print_float, print_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.records import Shown
    from motel_locust.otlp.segments import Frame, Part, Segment


def as_it_is(text: str) -> str:
    """Return *text*."""
    return text


def text_segments(
    body: Sequence[str | Shown],
    *,
    first: int,
    reach: int,
    escape: Callable[[str], str] = as_it_is,
) -> list[Segment]:
    """Return the segments of the text *body*, not empty.

    Its varying parts read the columns of the frame from *first* on, in their order; *reach* is how
    many bytes are certain to follow the text. *escape* is applied to words and texts; numbers and
    durations need none.
    """
    words, varying = [""], []
    for part in body:
        if isinstance(part, str):
            words[-1] += escape(part)
        else:
            varying.append(part)
            words.append("")
    segments: list[Segment] = _fixed(words.pop())
    for source, word in reversed(list(enumerate(words))):
        behind = bounds_of(segments).least + reach
        segments[:0] = _segments(word, varying[source], escape, source=first + source, reach=behind)
    return segments


def _segments(
    word: str, part: Shown, escape: Callable[[str], str], *, source: int, reach: int
) -> list[Segment]:
    """Return *word* and the column *source* of *part*; *reach* bytes are certain to follow."""
    match part:
        case Choice(_, options):
            texts = [f"{word}{escape(print_value(option))}".encode() for option in options]
            return [Table({source: texts}, reach=reach)]
        case Integer(_, low, high) if low >= 0:
            digits = range(len(str(low)), len(str(high)) + 1)
            return [counted(source, (word, ""), digits)]
        case Numbered(_, (text,)):
            return _fixed(word + escape(text))
        case Numbered(_, parts):
            before, *others = map(escape, parts)
            return [counted(source, (word + before, *others), range(1, MOST_DIGITS + 1))]
        case Spelled(_, length):
            return [Stamp([word.encode(), Column(source, f"V{length}", partial(spell, part))])]
        case Integer():
            printed = Printed(source, print_integers)
        case Double():
            printed = Printed(source, _print_doubles)
        case Elapsed():
            printed = Printed(source, _print_durations)
    return [*_fixed(word), printed]


def _fixed(word: str) -> list[Segment]:
    return [Stamp([word.encode()])] if word else []


def counted(source: int, texts: Sequence[str], digits: range) -> ByWidth:
    """Return *texts* with a number of that many *digits* between each two of them."""
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


def print_integers(
    values: NDArray[np.int64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return *values* as texts, for :class:`Printed`."""
    texts = values.astype(f"S{PRINTED_BYTES}")
    return texts, np.char.str_len(texts)


def _print_doubles(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return *values* as `print_float` has them."""
    # Go prints as Python does, but for the tail of 3.0 and for the largest.
    texts, sizes = print_doubles(values)
    sizes -= np.where(values == np.trunc(values), len(".0"), 0)
    unlike = (~(np.abs(values) < 1e16)).nonzero()[0]
    for row, value in zip(unlike.tolist(), values[unlike].tolist(), strict=True):
        text = print_float(value).encode()
        texts[row], sizes[row] = text, len(text)
    return texts, sizes


def _print_durations(
    values: NDArray[np.int64],
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Return *values* as `print_duration` has them."""
    texts = np.zeros((values.size, PRINTED_BYTES), np.uint8)
    sizes = np.zeros(values.size, np.int64)
    for least_ns, most_ns, unit_ns, digits, suffix in _UNITS:
        these = ((least_ns <= values) & (values <= most_ns)).nonzero()[0]
        if these.size:
            whole, fraction = np.divmod(values[these], unit_ns)
            texts[these], sizes[these] = _print_decimals(whole, fraction, digits, suffix)
    unlike = (sizes == 0).nonzero()[0]  # 0 itself, and minutes and hours
    for row, value in zip(unlike.tolist(), values[unlike].tolist(), strict=True):
        text = print_duration(value).encode()
        sizes[row] = len(text)
        texts[row, : len(text)] = bytearray(text)
    return texts.view(f"S{PRINTED_BYTES}")[:, 0], sizes


_UNITS: Final = (
    (1, 999, 1, 0, "ns"),
    (1_000, 999_999, 1_000, 3, "µs"),
    (1_000_000, 999_999_999, 1_000_000, 6, "ms"),
    (1_000_000_000, 59_999_999_999, 1_000_000_000, 9, "s"),
)
"""Durations of one unit: the least and the greatest, the unit in ns, its decimals, its name."""


def _print_decimals(
    whole: NDArray[np.int64], fraction: NDArray[np.int64], digits: int, suffix: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return numbers below 1000 with a *suffix*: uint8[rows, PRINTED_BYTES] and their sizes.

    The *digits* of the *fraction* come without the zeros at their end; what lies behind a text's
    size is of no meaning.
    """
    rows = np.arange(whole.size)
    # Three digits of the whole are written, those that are too many from before the text's start.
    texts = np.zeros((whole.size, PRINTED_BYTES + 3), np.uint8)
    widths = 1 + (whole >= 10).astype(np.int64) + (whole >= 100)
    kept = np.full(whole.size, digits)
    for power in range(1, digits + 1):
        kept -= fraction % 10**power == 0
    texts[:, :3] = _digits(whole, 3)
    if digits:
        texts[:, 3] = ord(".")
        texts[:, 4 : 4 + digits] = _digits(fraction, digits)
    ends = 3 + np.where(kept, 1 + kept, 0)
    for place, byte in enumerate(suffix.encode()):
        texts[rows, ends + place] = byte
    windows = np.lib.stride_tricks.sliding_window_view(texts, PRINTED_BYTES, axis=1)
    return windows[rows, 3 - widths], ends - 3 + widths + len(suffix.encode())


def _digits(numbers: NDArray[np.int64], digits: int) -> NDArray[np.uint8]:
    """Return the last *digits* decimals of *numbers*: uint8[rows, digits]."""
    text = np.ascontiguousarray(decimals(numbers, digits))
    return text.view(np.uint8).reshape(numbers.size, digits)
