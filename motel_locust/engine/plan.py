"""A topology compiled for one set of active scenarios: one tree of call sites per root.

A *site* is one place in the unrolled tree: an operation reached by one call, repetition and
attempt. Sites are made when a trace first comes there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.engine.columns import Kind
from motel_locust.engine.shapes import Reached
from motel_locust.engine.state import guarded
from motel_locust.topology import linking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.scenarios import Effective
    from motel_locust.engine.shapes import ShapePlan, Shapes
    from motel_locust.topology.model import Call, Operation, Topology


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One entry of an operation's calls.

    ``name`` identifies the entry whatever else is called; ``gate`` is the row of the operation's
    words that decides with ``below`` whether the call is made, None where it always is.
    """

    name: str
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
    """What a visit needs to know of an operation.

    ``keys`` uint64[purposes, 1] gives a span its words: row ``duration_word``, row ``error_word``
    and the calls' gates; what needs no draw has no row.
    """

    def __init__(
        self, ref: str, place: tuple[str, str], model: Operation, effective: Effective, *, seed: int
    ) -> None:
        self.ref, (self.service, self.name) = ref, place
        self.model, self.effective = model, effective
        self.guarded = guarded(model)
        self.linked = tuple(link.ref for link in model.links)
        self.parallel = model.call_style == "parallel"
        self.mean_ns = effective.duration.mean_ns
        self.deviation_ns = effective.duration.deviation_ns
        self.error_rate = effective.error_rate
        keys: list[int] = []

        def word(*purpose: object) -> int:
            keys.append(draws.key(seed, self.service, self.name, *purpose))
            return len(keys) - 1

        pressure = model.backpressure
        may_rise = pressure is not None and pressure.error_rate_add > 0
        self.duration_word = word("duration") if self.deviation_ns else None
        self.error_word = word("error") if 0 < self.error_rate < 1 or may_rise else None
        self.calls = tuple(
            self._compile_call(name, call, None if call.probability == 1 else word("call", name))
            for name, call in effective.calls
        )
        self.keys: NDArray[np.uint64] = np.array(keys, np.uint64)[:, np.newaxis]

    @staticmethod
    def _compile_call(name: str, call: Call, gate: int | None) -> CallPlan:
        return CallPlan(
            name=name,
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
        )


class Site:
    """One place in the unrolled tree."""

    def __init__(
        self,
        plan: Plan,
        operation: OperationPlan,
        *,
        path: str,
        kind: Kind,
        baggage: Mapping[str, str],
        caller: Site | None = None,
        before: tuple[int, int] = (0, 0),
    ) -> None:
        self.plan, self.operation, self.path, self.kind = plan, operation, path, kind
        self.caller, self._before = caller, before
        self.key = np.uint64(draws.key(plan.seed, "site", path))
        declared = plan.shapes.declared_baggage(operation.service, operation.name)
        self.baggage = {**baggage, **declared}
        self._children: dict[tuple[int, int, int], Site] = {}

    def child(self, call: int, repeat: int, attempt: int) -> Site:
        """Return the site that attempt *attempt* of repetition *repeat* of call *call* reaches."""
        where = call, repeat, attempt
        found = self._children.get(where)
        if found is None:
            entry = self.operation.calls[call]
            target = self.plan.operations[entry.target]
            found = self._children[where] = Site(
                self.plan,
                target,
                path=f"{self.path}>{entry.name}.{repeat}.{attempt}",
                kind=self._kind_of(entry, target),
                baggage=self.baggage,
                caller=self,
                before=(call, repeat * (1 + entry.retries) + attempt),
            )
        return found

    def _kind_of(self, call: CallPlan, target: OperationPlan) -> Kind:
        if target.ref in self.plan.servers:
            return Kind.SERVER
        if call.producer:
            return Kind.PRODUCER
        if not call.awaited:
            return Kind.CONSUMER
        return Kind.INTERNAL if target.service == self.operation.service else Kind.CLIENT

    @cached_property
    def shape(self) -> ShapePlan:
        """The shape of an admitted request here."""
        effective = self.operation.effective
        return self.plan.shapes.admitted(self._reached, effective, baggage=self.baggage)

    def rejection(self, reason: str) -> ShapePlan:
        """Return the shape of a request refused here for *reason*."""
        return self.plan.shapes.rejected(self._reached, reason=reason)

    @property
    def _reached(self) -> Reached:
        operation, has_parent = self.operation, self.caller is not None
        return Reached(operation.service, operation.name, self.kind, has_parent, self.plan.labels)

    @cached_property
    def ordinal(self) -> int:
        """How many spans of the operation precede this one in a trace where all calls occur."""
        weights, preceding = self.plan.spans_of(self.operation.ref), 0
        site = self
        while site.caller is not None:
            call, attempts = site._before
            calls = site.caller.operation.calls
            preceding += sum(each.attempts * weights[each.target] for each in calls[:call])
            preceding += attempts * weights[calls[call].target]
            site = site.caller
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
        self.operations = {
            ref: OperationPlan(
                ref,
                place,
                topology.services[place[0]].operations[place[1]],
                scenarios.effective(topology, ref, active),
                seed=seed,
            )
            for ref, place in linking.operations(topology).items()
        }
        weights = scenarios.roots(topology, active)
        self.roots = tuple(
            Site(self, self.operations[ref], path=ref, kind=Kind.SERVER, baggage={})
            for ref in weights
        )
        self.root_bounds = draws.bounds(list(weights.values()))
        self.root_purpose = np.uint64(draws.key(seed, "root"))
        self.linked = frozenset(ref for each in self.operations.values() for ref in each.linked)
        self._callees_first = self._sorted()

    @cached_property
    def largest(self) -> int:
        """The most spans that a trace can have."""
        sizes: dict[str, int] = {}
        for ref in self._callees_first:
            calls = self.operations[ref].calls
            sizes[ref] = 1 + sum(call.attempts * sizes[call.target] for call in calls)
        return max(sizes[root.operation.ref] for root in self.roots)

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
        found: dict[str, int] = {}
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
