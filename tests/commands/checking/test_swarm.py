from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from motel_locust.commands.checking.bounds import bounds
from motel_locust.commands.checking.sampling import Draw
from motel_locust.commands.checking.sets import hold, wire
from motel_locust.commands.checking.swarm import (
    FALSE,
    FREE,
    TRUE,
    Point,
    choice_points,
    decide,
    enough,
    explore,
)
from motel_locust.engine.plan import Plan
from motel_locust.engine.shapes import Shapes
from motel_locust.topology.model import Topology
from tests.engine.topologies import topologies, topology

OPERATIONS = {
    "top": {
        "duration": "1ms",
        "error_rate": "10%",
        "calls": [
            {"target": "s.rare", "probability": 0.01, "count": 5},
            {"target": "s.tried", "retries": 3},
            {"target": "s.sorry", "condition": "on-error"},
        ],
    },
    "rare": {"duration": "1ms"},
    "tried": {"duration": "1ms"},
    "sorry": {"duration": "1ms", "error_rate": "100%"},
}
POINTS = [Point("error", "s.top"), Point("call", "s.top", 0), Point("retry", "s.top", 1)]
DRAW = Draw(5, "", 10_000)


def made() -> Topology:
    return topology({"s": {"operations": OPERATIONS}})


def plan_of(made: Topology) -> Plan:
    held = hold(made, ())
    shapes = Shapes(held, seed=1)
    return Plan(held, (), seed=1, shapes=shapes, label_scenarios=False)


def test_choice_points_are_where_chance_decides() -> None:
    assert choice_points(plan_of(made())) == POINTS


def test_the_first_three_samples_are_the_extremes() -> None:
    found = explore(made(), (), DRAW, samples=3)
    assert found.points == 3
    # All true: 5 rare, 4 attempts, sorry. Then the same without the error. Then the least.
    assert found.sizes.spans.tolist() == [1 + 5 + 4 + 1, 1 + 5 + 4, 1 + 1]


def test_of_variants_the_extremes_take_the_worst_and_the_best() -> None:
    variants = {
        "fine": {"weight": 98},
        "bad": {"weight": 1, "error_rate": "40%"},
        "worst": {"weight": 1, "error_rate": 1},
    }
    calls = [{"target": "s.sorry", "condition": "on-error"}]
    operations = {
        "top": {"duration": "1ms", "variants": variants, "calls": calls},
        "sorry": {"duration": "1ms"},
    }
    made = topology({"s": {"operations": operations}})
    assert choice_points(plan_of(made)) == [Point("choice", "s.top"), Point("error", "s.top")]
    found = explore(made, (), DRAW, samples=5)
    assert found.sizes.spans[:5].tolist() == [2, 1, 1, 2, 1]


def test_every_root_has_extremes_of_its_own() -> None:
    operations = {**OPERATIONS, "other": {"duration": "1ms", "calls": ["s.top"]}}
    roots = {"rate": "1/s", "roots": {"s.other": 9, "s.top": 1}}
    made = topology({"s": {"operations": operations}}, traffic=roots)
    found = explore(made, (), DRAW, samples=20)
    assert found.sizes.spans[:6].tolist() == [12, 11, 11, 10, 3, 2]
    assert found.sizes.spans.size == 20 + 3


def test_each_point_is_fixed_both_ways_by_itself() -> None:
    number = np.arange(40)
    decided = decide(POINTS, number, number.astype(np.uint64), seed=1)
    for index in range(len(POINTS)):
        assert decided[index, 3 + 2 * index] == TRUE
        assert decided[index, 4 + 2 * index] == FALSE
    assert enough(len(POINTS)) == 9


def test_a_third_of_all_other_decisions_is_fixed_half_of_them_true() -> None:
    number = np.arange(10_000)
    decided = decide(POINTS, number, number.astype(np.uint64), seed=1)[:, 100:]
    count = decided.size
    assert abs((decided != FREE).mean() - 0.35) < 4 * (0.35 * 0.65 / count) ** 0.5
    assert abs((decided == TRUE).mean() - 0.175) < 4 * (0.175 * 0.825 / count) ** 0.5


def test_rare_corners_are_visited_that_chance_alone_hardly_finds() -> None:
    found = explore(made(), (), DRAW, samples=50)
    assert found.sizes.spans.max() == bounds(wire(made(), ())).spans


@settings(max_examples=30, deadline=None)
@given(topologies(paired=True))
def test_no_swarm_is_beyond_the_bounds(drawn: Topology) -> None:
    found = explore(drawn, (), DRAW, samples=40)
    bound = bounds(wire(drawn, ()))
    assert found.sizes.spans.max() <= bound.spans
    assert found.sizes.depth.max() <= bound.depth
    assert found.sizes.fan_out.max() <= bound.fan_out


def test_batches_change_nothing_but_how_many_are_walked_at_once() -> None:
    told: list[float] = []
    whole = explore(made(), (), DRAW, samples=2000, advance=told.append)
    part = explore(made(), (), DRAW, samples=500)
    assert whole.sizes.spans[:500].tolist() == part.sizes.spans.tolist()
    assert sum(told) == 2000


@pytest.mark.parametrize("samples", [1, 2])
def test_fewer_samples_than_extremes_are_fine(samples: int) -> None:
    assert explore(made(), (), DRAW, samples=samples).sizes.spans.size == samples


def test_nothing_to_choose_is_fine() -> None:
    plain = topology({"s": {"operations": {"top": {"duration": "1ms"}}}})
    found = explore(plain, (), DRAW, samples=10)
    assert (found.points, found.sizes.spans.tolist()) == (0, [1] * 10)
