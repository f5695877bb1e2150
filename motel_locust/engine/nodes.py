"""Nodes and sites: the ways in which operations are reached, and the places in the unrolled tree.

A *node* is an operation reached in one way, as far as its spans show it: a root or not, of one
kind, with one baggage, in one variant, on an instance that differs or any other. Where a request
may reach several nodes, a *choice* stands for them. A *site* is one place in the unrolled tree:
what is reached by one call, repetition and attempt from another site. All of them are made when
they are first asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.columns import Kind
from motel_locust.engine.shapes import Reached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.choices import Landing
    from motel_locust.engine.operations import CallPlan, OperationPlan
    from motel_locust.engine.plan import Plan
    from motel_locust.engine.shapes import ShapePlan


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
