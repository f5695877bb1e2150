"""Calls that lead back to where they began, across traces: no topology may have them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Edge = tuple[str, str]


def find(edges: Mapping[Edge, int]) -> list[str]:
    """Return the operations of a cycle of *edges*, the first one again at the end; or nothing."""
    targets: dict[str, list[str]] = {}
    for caller, target in sorted(edges):
        targets.setdefault(caller, []).append(target)
    done: set[str] = set()
    for start in targets:
        path: list[str] = []
        on_path: set[str] = set()
        stack = [(start, iter((start,)))]
        # Depth first without recursion: a chain of calls may be longer than Python's stack.
        while stack:
            step = next(stack[-1][1], None)
            if step is None:
                stack.pop()
                if path and len(stack) == len(path):
                    left = path.pop()
                    on_path.discard(left)
                    done.add(left)
                continue
            if step in on_path:
                return [*path[path.index(step) :], step]
            if step not in done:
                path.append(step)
                on_path.add(step)
                stack.append((step, iter(targets.get(step, ()))))
    return []


def lightest(cycle: list[str], edges: Mapping[Edge, int]) -> Edge:
    """Return the edge of *cycle* with the fewest calls, the first of equals."""
    return min(pairwise(cycle), key=lambda edge: edges[edge])


def told(cycle: list[str], edges: Mapping[Edge, int]) -> str:
    """Return *cycle* with the number of calls of each step."""
    steps = [f"-({edges[caller, target]:,})-> {target}" for caller, target in pairwise(cycle)]
    return " ".join([cycle[0], *steps])
