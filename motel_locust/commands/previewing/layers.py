"""Where the boxes of a call graph go: in layers from left to right, every call pointing right.

The way of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures" (1981): layers by the longest chain of calls; a *bend* wherever a call passes a layer;
orders by the middle of what a box is connected with, the best of some sweeps; and heights at which
boxes are as near as possible to their neighbours without touching.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SWEEPS: Final = 12
_SETTLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class Bend:
    """Where the call number *call* passes layer *layer*."""

    call: int
    layer: int


Place = str | Bend


@dataclass(frozen=True, slots=True)
class Layout:
    """Places by layer, in order from above, and the middle of each, in units of the caller.

    Attributes:
        layers: Boxes and bends.
        middle: How far down each is; the first at its own half height or below.
        routes: For each call, the places that it leads through, caller and callee included.
    """

    layers: tuple[tuple[Place, ...], ...]
    middle: Mapping[Place, float]
    routes: tuple[tuple[Place, ...], ...]


def lay_out(
    boxes: Sequence[str],
    calls: Sequence[tuple[str, str]],
    *,
    box_height: float,
    bend_height: float,
) -> Layout:
    """Return the layout of *boxes* and the *calls* between them, which form no loop.

    Heights are those that a place takes up, room to the next one included.
    """
    layer = _layers(boxes, calls)
    routes: tuple[tuple[Place, ...], ...] = tuple(
        (caller, *(Bend(call, each) for each in range(layer[caller] + 1, layer[callee])), callee)
        for call, (caller, callee) in enumerate(calls)
    )
    layers: list[list[Place]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for box in boxes:
        layers[layer[box]].append(box)
    for route in routes:
        for bend in route[1:-1]:
            assert isinstance(bend, Bend)
            layers[bend.layer].append(bend)
    steps = [step for route in routes for step in pairwise(route)]
    before, after = _neighbours((b, a) for a, b in steps), _neighbours(steps)
    layers = _ordered(layers, before, after)
    height = {
        place: box_height if isinstance(place, str) else bend_height
        for places in layers
        for place in places
    }
    middle = _middles(layers, before, after, height)
    return Layout(tuple(map(tuple, layers)), middle, routes)


def _layers(boxes: Sequence[str], calls: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of each box: one more than that of its deepest caller."""
    callers: dict[str, set[str]] = {box: set() for box in boxes}
    for caller, callee in calls:
        callers[callee].add(caller)
    layer: dict[str, int] = {}
    for box in TopologicalSorter(callers).static_order():
        layer[box] = max((layer[caller] + 1 for caller in callers[box]), default=0)
    return layer


def _neighbours(steps: Iterable[tuple[Place, Place]]) -> dict[Place, list[Place]]:
    found: defaultdict[Place, list[Place]] = defaultdict(list)
    for one, other in steps:
        found[one].append(other)
    return found


def _ordered(
    layers: list[list[Place]],
    before: Mapping[Place, list[Place]],
    after: Mapping[Place, list[Place]],
) -> list[list[Place]]:
    """Return *layers*, each in the order in which the fewest calls cross, of those tried."""
    best, fewest = layers, _crossings(layers, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        layers = [list(places) for places in layers]
        rightwards = sweep % 2 == 0
        indexes = range(1, len(layers)) if rightwards else range(len(layers) - 2, -1, -1)
        for index in indexes:
            fixed = layers[index - 1] if rightwards else layers[index + 1]
            _sort(layers[index], fixed, before if rightwards else after)
        crossings = _crossings(layers, after)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _sort(
    places: list[Place], fixed: Sequence[Place], towards: Mapping[Place, list[Place]]
) -> None:
    """Sort *places* by the mean position of their neighbours in the layer *fixed*."""
    position = {place: number for number, place in enumerate(fixed)}
    means: dict[Place, float] = {}
    for number, place in enumerate(places):
        found = [position[each] for each in towards.get(place, ())]
        # Whoever has no neighbour there stays about where it is.
        means[place] = sum(found) / len(found) if found else number * len(fixed) / len(places)
    places.sort(key=means.__getitem__)


def _crossings(layers: Sequence[Sequence[Place]], after: Mapping[Place, list[Place]]) -> int:
    """Return how many pairs of calls cross between neighbouring layers."""
    count = 0
    for places, following in pairwise(layers):
        position = {place: number for number, place in enumerate(following)}
        passed: list[int] = []
        for place in places:
            ends = sorted(position[each] for each in after.get(place, ()))
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


def _middles(
    layers: Sequence[Sequence[Place]],
    before: Mapping[Place, list[Place]],
    after: Mapping[Place, list[Place]],
    height: Mapping[Place, float],
) -> dict[Place, float]:
    middle: dict[Place, float] = {}
    for places in layers:
        top = 0.0
        for place in places:
            middle[place] = top + height[place] / 2
            top += height[place]
    for settling in range(_SETTLINGS):
        rightwards = settling % 2 == 0
        for places in layers if rightwards else reversed(layers):
            wanted = [_wanted(place, middle, before, after, rightwards) for place in places]
            middle |= zip(places, _apart(places, wanted, height), strict=True)
    return _without_gaps(middle, height)


def _without_gaps(
    middle: Mapping[Place, float], height: Mapping[Place, float]
) -> dict[Place, float]:
    """Return *middle* with everything moved up where otherwise no layer had anything."""
    closed: dict[Place, float] = {}
    lowest = moved = 0.0
    for place in sorted(middle, key=lambda each: middle[each] - height[each] / 2):
        top = middle[place] - height[place] / 2
        if top - moved > lowest or not closed:
            moved = top - lowest
        closed[place] = middle[place] - moved
        lowest = max(lowest, closed[place] + height[place] / 2)
    return closed


def _wanted(
    place: Place,
    middle: Mapping[Place, float],
    before: Mapping[Place, list[Place]],
    after: Mapping[Place, list[Place]],
    rightwards: bool,
) -> float:
    first, second = (before, after) if rightwards else (after, before)
    near = first.get(place) or second.get(place) or [place]
    return sum(middle[each] for each in near) / len(near)


def _apart(
    places: Sequence[Place], wanted: Sequence[float], height: Mapping[Place, float]
) -> list[float]:
    """Return middles as near to *wanted* as can be, in order and without touching.

    The least sum of squared distances: with the room above each place taken off, that is isotonic
    regression, by pooling neighbours that violate the order.
    """
    room, offsets = 0.0, []
    for number, place in enumerate(places):
        if number:
            room += (height[places[number - 1]] + height[place]) / 2
        offsets.append(room)
    pools: list[tuple[float, int]] = []  # sum and count
    for at, offset in zip(wanted, offsets, strict=True):
        total, count = at - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, others = pools.pop()
            total, count = total + more, count + others
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
