"""A topology compiled for one set of active scenarios: its operations, and where traces begin.

What is reached from there is in :mod:`~motel_locust.engine.nodes`.
"""

from __future__ import annotations

from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, instances, scenarios
from motel_locust.engine.choices import Choice
from motel_locust.engine.columns import Kind
from motel_locust.engine.graph import Graph
from motel_locust.engine.nodes import Node, Site
from motel_locust.engine.operations import OperationPlan
from motel_locust.engine.pairs import pair
from motel_locust.topology import linking
from motel_locust.topology.model import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.choices import Landing
    from motel_locust.engine.operations import CallPlan
    from motel_locust.engine.shapes import Shapes
    from motel_locust.topology.model import Topology

# From here on the walk in waves is at least as fast as the one site by site, which makes some 40
# array operations a site; the first, some hundred a generation, and more for every span.
SITES_OF_A_NODE: Final = 4
MANY_SITES: Final = 250
SITES_OF_A_GENERATION: Final = 4

ANY_OTHER: Final = -1
"""In place of the index of an instance: any of those that do not differ."""


class Plan:
    """The call trees of a topology while one set of scenarios is active."""

    def __init__(
        self,
        topology: Topology,
        active: tuple[int, ...],
        *,
        seed: int,
        shapes: Shapes,
        label_scenarios: bool,
    ) -> None:
        self.seed, self.shapes = seed, shapes
        names = tuple(topology.scenarios[index].name for index in active)
        self.labels = names if label_scenarios else None
        self.servers = frozenset(linking.roots(topology))
        self.paired = topology.spans == "paired"
        places = linking.operations(topology)
        single = {ref: scenarios.effective(topology, ref, active) for ref in places}
        effective, clients = pair(topology, single)
        places |= {ref: client.place for ref, client in clients.items()}
        beside: dict[str, set[str]] = {name: set() for name in topology.services}
        for ref, (service, _) in places.items():
            if topology.services[service].instances is not None:
                beside[service].add(ref)
        self.operations = {
            ref: OperationPlan(
                ref,
                places[ref],
                topology.services[places[ref][0]].operations[places[ref][1]],
                each,
                seed=seed,
                beside=beside[places[ref][0]],
            )
            for ref, each in effective.items()
            if ref not in clients
        }
        for ref, client in clients.items():
            self.operations[ref] = OperationPlan(
                ref,
                client.place,
                Operation(duration=effective[ref].duration),
                effective[ref],
                seed=seed,
                beside=beside[client.place[0]],
                client=client,
            )
        self.linked = frozenset(ref for each in self.operations.values() for ref in each.linked)
        self._callees_first = self._sorted()
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._choices: dict[tuple[Landing, ...], Choice] = {}
        self._instances = {name: each.instances for name, each in topology.services.items()}
        self._differing: dict[str, set[int]] = {name: set() for name in topology.services}
        for each in self.operations.values():
            self._differing[each.service] |= each.on_instances.keys()
        self._spans_of: dict[str, dict[str, int]] = {}
        weights = scenarios.roots(topology, active)
        self.roots = tuple(
            Site(
                self,
                self.reach(ref, kind=Kind.SERVER, has_parent=False, baggage={}),
                key=self.operations[ref].root_key,
            )
            for ref in weights
        )
        self._root_bounds = draws.bounds(list(weights.values()))
        self._root_purpose = np.uint64(draws.key(seed, "root"))

    def reach(
        self,
        ref: str,
        *,
        kind: Kind,
        has_parent: bool,
        baggage: Mapping[str, str],
        instance: int | None = None,
        attempt: int = 0,
    ) -> Landing:
        """Return what a request to operation *ref* reaches, made so by a span that sees *baggage*.

        One of the operation's variants, if any fits; where instances of its service differ, on the
        *instance* that serves it already, or else on any.
        """
        operation, reached = self.operations[ref], (kind, has_parent)
        if operation.client is not None:
            return self._node(operation, reached, baggage, instance, attempt)
        model, differing = self._instances[operation.service], self._differing[operation.service]
        if model is None or not differing or instance is not None:
            return self._land(operation, reached, baggage, instance)
        # Before, on and after each that differs; in between all are alike.
        places = {0, *differing, *(index + 1 for index in differing)}
        first, *others = sorted(place for place in places if place < model.count)
        options = tuple(
            self._land(operation, reached, baggage, index if index in differing else ANY_OTHER)
            for index in (first, *others)
        )
        key = instances.purpose(self.seed, operation.service)
        edges = instances.bounds(model)[np.array(others, np.int64) - 1]
        return self._choice(key, edges, options)

    def _land(
        self,
        plain: OperationPlan,
        reached: tuple[Kind, bool],
        baggage: Mapping[str, str],
        instance: int | None,
    ) -> Landing:
        """Return what a request to *plain* reaches on *instance*."""
        fitting = plain.effective.fitting(baggage)
        seen = {**baggage, **self.shapes.declared_baggage(plain.service, plain.name)}
        if not fitting:
            return self._node(plain, reached, seen, instance)
        nodes = tuple(
            self._node(plain.variants[each.name], reached, {**seen, **each.baggage}, instance)
            for each in fitting
        )
        key = draws.key(self.seed, plain.service, plain.name, "variant")
        edges = draws.bounds([each.weight for each in fitting])
        return self._choice(np.uint64(key), edges, nodes)

    def _choice(
        self, key: np.uint64, edges: NDArray[np.uint64], options: tuple[Landing, ...]
    ) -> Landing:
        """Return the choice between *options*, the same one each time."""
        if len(options) == 1:
            return options[0]
        if options not in self._choices:
            self._choices[options] = Choice(key, edges, options)
        return self._choices[options]

    def _node(
        self,
        operation: OperationPlan,
        reached: tuple[Kind, bool],
        baggage: Mapping[str, str],
        instance: int | None,
        attempt: int = 0,
    ) -> Node:
        """Return the node whose spans see what *baggage* holds, as far as anybody can tell."""
        wanted = self._wanted[operation.ref]
        if wanted is not None:
            baggage = {key: baggage[key] for key in sorted(wanted & baggage.keys())}
        if instance is not None:
            operation = operation.on_instances.get(instance, operation)
        key = (operation, *reached, tuple(baggage.items()), instance, attempt)
        if key not in self._nodes:
            kind, has_parent = reached
            self._nodes[key] = Node(
                self,
                operation,
                kind=kind,
                has_parent=has_parent,
                baggage=baggage,
                instance=instance,
                attempt=attempt,
            )
        return self._nodes[key]

    def choose_roots(self, trace_key: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return which of ``roots`` each trace begins at: int64[traces]."""
        words = draws.draw_words(trace_key, self._root_purpose)
        return draws.draw_choices(words, self._root_bounds)

    @cached_property
    def _wanted(self) -> dict[str, frozenset[str] | None]:
        """The baggage that spans of each operation need to know of; None for all of it.

        What they or spans below show, or variants below ask for. Nobody could see what else they
        carry, and it would only make nodes.
        """
        found: dict[str, frozenset[str] | None] = {}
        for ref in self._callees_first:
            operation = self.operations[ref]
            below = [found[call.target] for call in operation.calls]
            if None in below or self.shapes.shows_baggage(operation.service, operation.name):
                found[ref] = None
                continue
            asked = (
                each.when
                for call in operation.calls
                for each in self.operations[call.target].effective.variants
            )
            found[ref] = frozenset().union(*asked, *(each for each in below if each is not None))
        return found

    @cached_property
    def largest(self) -> int:
        """The most spans that a trace can have."""
        return max(self._sizes(lambda call: call.attempts))

    @cached_property
    def crowded(self) -> bool:
        """Whether there are so many sites that each would have few of a batch's spans.

        Sites of retries are left out: few traces come there.
        """
        sites = sum(self._sizes(lambda call: call.count))
        if sites < SITES_OF_A_GENERATION * self.depth:
            return False
        return sites >= MANY_SITES or sites >= SITES_OF_A_NODE * len(self.graph.nodes)

    def _sizes(self, times: Callable[[CallPlan], int]) -> list[int]:
        """Return how many spans each root brings, itself included, each call made so often."""
        sizes: dict[str, int] = {}
        for ref in self._callees_first:
            calls = self.operations[ref].calls
            sizes[ref] = 1 + sum(times(call) * sizes[call.target] for call in calls)
        return [sizes[root.operation.ref] for root in self.roots]

    @cached_property
    def graph(self) -> Graph:
        """The nodes as tables."""
        return Graph(self)

    @cached_property
    def depth(self) -> int:
        """How many spans the longest chain of calls has."""
        depths: dict[str, int] = {}
        for ref in self._callees_first:
            calls = self.operations[ref].calls
            depths[ref] = 1 + max((depths[call.target] for call in calls), default=0)
        return max(depths.values())

    def spans_of(self, of: str) -> dict[str, int]:
        """Return, for every operation, the most spans of *of* that one of its spans brings.

        For *of* itself that is 1.
        """
        if of in self._spans_of:
            return self._spans_of[of]
        found = self._spans_of[of] = {}
        for ref in self._callees_first:
            calls = self.operations[ref].calls
            own = 1 if ref == of else 0
            found[ref] = own + sum(call.attempts * found[call.target] for call in calls)
        return found

    def most(self, of: str) -> int:
        """Return the most spans of operation *of* that a trace can have."""
        found = self.spans_of(of)
        return max(found[root.operation.ref] for root in self.roots)

    def _sorted(self) -> list[str]:
        """Return all refs, callees before their callers; without recursion, as chains are long."""
        graph = {ref: {call.target for call in each.calls} for ref, each in self.operations.items()}
        return list(TopologicalSorter(graph).static_order())
