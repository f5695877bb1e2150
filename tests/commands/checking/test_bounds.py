from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings

from motel_locust.commands.checking.bounds import MOST_SPANS, bounds
from motel_locust.commands.checking.sets import scenario_sets, wire
from motel_locust.topology import linking
from motel_locust.topology.model import Topology
from tests.commands.checking.trees import FullTree
from tests.engine.topologies import topologies, topology


@settings(max_examples=50, deadline=None)
@given(topologies(paired=True))
def test_bounds_are_those_of_the_full_tree(made: Topology) -> None:
    for scenarios in scenario_sets(made):
        wiring = wire(made, scenarios.active)
        found = bounds(wiring)
        trees = {ref: FullTree.of(made, ref, scenarios.active) for ref in linking.operations(made)}
        assert found.depth == max(trees[ref].depth for ref in wiring.roots)
        assert found.spans == max(trees[ref].spans for ref in wiring.roots)
        assert found.fan_out == max(len(tree.children) for tree in trees.values())
        assert trees[found.root].spans == found.spans
        assert len(trees[found.widest].children) == found.fan_out


@settings(max_examples=50, deadline=None)
@given(topologies(paired=True))
def test_the_path_leads_from_a_root_down_to_the_deepest_span(made: Topology) -> None:
    wiring = wire(made, ())
    found = bounds(wiring)
    assert found.path[0] in wiring.roots
    steps = 0
    for caller, callee in pairwise(found.path):
        tree = FullTree.of(made, caller)
        ways = {child.ref: 1 for child in tree.children}
        ways |= {each.ref: 2 for child in tree.children if child.edge for each in child.children}
        steps += ways[callee]
    assert steps == found.depth


def chain(count: int, calls: int = 1) -> Topology:
    operations = {
        f"op{number:05}": {
            "duration": "1ms",
            "calls": [{"target": f"a.op{number + 1:05}", "count": calls}]
            if number + 1 < count
            else [],
        }
        for number in range(count)
    }
    return topology({"a": {"operations": operations}})


def test_a_chain_may_be_long() -> None:
    found = bounds(wire(chain(3000), ()))
    assert (found.depth, found.spans) == (2999, 3000)


def test_counting_stops_at_two_billion_spans() -> None:
    found = bounds(wire(chain(50, calls=10), ()))
    assert (found.spans, found.fan_out) == (MOST_SPANS, 10)


def test_of_equal_ones_the_first_by_name_is_told() -> None:
    leaf = {"duration": "1ms"}
    caller = {"duration": "1ms", "calls": ["s.leaf2", "s.leaf1"]}
    found = bounds(
        wire(
            topology(
                {"s": {"operations": {"b": caller, "a": caller, "leaf1": leaf, "leaf2": leaf}}}
            ),
            (),
        )
    )
    assert found.path == ("s.a", "s.leaf2")
    assert (found.widest, found.root) == ("s.a", "s.a")


def test_retries_and_counts_multiply_whatever_the_chance() -> None:
    call = {"target": "s.leaf", "count": 3, "retries": 2, "probability": 0.01}
    other = {"target": "s.leaf", "condition": "on-error", "async": True}
    operations = {"top": {"duration": "1ms", "calls": [call, other]}, "leaf": {"duration": "1ms"}}
    made = topology({"s": {"operations": operations}})
    found = bounds(wire(made, ()))
    assert (found.spans, found.fan_out) == (11, 10)
    assert list(linking.roots(made)) == ["s.top"]
