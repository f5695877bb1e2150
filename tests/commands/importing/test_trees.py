from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.importing.columns import FAILED, SPAN
from motel_locust.commands.importing.trees import Growth, first_child, grow


@dataclass
class Node:
    """A span in a walk that is written to be read."""

    row: int
    trace: int
    operation: int
    start: int
    failed: bool
    children: list[Node] = field(default_factory=list)
    folded_into: Node | None = None


def spans(rows: list[tuple[int, int, int, int, int, bool]]) -> np.ndarray:
    """Spans of (trace, id, parent, operation, start, failed)."""
    found = np.zeros(len(rows), SPAN)
    for row, (trace, span, parent, operation, start, failed) in enumerate(rows):
        found[row] = (0, trace, span, parent, start, start + 100 + row, operation, FAILED * failed)
    return found


def walked(rows: list[tuple[int, int, int, int, int, bool]]) -> list[tuple[object, ...]]:
    """Every span of a tree as (trace, operation, start, end, failed, caller), in plain Python."""
    nodes = [
        Node(row, trace, operation, start, failed)
        for row, (trace, _, _, operation, start, failed) in enumerate(rows)
    ]
    by_id = {(trace, span): row for row, (trace, span, *_) in enumerate(rows)}
    roots = []
    for row, (trace, span, parent, *_) in enumerate(rows):
        if parent == span:
            continue
        if parent and (trace, parent) in by_id:
            nodes[by_id[trace, parent]].children.append(nodes[row])
        else:
            roots.append(nodes[row])
    found: list[tuple[Node, Node | None]] = []

    def walk(node: Node, caller: Node | None, path: tuple[int, ...]) -> None:
        if caller is not None and node.operation in path:
            caller.failed |= node.failed
            for child in node.children:
                walk(child, caller, path)
            return
        found.append((node, caller))
        for child in node.children:
            walk(child, node, (*path, node.operation))

    for root in roots:
        walk(root, None, ())
    key = {id(node): (node.trace, node.operation, node.start) for node, _ in found}
    return sorted(
        (
            node.trace,
            node.operation,
            node.start,
            node.start + 100 + node.row,
            node.failed,
            key[id(caller)] if caller else None,
        )
        for node, caller in found
    )


rows = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 8),
        st.integers(0, 9),
        st.integers(0, 3),
        st.integers(0, 50),
        st.booleans(),
    ),
    max_size=24,
)


def sortable(found: list[tuple[object, ...]]) -> list[str]:
    return sorted(map(repr, found))


@settings(max_examples=150, deadline=None)
@given(rows)
def test_a_forest_is_what_a_walk_finds(made: list[tuple[int, int, int, int, int, bool]]) -> None:
    forest = grow(spans(made), Growth())
    callers = forest["parent"]
    told = []
    trace_of: list[int] = [0] * forest.size
    by_times = {(start, start + 100 + row): trace for row, (trace, *_, start, _) in enumerate(made)}
    for row in range(forest.size):
        trace_of[row] = by_times[int(forest["start_ns"][row]), int(forest["end_ns"][row])]
    for row in range(forest.size):
        caller = int(callers[row])
        above = (
            (trace_of[caller], int(forest["operation"][caller]), int(forest["start_ns"][caller]))
            if caller >= 0
            else None
        )
        told.append(
            (
                trace_of[row],
                int(forest["operation"][row]),
                int(forest["start_ns"][row]),
                int(forest["end_ns"][row]),
                bool(forest["failed"][row]),
                above,
            )
        )
    assert sortable(told) == sortable(walked(made))


@settings(max_examples=50, deadline=None)
@given(rows)
def test_a_forest_is_sorted_by_caller_and_then_by_target_and_start(
    made: list[tuple[int, int, int, int, int, bool]],
) -> None:
    forest = grow(spans(made), Growth())
    begin = first_child(forest)
    assert (forest["parent"][:begin] == -1).all()
    assert (forest["parent"][begin:] >= 0).all()
    keys = [
        (int(row["parent"]), int(row["operation"]), int(row["start_ns"])) for row in forest[begin:]
    ]
    groups = {key[0] for key in keys}
    for caller in groups:
        own = [key for key in keys if key[0] == caller]
        assert own == sorted(own)
    changes = sum(one[0] != other[0] for one, other in pairwise(keys))
    assert changes == max(0, len(groups) - 1)


def test_a_span_that_came_again_counts_once_and_one_that_differs_twice() -> None:
    growth = Growth()
    made = spans([(1, 1, 0, 0, 0, False), (1, 2, 1, 1, 5, False), (1, 2, 1, 1, 5, False)])
    made["end_ns"] = [100, 50, 50]
    assert grow(made, growth).size == 2
    assert growth.repeated == 1
    made["end_ns"] = [100, 50, 60]
    assert grow(made, Growth()).size == 3


def test_trouble_is_counted_with_examples() -> None:
    growth = Growth()
    made = [
        (1, 1, 0, 0, 0, False),
        (1, 2, 99, 1, 5, False),  # its parent is missing
        (1, 3, 3, 2, 5, False),  # its own parent
        (1, 4, 5, 2, 5, False),  # each other's parents
        (1, 5, 4, 3, 5, False),
        (1, 6, 1, 0, 7, True),  # of the root's own operation
    ]
    forest = grow(spans(made), growth)
    assert (growth.orphans, growth.lost, growth.folded, growth.traces) == (1, 3, 1, 1)
    assert growth.further_roots == 1
    assert growth.orphan_examples == [
        "trace 00000000000000000100000000000000, parent 6300000000000000"
    ]
    assert forest["failed"][forest["entry"]].tolist() == [True]


def test_a_trace_begins_at_its_earliest_root_that_is_no_orphan() -> None:
    made = [(1, 2, 99, 1, 0, False), (1, 1, 0, 0, 5, False), (2, 1, 98, 1, 5, False)]
    forest = grow(spans(made), Growth())
    assert forest["operation"][forest["entry"]].tolist() == [0, 1]


def test_no_spans_are_no_trees() -> None:
    assert grow(np.zeros(0, SPAN), Growth()).size == 0
