"""Spans to trees: parents found, repeats dropped, calls back into an operation folded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing.columns import (
    DETACHED,
    FAILED,
    KIND_SHIFT,
    ROOT,
    TREE,
    Column,
    Forest,
    Spans,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES: Final = 3
"""So many ids of each sort of trouble are kept, to be shown."""


@dataclass(slots=True)
class Growth:
    """What came of the spans: counts over all forests, and examples of what did not fit."""

    traces: int = 0
    spans: int = 0
    repeated: int = 0
    """Spans that came again, equal in all that is looked at, and were dropped."""
    orphans: int = 0
    """Spans whose parent is not there; each is a further root."""
    orphan_examples: list[str] = field(default_factory=list)
    """Trace id and missing parent."""
    lost: int = 0
    """Spans that are their own ancestors: they belong to no tree."""
    folded: int = 0
    """Spans of an operation that is already on the way to them: parts of that earlier span."""
    further_roots: int = 0
    """Roots beside the one at which their trace began."""


def grow(spans: Spans, growth: Growth) -> Forest:
    """Return the trees of *spans*, which are whole traces, and count them in *growth*.

    A span whose operation is already on the path above it is folded into that path: it has no row,
    its children belong to its parent, which fails if it failed. Where an id is used twice, the last
    span of that id is the parent of the children.
    """
    rows = spans[np.lexsort((spans["span"], spans["trace_low"], spans["trace_high"]))]
    same_id = _same_as_before(rows, "trace_high", "trace_low", "span")
    again = same_id & _same_as_before(rows, "parent", "start_ns", "end_ns", "operation", "flags")
    rows = rows[~again]
    trace = _numbered(~_same_as_before(rows, "trace_high", "trace_low"))
    parent, orphan = _parents(rows, trace)
    reached = _reached(parent)
    folded = _folded(parent, rows["operation"], reached)
    failed = (rows["flags"] & FAILED) != 0
    caller = _unfolded(parent, folded)
    failed[caller[folded & failed]] = True
    entry = _entries(rows, trace, (caller == ROOT) & reached, orphan)
    growth.traces += int(np.count_nonzero(entry))
    growth.spans += rows.size
    growth.repeated += int(np.count_nonzero(again))
    growth.orphans += int(np.count_nonzero(orphan))
    growth.lost += int(np.count_nonzero(~reached))
    growth.folded += int(np.count_nonzero(folded))
    growth.further_roots += int(np.count_nonzero((caller == ROOT) & reached & ~entry))
    for row in np.flatnonzero(orphan)[: EXAMPLES - len(growth.orphan_examples)]:
        growth.orphan_examples.append(_shown(rows[row]))
    return _forest(rows, caller, kept=reached & ~folded, failed=failed, entry=entry)


def edge_codes(forest: Forest, operations: int) -> NDArray[np.int64]:
    """Return which operation calls which: sorted, ``caller * operations + target``."""
    codes: NDArray[np.int64] = np.unique(called(forest, operations))
    return codes


def called(forest: Forest, operations: int) -> NDArray[np.int64]:
    """Return ``caller * operations + target`` for every row that is no root, in their order."""
    children = forest[first_child(forest) :]
    caller = forest["operation"][children["parent"]].astype(np.int64)
    codes: NDArray[np.int64] = caller * operations + children["operation"]
    return codes


def first_child(forest: Forest) -> int:
    """Return the first row that is no root."""
    return int(np.searchsorted(forest["parent"], ROOT, side="right"))


def _same_as_before(rows: Spans, *names: str) -> NDArray[np.bool_]:
    """Return where a row equals the row before it in the fields *names*: bool[rows]."""
    same = np.zeros(rows.size, np.bool_)
    if rows.size:
        same[1:] = True
    for name in names:
        same[1:] &= rows[name][1:] == rows[name][:-1]
    return same


def _numbered(begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for every row the number of its group, from 0, given where groups begin."""
    return np.cumsum(begins, dtype=np.int64) - 1


def _parents(rows: Spans, trace: Column) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return every row's parent row, ROOT where there is none, and where one is missing.

    A span that names itself has itself as parent.
    """
    # Ids become their ranks, so that trace and id fit into one number, in the order of the rows.
    ids = np.unique(rows["span"])
    key = trace * ids.size + np.searchsorted(ids, rows["span"])
    rank = np.searchsorted(ids, rows["parent"])
    known = ids[np.minimum(rank, ids.size - 1)] == rows["parent"]
    wanted = trace * ids.size + rank
    found = np.searchsorted(key, wanted, side="right") - 1  # the last of equal ids
    known &= (found >= 0) & (key[np.maximum(found, 0)] == wanted)
    has_parent = rows["parent"] != 0
    itself = rows["parent"] == rows["span"]
    parent = np.where(has_parent & known, found, ROOT)
    parent = np.where(has_parent & itself, np.arange(rows.size), parent)
    return parent, has_parent & ~known & ~itself


def _reached(parent: Column) -> NDArray[np.bool_]:
    """Return the rows that a root leads to; others are their own ancestors, or below such."""
    reached: NDArray[np.bool_] = parent == ROOT
    left = np.flatnonzero(~reached)
    while left.size:
        found = reached[parent[left]]
        if not found.any():
            break
        reached[left[found]] = True
        left = left[~found]
    return reached


def _folded(parent: Column, operation: Column, reached: Column) -> NDArray[np.bool_]:
    """Return the rows whose operation is also that of a span on the path above them."""
    folded = np.zeros(parent.size, np.bool_)
    row = np.flatnonzero(reached & (parent != ROOT))
    above = parent[row]
    while row.size:
        alike = operation[above] == operation[row]
        folded[row[alike]] = True
        above = parent[above]
        going_on = ~alike & (above != ROOT)
        row, above = row[going_on], above[going_on]
    return folded


def _unfolded(parent: Column, folded: Column) -> NDArray[np.int64]:
    """Return every row's nearest ancestor that is not folded."""
    caller = parent.astype(np.int64)
    row = np.flatnonzero(caller != ROOT)
    while row.size:
        row = row[folded[caller[row]]]
        caller[row] = parent[caller[row]]
    return caller


def _entries(rows: Spans, trace: Column, root: Column, orphan: Column) -> NDArray[np.bool_]:
    """Return the root at which each trace began: the earliest, no orphan if there is another."""
    entry = np.zeros(rows.size, np.bool_)
    row = np.flatnonzero(root)
    row = row[np.lexsort((rows["start_ns"][row], orphan[row], trace[row]))]
    first = np.ones(row.size, np.bool_)
    first[1:] = trace[row][1:] != trace[row][:-1]
    entry[row[first]] = True
    return entry


def _forest(rows: Spans, caller: Column, *, kept: Column, failed: Column, entry: Column) -> Forest:
    row = np.flatnonzero(kept)
    order = np.lexsort((rows["start_ns"][row], rows["operation"][row], caller[row]))
    row = row[order]
    position = np.full(rows.size, ROOT, np.int32)
    position[row] = np.arange(row.size)
    forest = np.empty(row.size, TREE)
    above = caller[row]
    # Sorted by where the parents stood before; whose children come first does not matter.
    forest["parent"] = np.where(above == ROOT, ROOT, position[above])
    for name in ("operation", "start_ns", "end_ns"):
        forest[name] = rows[name][row]
    forest["failed"], forest["entry"] = failed[row], entry[row]
    forest["kind"] = rows["flags"][row] >> KIND_SHIFT
    forest["detached"] = (rows["flags"][row] & DETACHED) != 0
    return forest


def _shown(row: np.void) -> str:
    ids = [row[name].tobytes().hex() for name in ("trace_high", "trace_low", "parent")]
    return f"trace {ids[0]}{ids[1]}, parent {ids[2]}"
