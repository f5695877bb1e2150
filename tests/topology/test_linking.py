from __future__ import annotations

from typing import Any

from motel_locust.topology.linking import operations, roots
from motel_locust.topology.model import Topology, Traffic


def topology(services: dict[str, dict[str, list[str]]], **traffic: Any) -> Topology:
    """A topology of services with operations with the targets of their calls."""
    return Topology.model_validate(
        {
            "version": 1,
            "services": {
                service: {
                    "operations": {
                        name: {"duration": "1ms", "calls": calls} for name, calls in named.items()
                    }
                }
                for service, named in services.items()
            },
            "traffic": {"rate": "1/s", **traffic},
        }
    )


def test_operations_are_sorted_by_service_and_then_by_name() -> None:
    found = operations(topology({"b": {"z": [], "a": []}, "a.b": {"c": []}, "a": {"b.d": []}}))
    assert list(found.items()) == [
        ("a.b.d", ("a", "b.d")),
        ("a.b.c", ("a.b", "c")),
        ("b.a", ("b", "a")),
        ("b.z", ("b", "z")),
    ]


def test_roots_are_the_operations_that_nobody_calls() -> None:
    found = roots(
        topology({"web": {"get": ["db.query"], "put": ["db.query"]}, "db": {"query": []}})
    )
    assert found == {"web.get": 1.0, "web.put": 1.0}


def test_roots_that_are_listed_are_exactly_the_roots() -> None:
    services = {"web": {"get": ["db.query"], "put": []}, "db": {"query": []}}
    assert roots(topology(services, roots={"web.get": 3, "db.query": 0.5})) == {
        "db.query": 0.5,
        "web.get": 3.0,
    }


def test_the_traffic_of_a_scenario_may_have_roots_of_its_own() -> None:
    system = topology({"web": {"get": [], "put": []}}, roots={"web.get": 1})
    own = Traffic.model_validate({"rate": "1/s", "roots": {"web.put": 2}})
    assert roots(system, own) == {"web.put": 2.0}
    assert roots(system, Traffic.model_validate({"rate": "1/s"})) == {"web.get": 1.0}
