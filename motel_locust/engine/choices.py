"""Choices: a request that may reach one of several nodes of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from motel_locust.engine import draws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.nodes import Node
    from motel_locust.engine.operations import OperationPlan
    from motel_locust.engine.shapes import ShapePlan

Landing: TypeAlias = "Node | Choice"
"""What a request reaches: a node, or what chance decides on first."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Nodes of one operation, or further choices; the id of a request's span tells which it is.

    key      uint64               of the draw
    bounds   uint64[options - 1]  see `draws.bounds`
    options  one may be there several times
    """

    key: np.uint64
    bounds: NDArray[np.uint64]
    options: tuple[Landing, ...]

    @property
    def operation(self) -> OperationPlan:
        """The operation, as far as it is the same whatever is chosen."""
        return self.options[0].operation

    @property
    def shares(self) -> list[float]:
        """How often each option is chosen; they add up to 1."""
        edges = [0, *self.bounds.tolist(), draws.WORDS]
        return [(stop - start) / draws.WORDS for start, stop in pairwise(edges)]

    def choose(self, span_id: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return which option each request is for: int64[rows]."""
        return draws.draw_choices(draws.draw_words(self.key, span_id), self.bounds)

    def rejection(self, reason: str) -> ShapePlan:
        """Return the shape of a request refused for *reason*, which nothing was chosen for."""
        return self.options[0].rejection(reason)


class ChoiceTable:
    """All choices of a graph as tables, for requests of many kinds at once.

    Shape words: ``choices``; ``options``, the most that one has. A *place* is the index of a node,
    or below 0, as ``~index``, that of a choice.

    key     uint64[choices]
    bounds  uint64[choices, options - 1]
    place   int64[choices, options]       filled up with the last one
    """

    def __init__(self, choices: Sequence[Choice], places: Mapping[Landing, int]) -> None:
        options = max((len(each.options) for each in choices), default=1)
        self.key = np.array([each.key for each in choices], np.uint64)
        self.bounds = np.full((len(choices), options - 1), draws.WORDS - 1, np.uint64)
        self.place = np.zeros((len(choices), options), np.int64)
        for row, each in enumerate(choices):
            self.bounds[row, : each.bounds.size] = each.bounds
            self.place[row] = places[each.options[-1]]
            self.place[row, : len(each.options)] = [places[option] for option in each.options]

    def land(self, place: NDArray[np.int64], span_id: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the index of the node that each request reaches: int64[rows].

        place    int64[rows]   where the requests go; written to
        span_id  uint64[rows]  of the spans that they become
        """
        if not self.key.size:
            return place
        undecided = (place < 0).nonzero()[0]
        while undecided.size:
            choice = ~place[undecided]
            words = draws.draw_words(self.key[choice], span_id[undecided])
            option = (self.bounds[choice] <= words[:, np.newaxis]).sum(axis=1)
            place[undecided] = self.place[choice, option]
            undecided = undecided[place[undecided] < 0]
        return place
