"""Which variants requests can meet: a walk through all calls, with the baggage that decides."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from motel_locust.topology import linking
from motel_locust.topology.diagnostics import Mistake, Step, quoted
from motel_locust.topology.variants import fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from motel_locust.topology.model import Operation, Topology, Variant

Path = tuple[Step, ...]

MOST_KINDS: Final = 10_000
"""Of requests that are told apart; a batch of traces would have few of each."""


class _Met(NamedTuple):
    """What a request meets: a variant, if any, and the baggage of its span that decides later."""

    ref: str
    variant: str | None
    baggage: frozenset[tuple[str, str]]


def check_variants(topology: Topology) -> tuple[list[Mistake], list[Mistake]]:
    """Return the errors and the warnings about the variants of *topology*, in any scenario."""
    places = linking.operations(topology)
    operations = {
        ref: topology.services[service].operations[name] for ref, (service, name) in places.items()
    }
    if not any(operation.variants for operation in operations.values()):
        return [], []
    paths: dict[str, Path] = {
        ref: ("services", service, "operations", name) for ref, (service, name) in places.items()
    }
    met = _Meetings(topology, operations).met
    if len(met) > MOST_KINDS:
        return [_too_many(met, paths)], []
    return [], list(_unmet(met, operations, paths))


def _too_many(met: Iterable[_Met], paths: Mapping[str, Path]) -> Mistake:
    [(worst, _)] = Counter(each.ref for each in met).most_common(1)
    message = f"variants and their baggage make more than {MOST_KINDS:,} kinds of requests, most "
    message += f"of them to {quoted(worst)}; let fewer variants set baggage"
    return Mistake("too-many-variants", message, path=paths[worst], at_key=True, complete=True)


def _unmet(
    met: Iterable[_Met], operations: Mapping[str, Operation], paths: Mapping[str, Path]
) -> Iterator[Mistake]:
    found = {(each.ref, each.variant) for each in met}
    reached = {ref for ref, _ in found}
    for ref in sorted(reached):
        for name, variant in operations[ref].variants.items():
            if variant.when and (ref, name) not in found:
                asked = ", ".join(f"{key}: {value}" for key, value in variant.when.items())
                message = f"no request to {quoted(ref)} brings {{{asked}}}, so variant "
                message += f"{quoted(name)} is never chosen"
                path = (*paths[ref], "variants", name, "when")
                yield Mistake("unreachable-variant", message, path=path, at_key=True, complete=True)


class _Meetings:
    """All that requests can meet; where that is too much, a little more than the most."""

    def __init__(self, topology: Topology, operations: Mapping[str, Operation]) -> None:
        self._topology, self._operations = topology, operations
        self._places = linking.operations(topology)
        self._callees = _callees(topology, operations)
        self._deciding = self._decide()
        self.met: dict[_Met, None] = {}
        waiting = [each for ref in _roots(topology) for each in self._reached(ref, {})]
        while waiting and len(self.met) <= MOST_KINDS:
            each = waiting.pop()
            if each not in self.met:
                self.met[each] = None
                baggage = dict(each.baggage)
                for callee in self._callees[each.ref]:
                    waiting += self._reached(callee, baggage)

    def _reached(self, ref: str, baggage: Mapping[str, str]) -> Iterator[_Met]:
        operation = self._operations[ref]
        service = self._topology.services[self._places[ref][0]]
        seen = {**baggage, **service.baggage, **operation.baggage}
        found = _possible(operation.variants, baggage)
        if not found:
            yield _Met(ref, None, self._kept(ref, seen))
        for name in found:
            own = operation.variants[name].baggage
            yield _Met(ref, name, self._kept(ref, {**seen, **own}))

    def _kept(self, ref: str, baggage: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        deciding = self._deciding[ref]
        return frozenset(entry for entry in baggage.items() if entry[0] in deciding)

    def _decide(self) -> dict[str, frozenset[str]]:
        """Return which baggage of an operation's spans anybody at or below them asks for or shows.

        Calls that scenarios add may lead round, if never together.
        """
        everything = frozenset(_all_baggage(self._topology))
        deciding = {
            ref: everything if self._shows(ref) else frozenset[str]() for ref in self._operations
        }
        callers = defaultdict(set)
        for ref, callees in self._callees.items():
            for callee in callees:
                callers[callee].add(ref)
        waiting = set(self._operations)
        while waiting:
            ref = waiting.pop()
            asked = (each.when for each in self._operations[ref].variants.values())
            needed = deciding[ref].union(*asked)
            for caller in callers[ref]:
                if not needed <= deciding[caller]:
                    deciding[caller] |= needed
                    waiting.add(caller)
        return deciding

    def _shows(self, ref: str) -> bool:
        own = self._operations[ref].baggage_as_attributes
        service = self._topology.services[self._places[ref][0]]
        return bool(service.baggage_as_attributes if own is None else own)


def _possible(variants: Mapping[str, Variant], baggage: Mapping[str, str]) -> list[str]:
    """Return the names of those that may be chosen, now or when a scenario raises their weight."""
    named = {id(variant): name for name, variant in variants.items()}
    at_once = fitting((each for each in variants.values() if each.weight > 0), baggage)
    later = fitting((each for each in variants.values() if each.weight == 0), baggage)
    return [named[id(each)] for each in (*at_once, *later)]


def _all_baggage(topology: Topology) -> Iterator[str]:
    for service in topology.services.values():
        yield from service.baggage
        for operation in service.operations.values():
            yield from operation.baggage
            for variant in operation.variants.values():
                yield from variant.baggage


def _callees(topology: Topology, operations: Mapping[str, Operation]) -> dict[str, dict[str, None]]:
    """Return whom each operation ever calls."""
    found = {
        ref: dict.fromkeys(call.target for call in operation.calls)
        for ref, operation in operations.items()
    }
    for scenario in topology.scenarios:
        for key, override in scenario.override.items():
            if key in found:
                found[key] |= dict.fromkeys(call.target for call in override.add_calls)
    return found


def _roots(topology: Topology) -> list[str]:
    """Return where traces ever begin."""
    traffics = (scenario.traffic for scenario in topology.scenarios)
    return sorted({ref for each in (None, *traffics) for ref in linking.roots(topology, each)})
