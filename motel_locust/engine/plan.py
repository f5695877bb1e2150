"""A topology compiled for one set of active scenarios: a graph of nodes, and trees of call sites.

A *node* is an operation reached in one way, as far as its spans show it: a root or not, of one
kind, with one baggage, in one variant, on an instance that differs or any other. Where a request
may reach several nodes, a *choice* stands for them. A *site* is one place in the unrolled tree:
what is reached by one call, repetition and attempt from another site. All of them are made when
they are first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, instances, scenarios
from motel_locust.engine.choices import Choice
from motel_locust.engine.columns import Kind
from motel_locust.engine.graph import Graph
from motel_locust.engine.pairs import pair
from motel_locust.engine.shapes import Reached
from motel_locust.engine.state import guarded
from motel_locust.topology import linking
from motel_locust.topology.model import Operation
from motel_locust.topology.percentiles import PercentileDistribution

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.choices import Landing
    from motel_locust.engine.pairs import Client
    from motel_locust.engine.scenarios import Effective
    from motel_locust.engine.shapes import ShapePlan, Shapes
    from motel_locust.topology.model import Call, Topology

# From here on the walk in waves is at least as fast as the one site by site, which makes some 40
# array operations a site; the first, some hundred a generation, and more for every span.
SITES_OF_A_NODE: Final = 4
MANY_SITES: Final = 250
SITES_OF_A_GENERATION: Final = 4

ANY_OTHER: Final = -1
"""In place of the index of an instance: any of those that do not differ."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One entry of an operation's calls.

    ``key`` is that of the spans it makes, whatever else is called; ``gate`` is the row of the
    operation's words that decides with ``below`` whether the call is made, None where it always is.
    """

    key: int
    target: str
    gate: int | None
    below: np.uint64
    wants_error: bool | None
    count: int
    timeout_ns: int | None
    retries: int
    backoff_ns: int
    awaited: bool
    producer: bool
    stays: bool
    """Whether the caller's instance serves it."""

    @property
    def attempts(self) -> int:
        """The most spans that one caller's span gets from this entry."""
        return self.count * (1 + self.retries)

    @property
    def plain(self) -> bool:
        """Whether every row calls exactly once and takes what comes."""
        return (
            self.gate is None
            and self.wants_error is None
            and self.attempts == 1
            and self.timeout_ns is None
            and self.awaited
        )


class OperationPlan:
    """What a visit needs to know of an operation, or of one of its variants, or on an instance.

    ``keys`` uint64[purposes, 1] gives a span its words: first the ``gates`` of the calls, which are
    the same for all of these, then rows ``duration_word`` and ``error_word``; what needs no draw
    has none. ``beside`` are the operations that the same instances serve, itself among them; none
    where the service has no instances. ``client`` tells the caller's side of a call, which has the
    service and name of the calling operation.
    """

    def __init__(
        self,
        ref: str,
        place: tuple[str, str],
        model: Operation,
        effective: Effective,
        *,
        seed: int,
        beside: Collection[str],
        client: Client | None = None,
    ) -> None:
        self.ref, (self.service, self.name) = ref, place
        self.model, self.effective, self.client = model, effective, client
        self.limit_ns = effective.limit_ns
        self.served = bool(beside)
        self.guarded = guarded(model)
        self.linked = tuple(link.ref for link in model.links)
        self.parallel = model.call_style == "parallel"
        duration = effective.duration
        self.mean_ns = self.deviation_ns = 0
        self.curve_ns: NDArray[np.float64] | None = None
        if isinstance(duration, PercentileDistribution):
            self.curve_ns = draws.curve(duration.at)
        else:
            self.mean_ns, self.deviation_ns = duration.mean_ns, duration.deviation_ns
        self.error_rate = effective.error_rate
        keys: list[int] = []

        def word(*purpose: object) -> int:
            keys.append(draws.key(seed, self.service, self.name, *purpose))
            return len(keys) - 1

        self.root_key = draws.key(seed, self.service, self.name, "root")
        self.calls = tuple(
            self._compile_call(
                draws.key(seed, self.service, self.name, "callee", name),
                call,
                None if call.probability == 1 else word("call", name),
                stays=call.target in beside,
            )
            for name, call in effective.calls
        )
        self.gates = len(keys)
        pressure = model.backpressure
        may_rise = pressure is not None and pressure.error_rate_add > 0
        varies = self.deviation_ns > 0 or self.curve_ns is not None
        self.duration_word = word("duration") if varies else None
        self.error_word = word("error") if 0 < self.error_rate < 1 or may_rise else None
        self.variants = {
            each.name: OperationPlan(ref, place, model, each.effective, seed=seed, beside=beside)
            for each in effective.variants
        }
        self.on_instances = {
            index: OperationPlan(ref, place, model, each, seed=seed, beside=beside)
            for index, each in effective.on_instances.items()
        }
        self.keys: NDArray[np.uint64] = np.array(keys, np.uint64)[:, np.newaxis]

    @staticmethod
    def _compile_call(key: int, call: Call, gate: int | None, *, stays: bool) -> CallPlan:
        return CallPlan(
            key=key,
            target=call.target,
            gate=gate,
            below=draws.threshold(call.probability),
            wants_error=None if call.condition is None else call.condition == "on-error",
            count=call.count,
            timeout_ns=call.timeout,
            retries=call.retries,
            backoff_ns=call.retry_backoff,
            awaited=not call.detached,
            producer=call.producer,
            stays=stays,
        )


class Node:
    """An operation, reached in one way.

    ``baggage`` is what its spans see, ``instance`` the index of the one that serves them, as far as
    that makes a difference. For the caller's side of a call each attempt is a way of its own, as
    its spans tell which it is.
    """

    def __init__(
        self,
        plan: Plan,
        operation: OperationPlan,
        *,
        kind: Kind,
        has_parent: bool,
        baggage: Mapping[str, str],
        instance: int | None,
        attempt: int = 0,
    ) -> None:
        self.operation, self.baggage, self.instance = operation, baggage, instance
        self._plan, self._attempt = plan, attempt
        self._reached = Reached(operation.service, operation.name, kind, has_parent, plan.labels)

    @cached_property
    def callees(self) -> tuple[Landing, ...]:
        """What each entry of the operation's calls reaches."""
        return tuple(
            self._plan.reach(
                call.target,
                kind=self._kind_of(call),
                has_parent=True,
                baggage=self.baggage,
                instance=self.instance if call.stays else None,
            )
            for call in self.operation.calls
        )

    def nth(self, call: int, attempt: int) -> Landing:
        """Return what attempt *attempt* of call *call* reaches."""
        landing, entry = self.callees[call], self.operation.calls[call]
        if landing.operation.client is None or not attempt:
            return landing
        return self._plan.reach(
            entry.target,
            kind=self._kind_of(entry),
            has_parent=True,
            baggage=self.baggage,
            instance=self.instance if entry.stays else None,
            attempt=attempt,
        )

    def attempts(self, call: int) -> tuple[Landing, ...]:
        """Return what all attempts of call *call* reach, one for all where they are alike."""
        retries = self.operation.calls[call].retries
        different = self.callees[call].operation.client is not None
        return tuple(self.nth(call, attempt) for attempt in range(1 + retries * different))

    def _kind_of(self, call: CallPlan) -> Kind:
        if self._plan.paired:
            client = self._plan.operations[call.target].client
            if client is not None:
                return client.kind
            client = self.operation.client
            return Kind.INTERNAL if client is None else client.peer_kind
        if call.target in self._plan.servers:
            return Kind.SERVER
        if call.producer:
            return Kind.PRODUCER
        if not call.awaited:
            return Kind.CONSUMER
        target = self._plan.operations[call.target]
        return Kind.INTERNAL if target.service == self.operation.service else Kind.CLIENT

    @cached_property
    def shape(self) -> ShapePlan:
        """The shape of an admitted request here."""
        client = self.operation.client
        if client is not None:
            return self._plan.shapes.calling(
                self._reached, client, attempt=self._attempt, baggage=self.baggage
            )
        effective = self.operation.effective
        return self._plan.shapes.admitted(self._reached, effective, baggage=self.baggage)

    def rejection(self, reason: str) -> ShapePlan:
        """Return the shape of a request refused here for *reason*."""
        return self._plan.shapes.rejected(self._reached, reason=reason)


class Site:
    """One place in the unrolled tree.

    ``key`` makes, with the ids of the calling spans, those of the spans here. ``landing`` is what
    they reach, and ``operation`` the one of it, as far as it is the same whatever is chosen there.
    """

    def __init__(
        self,
        plan: Plan,
        landing: Landing,
        *,
        key: int,
        caller: Site | None = None,
        before: tuple[int, int] = (0, 0),
    ) -> None:
        self.landing, self.operation = landing, landing.operation
        self.key = np.uint64(key)
        self._plan, self._caller, self._before = plan, caller, before
        self._children: dict[tuple[Landing, int, int], Site] = {}

    def child(self, node: Node, call: int, repeat: int, attempt: int) -> Site:
        """Return the site that attempt *attempt* of repetition *repeat* of call *call* reaches.

        From *node*, which is what requests reached here; from several that call the same, it is
        the same site.
        """
        entry = self.operation.calls[call]
        where = call, repeat * (1 + entry.retries) + attempt
        reached = node.nth(call, attempt)
        found = self._children.get((reached, *where))
        if found is None:
            found = self._children[reached, *where] = Site(
                self._plan,
                reached,
                key=draws.nth(entry.key, where[1]),
                caller=self,
                before=where,
            )
        return found

    @cached_property
    def ordinal(self) -> int:
        """How many spans of the operation precede this one in a trace where all calls occur."""
        weights, preceding = self._plan.spans_of(self.operation.ref), 0
        site = self
        while site._caller is not None:
            call, attempts = site._before
            calls = site._caller.operation.calls
            preceding += sum(each.attempts * weights[each.target] for each in calls[:call])
            preceding += attempts * weights[calls[call].target]
            site = site._caller
        return preceding


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
