"""Who calls whom, and the calls of a forest in the units that their callers waited for.

Shape words: ``operations``; ``edges`` pairs of an operation and one that it calls; ``children``
rows that have a caller; ``groups`` the children of one span that are of one edge; ``units`` calls
that a caller waited for: one span, or all attempts of a call that was retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.commands.importing.trees import called, first_child

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.commands.importing.columns import Forest


class Edges:
    """Who calls whom, sorted by these.

    codes           int64[edges]  ``caller * operations + target``
    caller, target  int64[edges]  numbers of operations
    """

    def __init__(self, codes: NDArray[np.int64], operations: int) -> None:
        self.codes = codes
        self.operations = operations
        self.caller, self.target = np.divmod(codes, operations)

    @property
    def size(self) -> int:
        """How many there are."""
        return self.codes.size


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """What is known of the edges so far, and of their callers; a column each.

    detached    bool[edges]       the caller does not wait
    retries     int64[edges]      further attempts; above 0, the spans of a group are attempts
    timeout_ns  int64[edges]      how long the caller waits; 0 without limit
    condition   int8[edges]       ALWAYS, ON_ERROR or ON_SUCCESS
    sequential  bool[operations]  calls follow one another
    """

    detached: NDArray[np.bool_]
    retries: NDArray[np.int64]
    timeout_ns: NDArray[np.int64]
    condition: NDArray[np.int8]
    sequential: NDArray[np.bool_]


ALWAYS, ON_ERROR, ON_SUCCESS = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The children of a forest, and which of them one span made of one target.

    child  int64[children]  row in the forest
    group  int64[children]  ascending
    first  int64[groups]    index into ``child``
    edge   int64[groups]
    """

    child: NDArray[np.int64]
    group: NDArray[np.int64]
    first: NDArray[np.int64]
    edge: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many children each group has."""
        return np.diff(self.first, append=self.child.size)


def groups(forest: Forest, edges: Edges) -> Groups:
    """Return the groups of *forest*."""
    begin = first_child(forest)
    child = np.arange(begin, forest.size)
    edge = np.searchsorted(edges.codes, called(forest, edges.operations))
    parent = forest["parent"][begin:]
    begins = np.ones(child.size, np.bool_)
    begins[1:] = (parent[1:] != parent[:-1]) | (edge[1:] != edge[:-1])
    first = np.flatnonzero(begins)
    return Groups(child, np.cumsum(begins) - 1, first, edge[first])


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The calls that callers waited for, sorted by caller and start.

    caller    int64[units]  row in the forest
    edge      int64[units]
    start_ns  int64[units]  of the first attempt
    last      int64[units]  row of the last attempt
    end_ns    int64[units]  when the caller went on: the last attempt's end, or its timeout
    failed    bool[units]   of the last attempt, or given up
    """

    caller: NDArray[np.int64]
    edge: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    last: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]

    @property
    def first(self) -> NDArray[np.int64]:
        """The first unit of every caller."""
        begins = np.ones(self.caller.size, np.bool_)
        begins[1:] = self.caller[1:] != self.caller[:-1]
        return np.flatnonzero(begins)


def units(forest: Forest, found: Groups, calls: Calls) -> Units:
    """Return the units of *forest*."""
    edge = found.edge[found.group]
    waited = ~calls.detached[edge]
    child, group, edge = found.child[waited], found.group[waited], edge[waited]
    begins = np.ones(child.size, np.bool_)
    begins[1:] = (group[1:] != group[:-1]) | (calls.retries[edge[1:]] == 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], child.size) - 1 if child.size else first
    edge, first, last = edge[first], child[first], child[last]
    start = forest["start_ns"][last]
    end, failed = forest["end_ns"][last], forest["failed"][last]
    timeout = calls.timeout_ns[edge]
    given_up = (timeout > 0) & (end - start > timeout)
    end = np.where(given_up, start + timeout, end)
    caller, begin = forest["parent"][first], forest["start_ns"][first]
    order = np.lexsort((begin, caller))
    return Units(
        caller[order].astype(np.int64),
        edge[order],
        begin[order],
        last[order],
        end[order],
        (failed | given_up)[order],
    )
