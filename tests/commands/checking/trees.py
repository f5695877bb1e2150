"""What a trace can hold, in plain Python: the oracles of bounds and of expectations.

Both unroll a topology call by call, as a person would; no operation is looked at twice by the same
formula.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from motel_locust.engine import scenarios
from motel_locust.topology import linking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.scenarios import Active, Effective
    from motel_locust.topology.model import Call, Topology

Counts = tuple[tuple[str, int], ...]
"""Spans by operation, sorted."""

Baggage = tuple[tuple[str, str], ...]


@dataclass
class FullTree:
    """The trace in which every call is made and every attempt but the last fails."""

    ref: str
    """Of an operation, or who calls whom."""
    children: list[FullTree] = field(default_factory=list)
    edge: bool = False
    """Whether it is the caller's side of a call."""

    @classmethod
    def of(cls, topology: Topology, ref: str, active: Active = ()) -> FullTree:
        tree = cls(ref)
        for _, call in scenarios.effective(topology, ref, active).calls:
            for _ in range(max(call.count, 1)):
                for _ in range(1 + call.retries):
                    child = cls.of(topology, call.target, active)
                    edge = edge_of(topology, ref, call)
                    tree.children.append(cls(edge, [child], edge=True) if edge else child)
        return tree

    @property
    def spans(self) -> int:
        return 1 + sum(child.spans for child in self.children)

    @property
    def depth(self) -> int:
        return max((1 + child.depth for child in self.children), default=0)


def edge_of(topology: Topology, ref: str, call: Call) -> str:
    """Return who calls whom where *call* of *ref* makes a pair of spans, else nothing."""
    places = linking.operations(topology)
    caller, callee = places[ref][0], places[call.target][0]
    message = call.detached or call.producer
    if topology.spans == "single" or (caller == callee and not message):
        return ""
    return f"{caller} -> {call.target}"


class Outcomes:
    """How often a request to an operation fails, and with how many spans: all ways, exactly.

    Only for topologies without timeouts.
    """

    def __init__(self, topology: Topology, active: Active = ()) -> None:
        self._topology, self._active = topology, active

    def of(self, ref: str, baggage: Baggage = ()) -> dict[tuple[bool, Counts], Fraction]:
        """Return the ways of a request to *ref* that brings *baggage*."""
        service, name = linking.operations(self._topology)[ref]
        owner = self._topology.services[service]
        seen = {**dict(baggage), **owner.baggage, **owner.operations[name].baggage}
        plain = scenarios.effective(self._topology, ref, self._active)
        fits = [
            each
            for each in plain.variants
            if each.when and all(item in baggage for item in each.when.items())
        ] or [each for each in plain.variants if not each.when]
        if not fits:
            return self._of(ref, plain, tuple(seen.items()))
        found: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
        total = sum(Fraction(each.weight) for each in fits)
        for each in fits:
            handed_on = tuple({**seen, **each.baggage}.items())
            for way, chance in self._of(ref, each.effective, handed_on).items():
                found[way] += chance * Fraction(each.weight) / total
        return dict(found)

    def _of(
        self, ref: str, effective: Effective, baggage: Baggage
    ) -> dict[tuple[bool, Counts], Fraction]:
        found: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
        rate = Fraction(effective.error_rate)
        for broken, chance in ((True, rate), (False, 1 - rate)):
            ways = {(broken, ((ref, 1),)): chance}
            for _, call in effective.calls:
                if call.condition is None or (call.condition == "on-error") == broken:
                    edge = edge_of(self._topology, ref, call)
                    ways = dict(self._made(ways, call, baggage, edge))
            for way, probability in ways.items():
                found[way] += probability
        return dict(found)

    def _made(
        self,
        ways: dict[tuple[bool, Counts], Fraction],
        call: Call,
        baggage: Baggage,
        edge: str,
    ) -> Iterator[tuple[tuple[bool, Counts], Fraction]]:
        """Go on from *ways* with *call*, made or not."""
        probability = Fraction(call.probability)
        repetition = self._repetition(call, baggage, edge)
        after: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
        for (failed, counts), chance in ways.items():
            after[failed, counts] += chance * (1 - probability)
        made = {way: chance * probability for way, chance in ways.items()}
        for _ in range(call.count):
            made = _combined(made, repetition, awaited=not call.detached)
        for way, chance in made.items():
            after[way] += chance
        yield from after.items()

    def _repetition(
        self, call: Call, baggage: Baggage, edge: str
    ) -> dict[tuple[bool, Counts], Fraction]:
        """All ways in which one repetition of *call* can go, further attempts included."""
        attempt = self.of(call.target, baggage)
        open_ways = {(False, ()): Fraction(1)}
        done: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
        for number in range(1 + call.retries):
            following: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
            for (_, before), chance in open_ways.items():
                for (failed, counts), probability in attempt.items():
                    way = (failed, _added(before, counts))
                    if edge:
                        way = (failed, _added(way[1], ((edge, 1),)))
                    last = number == call.retries
                    (following if failed and not last else done)[way] += chance * probability
            open_ways = dict(following)
        return dict(done)


def _combined(
    ways: dict[tuple[bool, Counts], Fraction],
    more: dict[tuple[bool, Counts], Fraction],
    *,
    awaited: bool,
) -> dict[tuple[bool, Counts], Fraction]:
    found: defaultdict[tuple[bool, Counts], Fraction] = defaultdict(Fraction)
    for (failed, counts), chance in ways.items():
        for (bad, brought), probability in more.items():
            way = (failed or (bad and awaited), _added(counts, brought))
            found[way] += chance * probability
    return dict(found)


def _added(one: Counts, other: Counts) -> Counts:
    found: defaultdict[str, int] = defaultdict(int)
    for ref, count in (*one, *other):
        found[ref] += count
    return tuple(sorted(found.items()))
