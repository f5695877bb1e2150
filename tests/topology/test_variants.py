"""Which variants requests can meet, as far as a file tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from motel_locust.topology.reading import Source, parse_topology
from motel_locust.topology.variants import Variant, fitting

FAR = {"far": {"when": {"region": "eu"}}}
REGIONS = {"us": {"baggage": {"region": "us"}}, "eu": {"baggage": {"region": "eu"}}}


def unreachable(operations: dict[str, Any], **rest: Any) -> list[str]:
    """Return the variants that are said never to be chosen."""
    plain = {name: {"duration": "1ms", **each} for name, each in operations.items()}
    model = {"version": 1, "services": {"s": {"operations": plain}}, "traffic": {"rate": "1/s"}}
    found = parse_topology(Source("made.yaml", json.dumps({**model, **rest}).encode())).warnings
    assert {each.code for each in found} <= {"unreachable-variant", "scenario-root"}
    return [each.where for each in found if each.code == "unreachable-variant"]


def test_baggage_travels_through_operations_that_do_not_know_it() -> None:
    middle = {"baggage": {"other": "x"}, "calls": [{"target": "s.load", "async": True}]}
    operations = {
        "get": {"variants": REGIONS, "calls": ["s.middle"]},
        "middle": middle,
        "load": {"variants": FAR},
    }
    assert unreachable(operations) == []
    operations["middle"] = {**middle, "baggage": {"region": "us"}}
    assert unreachable(operations) == ['service "s", operation "load", variant "far", when']


def test_a_scenario_may_lead_to_a_variant() -> None:
    """By a call that it adds, by traffic that begins elsewhere, or by a weight."""
    operations = {
        "get": {"variants": {**REGIONS, "eu": {**REGIONS["eu"], "weight": 0}}},
        "put": {"baggage": {"region": "eu"}},
        "load": {"variants": FAR},
    }
    calls = {"add_calls": ["s.load"]}
    for ref in ("s.get", "s.put"):
        window = {"at": "1m", "duration": "1m", "override": {ref: calls}}
        assert unreachable(operations, scenarios=[window]) == []
    assert len(unreachable(operations)) == 1


def test_an_operation_that_nothing_reaches_is_no_ones_mistake() -> None:
    operations = {"get": {"variants": REGIONS}, "load": {"variants": FAR}}
    assert unreachable(operations, traffic={"rate": "1/s", "roots": {"s.get": 1}}) == []


@pytest.mark.parametrize(
    ("baggage", "names"),
    [
        ({}, "cd"),
        ({"region": "us"}, "cd"),
        ({"region": "eu"}, "a"),
        ({"region": "eu", "tier": "gold", "more": ""}, "ab"),
        ({"tier": "gold"}, "cd"),
    ],
)
def test_all_that_a_variant_asks_for_must_be_there(baggage: dict[str, str], names: str) -> None:
    variants = {
        "a": Variant(when={"region": "eu"}),
        "b": Variant(when={"region": "eu", "tier": "gold"}),
        "c": Variant(),
        "d": Variant(weight=2),
    }
    assert fitting(variants.values(), baggage) == [variants[name] for name in names]
