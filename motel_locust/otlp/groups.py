"""Spans of many shapes encoded in one go, where each has few.

However few rows a shape has, encoding them takes some hundred calls into NumPy. So shapes of one
layout are a *group*: a table holds the texts that tell them apart, and one stamp is filled with the
columns of all. The spans of an owner stand in the order of their release, whatever their shapes.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from motel_locust.engine.spans import Item, join, order_of
from motel_locust.otlp.attributes import content_segments
from motel_locust.otlp.blocks import Block
from motel_locust.otlp.layouts import layout_content, member_of
from motel_locust.otlp.pieces import write
from motel_locust.otlp.segments import Table, bounds_of, plan_all
from motel_locust.otlp.spans import FIXED_COLUMNS, Failure, span_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Columns, Shape
    from motel_locust.otlp.blocks import Encoded
    from motel_locust.otlp.layouts import Layout, Member
    from motel_locust.otlp.segments import Frame

FEW_ROWS: Final = 2048
"""A shape with more rows in a batch is encoded alone: its constants need no table."""
MOST_ROWS: Final = 8192
"""Of owners that are encoded together, unless one alone has more: they stay in the caches."""
MOST_MEMBERS: Final = 4096


class GroupEncoder:
    """Encodes the spans of *members*, at least one, all of one *layout*."""

    def __init__(self, layout: Layout, members: Sequence[Member]) -> None:
        self._failure = Failure(layout.message, layout.exception_message)
        self._fields = content_segments(layout_content(layout, first=FIXED_COLUMNS + 1))
        texts = [text for member in members for text in member.texts]
        fields = bounds_of(self._fields)
        self._texts = Table({FIXED_COLUMNS: texts}, reach=fields.least)
        self._prefix = span_prefix(self._failure.bounds, self._texts.bounds, fields)
        counts = [len(member.texts) for member in members]
        firsts = np.cumsum([0, *counts[:-1]]).tolist()
        self._members = {
            id(member.shape): (member, first) for member, first in zip(members, firsts, strict=True)
        }

    def encode(
        self,
        columns: Sequence[Columns],
        order: NDArray[np.int64] | None,
        trace: NDArray[np.int64],
        trace_id: NDArray[np.void],
    ) -> Encoded:
        """Return the spans of *columns* in an *order* that counts through the rows of all, if any.

        Their traces are *trace*, int64[rows], with the ids *trace_id*, V16[traces].
        """
        # Rows that are written one behind the other take half the time of scattered ones.
        members = [self._members[id(each.shape)] for each in columns]
        end_ns = _ordered([each.end_ns for each in columns], order)
        failed = _ordered([each.failed for each in columns], order)
        parents = [each.parent_id for each in columns if each.parent_id is not None]
        places = zip(*(member.places for member, _ in members), strict=True)
        frame: Frame = [
            trace_id.take(trace),
            _ordered([each.span_id for each in columns], order),
            _ordered([each.start_ns for each in columns], order),
            end_ns,
            _ordered(parents, order) if parents else None,
            _ordered([_texts(members, columns)], order),
            *(_ordered(list(map(_value, columns, of_each)), order) for of_each in places),
        ]
        pieces = [
            *self._failure.plan(failed, end_ns),
            self._texts.plan(frame),
            *plan_all(self._fields, frame),
        ]
        return write(self._prefix.enclose(pieces), rows=len(trace))


def _ordered(parts: Sequence[NDArray[Item]], order: NDArray[np.int64] | None) -> NDArray[Item]:
    joined = join(parts)
    # In two thirds of the time of an index.
    return joined if order is None else joined.take(order)


def _texts(members: Sequence[tuple[Member, int]], columns: Sequence[Columns]) -> NDArray[np.int64]:
    """Return which text each row of *columns* has: int64[rows].

    Each has a member, whose texts begin at some number.
    """
    sizes = [len(each.trace) for each in columns]
    texts = np.repeat([first for _, first in members], sizes)
    stop = 0
    for (member, _), each, size in zip(members, columns, sizes, strict=True):
        start, stop = stop, stop + size
        if member.choices:
            texts[start:stop] += _chosen(member, each)
    return texts


def _chosen(member: Member, columns: Columns) -> NDArray[np.int64]:
    """Return which of the *member*'s texts each row has: int64[rows]."""
    (place, _), *others = member.choices
    text = _value(columns, place)
    for place, options in others:
        text = text * options + _value(columns, place)
    return text


def _value(columns: Columns, place: int) -> NDArray[Any]:
    column = columns.values[place]
    assert column is not None, f"attribute {place} has no column"
    return column


class Group:
    """The shapes of one *layout* that were seen; which of them a batch has makes no difference."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._members: list[Member] = []
        self._encoder: GroupEncoder | None = None

    def add(self, member: Member) -> None:
        """Add *member*; from now on its spans can be encoded."""
        self._members.append(member)
        self._encoder = None

    def blocks(
        self, columns: Sequence[Columns], rows: NDArray[np.int64], trace_id: NDArray[np.void]
    ) -> Iterator[tuple[Block, NDArray[np.int64]]]:
        """Yield the blocks of *columns*, one for each owner, and where the parts cut it.

        columns   those of an owner stand together
        rows      int64[columns, parts + 1]   where the parts cut the columns
        trace_id  V16[traces]
        """
        if self._encoder is None:
            self._encoder = GroupEncoder(self._layout, self._members)
        owners = [each.shape.owner for each in columns]
        changes = [at for at, (one, next_) in enumerate(pairwise(owners), 1) if one != next_]
        runs = list(pairwise([0, *changes, len(owners)]))
        starts = np.cumsum([0, *(each.trace.size for each in columns)])
        trace = join([each.trace for each in columns])
        order = None
        if len(runs) < len(columns):
            key = _release(trace, starts, rows)
            order = join(
                [
                    starts[first] + order_of(key[starts[first] : starts[stop]])
                    for first, stop in runs
                ]
            )
            trace = trace.take(order)
        encoded = self._encoder.encode(columns, order, trace, trace_id)
        for first, stop in runs:
            start, end = starts[first], starts[stop]
            offsets = encoded.offsets[start : end + 1]
            block = Block(owners[first], trace[start:end], encoded.content, offsets)
            yield block, rows[first:stop].sum(axis=0)


def _release(
    trace: NDArray[np.int64], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what the spans of columns that begin at *starts* are to be ordered by: int64[rows].

    Their traces, or their parts where spans are not in the order of traces.
    """
    falls = trace[1:] < trace[:-1]
    if np.count_nonzero(falls) == np.count_nonzero(falls[starts[1:-1] - 1]):
        return trace
    parts = np.tile(np.arange(rows.shape[1] - 1), len(rows))
    return parts.repeat(np.diff(rows, axis=1).ravel())


class SpanGroups:
    """All groups of a signal's shapes, and which columns of a batch they are for."""

    def __init__(self) -> None:
        self._groups: dict[Layout, Group] = {}
        self._found: dict[int, tuple[Shape, Group | None]] = {}

    def divide(self, columns: Sequence[Columns]) -> tuple[list[int], list[tuple[Group, list[int]]]]:
        """Return which of *columns* are encoded alone, and which by which group."""
        alone: list[int] = []
        together: dict[Group, list[int]] = {}
        for index, each in enumerate(columns):
            group = None
            if 0 < len(each.trace) < FEW_ROWS and each.resource is None:
                group = self._group(each.shape)
            if group is None:
                alone.append(index)
            else:
                together.setdefault(group, []).append(index)
        groups = []
        for group, indexes in together.items():
            if len(indexes) == 1:
                alone += indexes
            else:
                groups += [(group, some) for some in _portions(columns, indexes)]
        return alone, groups

    def _group(self, shape: Shape) -> Group | None:
        # By identity, as encoders are found; what was found holds its shape.
        found = self._found.get(id(shape))
        if found is None:
            if len(self._found) >= MOST_MEMBERS:
                self._found, self._groups = {}, {}
            group, member = None, member_of(shape)
            if member is not None:
                group = self._groups.setdefault(member.layout, Group(member.layout))
                group.add(member)
            found = self._found[id(shape)] = shape, group
        return found[1]


def _portions(columns: Sequence[Columns], indexes: Sequence[int]) -> Iterator[list[int]]:
    """Yield *indexes* by the owners of their columns, as many owners together as are few rows."""
    portion: list[int] = []
    total = 0
    indexes = sorted(indexes, key=lambda index: columns[index].shape.owner)
    for _, some in groupby(indexes, lambda index: columns[index].shape.owner):
        of_owner = list(some)
        rows = sum(len(columns[index].trace) for index in of_owner)
        if portion and total + rows > MOST_ROWS:
            yield portion
            portion, total = [], 0
        portion += of_owner
        total += rows
    yield portion
