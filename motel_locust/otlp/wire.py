"""Varints, decimal text and length prefixes for whole columns.

Items of one width are void items, ``V5[rows]``: NumPy moves them as they are, where byte strings
(``S5``) would lose their trailing zeros. Nothing here is called with zero rows.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from numpy.typing import NDArray

Size: TypeAlias = "int | NDArray[np.int64]"
"""Bytes per row: one number where all rows agree, else int64[rows]."""

LONGEST_PADDED = 5
"""Some parsers misread varints, or refuse lengths, that are padded beyond this many bytes."""


def field_tag(message: Message) -> bytes:
    """Return the tag of the only field of *message*, an embedded message without content."""
    *tag, length = message.SerializeToString()
    assert length == 0, "the field has content"
    return bytes(tag)


def varint_width(value: int) -> int:
    """Return the bytes of the shortest varint of *value*, an int64 or a length."""
    return ((value % 2**64 | 1).bit_length() + 6) // 7


# Concatenated, these take two thirds of the time of bytes that are appended.
_LAST = [bytes((group,)) for group in range(128)]
_MORE_TO_COME = [bytes((group | 128,)) for group in range(128)]


def varint(value: int) -> bytes:
    """Return the shortest varint of *value*, an int64 or a length."""
    found, rest = b"", value % 2**64
    while rest > 127:
        found += _MORE_TO_COME[rest & 127]
        rest >>= 7
    return found + _LAST[rest]


def enclosed(tag: bytes, content: bytes) -> bytes:
    """Return the field *tag* with *content*, an embedded message or packed numbers."""
    return tag + _length(len(content)) + content


@lru_cache(maxsize=1024)
def _length(length: int) -> bytes:
    """Return *length* as a varint; the points of an instrument have few different ones."""
    return varint(length)


VARINT_STEPS = np.array([1 << 7 * width for width in range(1, 10)], np.uint64)
"""The least values of 2, 3, ... 10 bytes."""


def varint_widths(values: NDArray[np.int64]) -> Size:
    """Return the bytes of each value's shortest varint.

    values int64[rows]. In plain Python: ``[varint_width(value) for value in values]``
    """
    unsigned = values.view(np.uint64)
    shortest, longest = varint_width(int(unsigned.min())), varint_width(int(unsigned.max()))
    if shortest == longest:
        return shortest
    return VARINT_STEPS.searchsorted(unsigned, "right") + 1


def varints(values: NDArray[np.int64], width: int) -> NDArray[np.void]:
    """Return each value as a varint of *width* bytes, V{width}[rows].

    values int64[rows], none of which needs more than *width* bytes. Shorter ones are padded, which
    is legal protobuf. In plain Python, negative values modulo 2**64:
    ``[bytes(v >> 7 * i & 127 | 128 * (i < width - 1) for i in range(width)) for v in values]``
    """
    if width == 1:
        return values.astype(np.uint8).view("V1")
    if width == 2:
        return _two_byte_varints()[values]
    unsigned = values.view(np.uint64)
    words = np.empty((values.size, 1 if width <= 8 else 2), "<u8")
    words[:, 0] = _sevens(unsigned) | _continued(min(width - 1, 8))
    if width > 8:
        words[:, 1] = _sevens(unsigned >> np.uint64(56)) | _continued(width - 9)
    return void_items(words, width)


def packed_varints(values: NDArray[np.int64], offsets: NDArray[np.int64]) -> list[bytes]:
    """Return the shortest varints of several stretches of *values*, each as one byte string.

    values int64[offsets[-1]], at least one; offsets int64[stretches + 1], the first element 0. In
    plain Python: ``[b"".join(map(varint, values[a:b])) for a, b in pairwise(offsets)]``
    """
    widths = np.broadcast_to(varint_widths(values), values.shape)
    ends = np.concatenate(([0], widths.cumsum()))
    packed = np.empty(ends[-1], np.uint8)
    for width in np.unique(widths).tolist():
        rows = (widths == width).nonzero()[0]
        places = ends[rows][:, np.newaxis] + np.arange(width)
        items = np.ascontiguousarray(varints(values[rows], width))
        packed[places] = items.view(np.uint8).reshape(-1, width)
    content, cuts = packed.tobytes(), ends[offsets].tolist()
    return [content[start:end] for start, end in pairwise(cuts)]


def _sevens(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the low 56 bits of each value, seven to a byte, the lowest first."""
    for low, high, shift in _HALVINGS:
        values = values & low | (values & high) << shift
    return values


_HALVINGS = [  # 56 bits to 28 + 28, each of them to 14 + 14, each of them to 7 + 7
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x00FFFFFFF0000000), np.uint64(4)),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x0FFFC0000FFFC000), np.uint64(2)),
    (np.uint64(0x007F007F007F007F), np.uint64(0x3F803F803F803F80), np.uint64(1)),
]


def _continued(count: int) -> int:
    """Return a word whose first *count* bytes say that another byte follows."""
    return int.from_bytes(b"\x80" * count, "little")


@cache
def _two_byte_varints() -> NDArray[np.void]:
    """Return all varints of two bytes, V2[2**14]: a gather costs half of the shifts and masks."""
    values = np.arange(1 << 14)
    return (values & 127 | 128 | values >> 7 << 8).astype("<u2").view("V2")


def prefix_item_width(length_width: int) -> int:
    """Return how wide the items of `prefixes` are; what follows must cover their last bytes."""
    # NumPy gathers items of 4 bytes four times as fast as items of 3 (0.9 and 3.6 ns a row).
    return 4 if length_width <= 2 else 8


def prefixes(tag: bytes, lengths: NDArray[np.int64], length_width: int) -> NDArray[np.void]:
    """Return a tag and a length as a varint of *length_width* bytes, then zeros, for each length.

    tag of one byte; lengths int64[rows]. Result V{prefix_item_width(length_width)}[rows].
    """
    if length_width <= 2:
        return _all_prefixes(tag, length_width)[lengths]
    return _prefixes(tag, lengths, length_width)


@cache
def _all_prefixes(tag: bytes, length_width: int) -> NDArray[np.void]:
    return _prefixes(tag, np.arange(1 << 7 * length_width), length_width)


def _prefixes(tag: bytes, lengths: NDArray[np.int64], length_width: int) -> NDArray[np.void]:
    width = prefix_item_width(length_width)
    matrix = np.zeros((lengths.size, width), np.uint8)
    matrix[:, 0] = tag[0]
    void_items(matrix, length_width, offset=1)[:] = varints(lengths, length_width)
    return void_items(matrix, width)


MOST_DIGITS = len(str(2**63 - 1))
POWERS_OF_TEN = 10 ** np.arange(1, MOST_DIGITS, dtype=np.int64)


def digit_counts(numbers: NDArray[np.int64]) -> Size:
    """Return how many decimal digits each number has.

    numbers int64[rows], not negative. In plain Python: ``[len(str(n)) for n in numbers]``
    """
    fewest, most = len(str(numbers.min())), len(str(numbers.max()))
    if fewest == most:
        return fewest
    return POWERS_OF_TEN.searchsorted(numbers, "right") + 1


def decimals(numbers: NDArray[np.int64], digits: int) -> NDArray[np.void]:
    """Return each number as decimal text, V{digits}[rows], with zeros before those that are short.

    numbers int64[rows], not negative, none of more than *digits* digits. In plain Python:
    ``[b"%0*d" % (digits, n) for n in numbers]``
    """
    four_digits = _four_digits()
    groups = -(-digits // 4)
    if numbers.size < FEW:
        powers = _FOUR_DIGIT_POWERS[-groups:]
        return void_items(
            four_digits[numbers[:, np.newaxis] // powers % 10_000],
            digits,
            offset=4 * groups - digits,
        )
    text = np.empty((numbers.size, groups), "<u4")
    rest = numbers
    for group in range(groups - 1, 0, -1):
        higher = rest // 10_000
        text[:, group] = four_digits[rest - higher * 10_000]
        rest = higher
    text[:, 0] = four_digits[rest]
    return void_items(text, digits, offset=4 * groups - digits)


FEW = 400
"""Fewer numbers are divided all at once: for 40 that takes 6 µs instead of 14, as it calls NumPy
less often, but more for each number."""
_FOUR_DIGIT_POWERS = 10_000 ** np.arange(-(-MOST_DIGITS // 4) - 1, -1, -1)


@cache
def _four_digits() -> NDArray[np.uint32]:
    return np.frombuffer(b"".join(b"%04d" % n for n in range(10_000)), "<u4")


def void_items(
    matrix: NDArray[Any], width: int, *, offset: int = 0, rows: int | None = None
) -> NDArray[np.void]:
    """Return *width* bytes of each row of *matrix*, from byte *offset* on: a view, V{width}[rows].

    matrix contiguous, any dtype, [rows, columns]; *rows* may be fewer than it has.
    """
    count = len(matrix) if rows is None else rows
    return np.ndarray(count, f"V{width}", matrix, offset, (matrix.strides[0],))
