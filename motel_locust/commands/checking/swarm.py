"""Swarm: samples that visit rare corners of a topology instead of the usual.

What chance decides about the course of a trace are *choice points*, each for all visits of its
operation in a sample. Sample number r decides them so:

    r = 0       all true: it errs, the call is made, every attempt but the last counts as failed,
                and of variants it is the one that errs most
    r = 1       all true but own errors, and of variants the one that errs least: the healthy branch
                at its widest
    r = 2       all false
    r from 3    each is fixed with a chance of 0.35, to a fair coin; and with d = r - 3 below twice
                the number of points, point d div 2 is true if d is even, else false

The first three are taken for every root. What is not fixed is drawn as in a run. So percentiles of
such samples tell about the exploration, never about production.

Shape words: ``points``; ``traces``, the samples of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from motel_locust.commands.checking.sampling import tell_nobody
from motel_locust.commands.checking.sets import hold
from motel_locust.commands.checking.sizes import Sizes, join, measure
from motel_locust.engine import draws
from motel_locust.engine.plan import Plan
from motel_locust.engine.shapes import Shapes
from motel_locust.engine.spans import Traces
from motel_locust.engine.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.commands.checking.sampling import Draw
    from motel_locust.engine.choices import Choice
    from motel_locust.engine.operations import OperationPlan
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.visits import Rows
    from motel_locust.topology.model import Topology

EXTREMES: Final = 3
"""Samples that decide all points."""
FIXED_SHARE: Final = 0.35

# Decisions, int8.
FALSE: Final = 0
TRUE: Final = 1
FREE: Final = 2

_SPANS_OF_A_BATCH: Final = 100_000


class Point(NamedTuple):
    """A choice point; *call* is the index among the operation's effective calls."""

    kind: Literal["choice", "error", "call", "retry"]
    ref: str
    call: int = 0


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a swarm found.

    Attributes:
        sizes: Of all samples, those of the extremes first.
        points: How many choice points there are.
    """

    sizes: Sizes
    points: int


def enough(points: int) -> int:
    """Return how many samples it takes to fix each of so many points both ways."""
    return EXTREMES + 2 * points


def explore(
    topology: Topology,
    active: Active,
    draw: Draw,
    *,
    samples: int,
    advance: Callable[[float], None] = tell_nobody,
) -> Exploration:
    """Return what *samples* samples, at least one, find while the scenarios *active* hold.

    With several roots there are a few more, as each has extremes of its own. *advance* is told how
    many are done, batch after batch.
    """
    seed, held = draws.key(draw.seed, draw.name), hold(topology, active)
    shapes = Shapes(held, seed=seed)
    plan = Plan(held, active, seed=seed, shapes=shapes, label_scenarios=False)
    points, ids = choice_points(plan), draws.TraceIds(seed)
    sizes: list[Sizes] = []
    for number, root in _batches(plan, samples, sizes):
        traces = Traces(number, ids.keys(number), np.zeros(number.size, np.int64))
        decisions = decide(points, number, traces.trace_key, seed=seed)
        walk = _DecidedWalk(
            plan, traces, points=points, decisions=decisions, root=root, limit=draw.limit
        )
        parts = [spans for _, spans in walk.spans(by_end=False)]
        sizes.append(measure(parts, traces=number.size))
        advance(number.size)
    return Exploration(join(sizes), len(points))


def choice_points(plan: Plan) -> list[Point]:
    """Return the choice points of *plan*, by service, operation and call."""
    found: list[Point] = []
    for ref, operation in plan.operations.items():
        if len(operation.variants) > 1:
            found.append(Point("choice", ref))
        rates = [each.error_rate for each in (operation, *operation.variants.values())]
        if any(0 < rate < 1 for rate in rates):
            found.append(Point("error", ref))
        for index, call in enumerate(operation.calls):
            if call.gate is not None:
                found.append(Point("call", ref, index))
            if call.retries:
                found.append(Point("retry", ref, index))
    return found


def decide(
    points: Sequence[Point],
    number: NDArray[np.int64],
    trace_key: NDArray[np.uint64],
    *,
    seed: int,
) -> NDArray[np.int8]:
    """Return what the samples *number*, int64[traces], decide: int8[points, traces]."""
    if not points:
        return np.empty((0, number.size), np.int8)
    fixed, coin = (
        np.array([[draws.key(seed, "swarm", purpose, *point)] for point in points], np.uint64)
        for purpose in ("fixed", "coin")
    )
    is_fixed = draws.draw_words(fixed, trace_key) < draws.threshold(FIXED_SHARE)
    is_true = draws.draw_words(coin, trace_key) < draws.threshold(0.5)
    decided = np.where(is_fixed, np.where(is_true, TRUE, FALSE), FREE).astype(np.int8)
    errors = np.array([point.kind in ("choice", "error") for point in points])
    decided[:, number < EXTREMES - 1] = TRUE
    decided[np.ix_(errors, number == 1)] = FALSE
    decided[:, number == EXTREMES - 1] = FALSE
    one_by_one = ((number >= EXTREMES) & (number < enough(len(points)))).nonzero()[0]
    which, wanted = np.divmod(number[one_by_one] - EXTREMES, 2)
    decided[which, one_by_one] = np.where(wanted == 0, TRUE, FALSE)
    return decided


class _DecidedWalk(Walk):
    """A walk in which the decisions of its samples come before chance.

    decisions  int8[points, traces]
    root       int64[traces]   the root of an extreme sample, -1 where it is drawn
    """

    def __init__(
        self,
        plan: Plan,
        traces: Traces,
        *,
        points: Sequence[Point],
        decisions: NDArray[np.int8],
        root: NDArray[np.int64],
        limit: int,
    ) -> None:
        self._decisions = dict(zip(points, decisions, strict=True))
        self._root = root
        super().__init__(plan, traces, limit=limit, ticks={}, origin_ns=0, pause=lambda: None)

    def decide_roots(self, trace_key: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the roots: extreme samples have theirs."""
        return np.where(self._root < 0, super().decide_roots(trace_key), self._root)

    def decide_choices(
        self, choice: Choice, rows: Rows, drawn: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the options: the one that errs most, or least; of equal ones the last or first."""
        point = Point("choice", choice.operation.ref)
        if point not in self._decisions:
            return drawn
        rates = [each.operation.error_rate for each in choice.options]
        most = len(rates) - 1 - rates[::-1].index(max(rates))
        decision = self._decisions[point][rows]
        decided = np.where(decision == TRUE, most, rates.index(min(rates)))
        return np.where(decision == FREE, drawn, decided)

    def decide_errors(
        self, operation: OperationPlan, rows: Rows, drawn: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which spans break on their own; those of a variant that cannot do otherwise do."""
        if not 0 < operation.error_rate < 1:
            return drawn
        return self._decided(Point("error", operation.ref), rows, drawn)

    def decide_calls(
        self, operation: OperationPlan, index: int, rows: Rows, drawn: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which callers make the call."""
        return self._decided(Point("call", operation.ref, index), rows, drawn)

    def decide_retries(
        self, operation: OperationPlan, index: int, rows: Rows, failed: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which attempts are followed by another."""
        return self._decided(Point("retry", operation.ref, index), rows, failed)

    def _decided(self, point: Point, rows: Rows, drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if point not in self._decisions:
            return drawn
        decision = self._decisions[point][rows]
        return np.where(decision == FREE, drawn, decision == TRUE)


def _batches(
    plan: Plan, samples: int, done: Sequence[Sizes]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the numbers of samples, and the roots that they must begin at, in batches.

    How large the next batch is depends on the traces of the last one in *done*.
    """
    roots = len(plan.roots)
    extremes = np.repeat(np.arange(min(samples, EXTREMES)), roots)
    number = np.concatenate((extremes, np.arange(EXTREMES, samples)))
    root = np.full(number.size, -1)
    root[: extremes.size] = np.arange(extremes.size) % roots
    start, count = 0, extremes.size
    while start < number.size:
        yield number[start : start + count], root[start : start + count]
        start += count
        mean = float(done[-1].spans.mean())
        count = max(1, int(_SPANS_OF_A_BATCH / mean))
