"""Which scenarios are ever active together, and what the topology is meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

from motel_locust.engine import scenarios
from motel_locust.engine.plan import Plan
from motel_locust.engine.shapes import Shapes
from motel_locust.topology import linking
from motel_locust.topology.model import Operation, Service
from motel_locust.topology.quantities import Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.pairs import Client
    from motel_locust.engine.scenarios import Active, Effective
    from motel_locust.topology.model import Topology, Traffic

BETWEEN_TRACES_NS: Final = 1_000
"""Traces of a held topology arrive this far apart."""

_FOR_EVER_NS: Final = 1 << 62
_STEADY: Final = Rate(1e9 / BETWEEN_TRACES_NS, f"{1_000_000_000 // BETWEEN_TRACES_NS}/s")


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """Scenarios that are active together, by their index in the file, in merge order."""

    active: Active
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """What people call it."""
        return " + ".join(self.names) or "baseline"


def scenario_sets(topology: Topology) -> list[ScenarioSet]:
    """Return the baseline, and every other set that is active at some time, each once."""
    instants = scenarios.boundaries(topology).tolist()
    found = dict.fromkeys([(), *(scenarios.active(topology, t_ns) for t_ns in instants)])
    return [scenario_set(topology, active) for active in found]


def scenario_set(topology: Topology, active: Active) -> ScenarioSet:
    """Return the set *active* with its names; a scenario without one is called by its number."""
    names = (topology.scenarios[index].name or f"scenario {index + 1}" for index in active)
    return ScenarioSet(active, tuple(names))


@dataclass(frozen=True, slots=True)
class Wiring:
    """Who calls whom while a set of scenarios is active.

    Attributes:
        operations: What each operation does, by its ref, sorted by service and operation; then
            the clients.
        callees_first: All refs, each after those that it calls.
        roots: The operations at which traces begin, with weights that add up to 1.
        clients: Which of the operations are the caller's side of a call.
        plan: The same, told apart by variants and what decides on them.
    """

    operations: Mapping[str, Effective]
    callees_first: tuple[str, ...]
    roots: Mapping[str, float]
    clients: Mapping[str, Client]
    plan: Plan

    def counted_as(self, ref: str) -> str:
        """Return what the spans of *ref* are counted under."""
        return self.clients[ref].edge if ref in self.clients else ref


def wire(topology: Topology, active: Active) -> Wiring:
    """Return the wiring of *topology* while *active*."""
    # What is drawn decides on nothing here.
    plan = Plan(topology, active, seed=0, shapes=Shapes(topology, seed=0), label_scenarios=False)
    operations = {ref: each.effective for ref, each in plan.operations.items()}
    callees = {ref: {call.target for _, call in each.calls} for ref, each in operations.items()}
    roots = scenarios.roots(topology, active)
    total = sum(roots.values())
    return Wiring(
        operations,
        tuple(TopologicalSorter(callees).static_order()),
        {ref: weight / total for ref, weight in roots.items()},
        {ref: each.client for ref, each in plan.operations.items() if each.client is not None},
        plan,
    )


def hold(
    topology: Topology,
    active: Active,
    *,
    begin_at: str | None = None,
    bringing: Mapping[str, str] | None = None,
    stateful: bool = False,
) -> Topology:
    """Return *topology* with the scenarios *active* always on, all others never.

    Its traces arrive every ``BETWEEN_TRACES_NS``, the first at 0. Scenarios keep their indexes, so
    that every draw stays what it is in a run. Without *stateful*, no request is refused or slowed
    down for those before it; with *begin_at*, all traces begin at that operation, or if requests to
    it come *bringing* baggage, at one that calls it.
    """
    if begin_at is not None and bringing:
        topology, begin_at = _called(topology, begin_at, bringing)
    assert topology.traffic is not None, "a replay has no traffic to hold"
    own = _steady(topology.traffic)
    if begin_at is not None:
        own = own.model_copy(update={"roots": {begin_at: 1.0}})
    held = []
    for index, each in enumerate(topology.scenarios):
        given = each.traffic
        traffic = None if given is None or begin_at is not None else _steady(given)
        at, duration = (0, _FOR_EVER_NS) if index in active else (_FOR_EVER_NS, 1)
        held.append(each.model_copy(update={"at": at, "duration": duration, "traffic": traffic}))
    services = topology.services if stateful else _stateless(topology.services)
    return topology.model_copy(
        update={"traffic": own, "scenarios": tuple(held), "services": services}
    )


def _called(topology: Topology, ref: str, baggage: Mapping[str, str]) -> tuple[Topology, str]:
    """Return *topology* with an operation that calls *ref* with *baggage*, and the ref of that."""
    caller = Operation.model_validate(
        {"duration": "1ns", "baggage": dict(baggage), "calls": [{"target": ref}]}
    )
    # No file has a service without a name.
    services = {**topology.services, "": Service(operations={"call": caller})}
    return topology.model_copy(update={"services": services}), ".call"


def keeps_state(topology: Topology) -> list[str]:
    """Return the refs of operations that have a queue, backpressure or a circuit breaker."""
    return [
        ref
        for ref, (service, name) in linking.operations(topology).items()
        if _state_of(topology.services[service].operations[name])
    ]


def _steady(traffic: Traffic) -> Traffic:
    changes = {"rate": _STEADY, "pattern": "uniform", "overlay": None, "arrivals": "paced"}
    return traffic.model_copy(update=changes)


def _state_of(operation: Operation) -> bool:
    return bool(operation.queue_depth or operation.backpressure or operation.circuit_breaker)


def _stateless(services: Mapping[str, Service]) -> dict[str, Service]:
    nothing = {"queue_depth": 0, "backpressure": None, "circuit_breaker": None}
    return {
        name: service.model_copy(
            update={
                "operations": {
                    ref: operation.model_copy(update=nothing)
                    for ref, operation in service.operations.items()
                }
            }
        )
        for name, service in services.items()
    }
