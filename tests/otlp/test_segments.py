"""Segments of random widths, compared with the concatenation of their bytes row by row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.otlp.pieces import Bounds, join, spread, write
from motel_locust.otlp.segments import Column, Enclosed, Prefix, Stamp, Table, bounds_of, plan_all
from motel_locust.otlp.wire import varints

TAIL = b"<the end of the row>"

lengths = st.integers(1, 25) | st.sampled_from([300, 310, 2000])
texts = st.builds(lambda length, letter: letter * length, lengths, st.sampled_from([b"a", b"b"]))
tables = st.lists(st.lists(texts, min_size=1, max_size=6), min_size=1, max_size=4)


def written(piece, rows: int) -> list[bytes]:
    encoded = write(piece, rows=rows)
    edges = encoded.offsets.tolist()
    return [encoded.content[start:end].tobytes() for start, end in pairwise(edges)]


@settings(max_examples=150)
@given(tables, st.integers(1, 9), st.booleans())
def test_rows_of_tables_are_their_entries_one_behind_the_other(tables, rows, fuse):
    frame = [np.arange(rows) * (7 + n) % len(options) for n, options in enumerate(tables)]
    expected = [
        b"".join(options[index[row]] for options, index in zip(tables, frame, strict=True)) + TAIL
        for row in range(rows)
    ]
    groups = [dict(enumerate(tables))] if fuse else [{n: each} for n, each in enumerate(tables)]
    segments = [*(Table(group, reach=len(TAIL)) for group in groups), Stamp([TAIL])]
    bounds = bounds_of(segments)
    assert bounds.overhang == 0
    assert all(bounds.least <= len(row) <= bounds.most for row in expected)
    assert written(join(plan_all(segments, frame)), rows) == expected


@given(st.lists(texts, min_size=1, max_size=6), st.lists(st.booleans(), min_size=1, max_size=9))
def test_a_piece_of_some_rows_leaves_the_others_without(options, having):
    chosen = np.array(having).nonzero()[0]
    index = np.arange(len(having)) % len(options)
    pieces = [Stamp([b"<", TAIL]).plan([index])]
    if len(chosen):
        some = Table({0: options}, reach=len(TAIL)).plan([index[chosen]])
        pieces.insert(0, spread(some, chosen, rows=len(having)))
    assert written(join(pieces), len(having)) == [
        (options[index[row]] if has else b"") + b"<" + TAIL for row, has in enumerate(having)
    ]


@pytest.mark.parametrize("longest", [1, 5, 127, 128, 16_383, 16_384, 70_000])
def test_an_enclosed_message_has_a_length_as_wide_as_its_longest_needs(longest):
    options = [b"y", b"x" * longest]
    index = np.array([1, 0, 1])
    enclosed = Enclosed(b"\x12", [Table({0: options}, reach=len(TAIL)), Stamp([TAIL])])
    width = 1 + (longest + len(TAIL) > 127) + (longest + len(TAIL) > 16_383)
    lengths = varints(np.array([len(options[row]) + len(TAIL) for row in index]), width)
    assert written(enclosed.plan([index]), 3) == [
        b"\x12" + length.tobytes() + options[row] + TAIL
        for row, length in zip(index, lengths, strict=True)
    ]
    assert enclosed.bounds.overhang == 0


def test_a_stamp_writes_its_columns_again_and_keeps_the_rest():
    stamp = Stamp([b"a", Column(0, "<i8"), b"b", Column(1, "u1", lambda values: values + 1), b"c"])
    for rows in (1, 3, 2, 50):
        words, small = np.arange(rows) * 1_000_003, np.arange(rows, dtype=np.uint8)
        assert written(stamp.plan([words, small]), rows) == [
            b"a" + int(word).to_bytes(8, "little") + b"b" + bytes([byte + 1]) + b"c"
            for word, byte in zip(words, small, strict=True)
        ]


def test_a_column_that_is_missing_is_named():
    with pytest.raises(AssertionError, match="no column 1"):
        Stamp([Column(1, "<i8")]).plan([np.arange(2), None])


def test_bounds_tell_how_far_the_last_bytes_reach():
    table = Table({0: [b"a", b"bbbb"]}, reach=10)
    assert table.bounds == Bounds(1, 4, overhang=3)
    assert (table.bounds + Bounds(2, 2)).overhang == 1
    assert (table.bounds + Bounds(2, 9, overhang=5)).overhang == 5
    assert (table.bounds + table.bounds.optional() + Bounds(3, 3)).overhang == 0
    assert Prefix(b"\x12", Bounds(0, 300)).bounds == Bounds(3, 3, overhang=1)


def test_a_tables_entries_reach_no_further_than_allowed():
    options = [b"x" * length for length in (1, 3, 11, 12, 500, 511)]
    assert Table({0: options}, reach=10).bounds == Bounds(1, 511, overhang=10)
    assert Table({0: options}, reach=0).bounds == Bounds(1, 511, overhang=0)
