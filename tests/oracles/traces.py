"""Judges collected spans by the topology that made them, without the engine.

Every trace must be whole, every span must carry what its operation says, and its children, times
and status must have come about by the language's rules (:mod:`tests.oracles.explanation`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.oracles import contents, pairs
from tests.oracles.explanation import explain
from tests.oracles.links import LinkJudge
from tests.oracles.rules import Active, Rules, active_at, roots_at, rules_of, top_roots
from tests.oracles.trees import Trace, Visit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from motel_locust.topology.model import Call, Topology
    from tests.integration.collected import CollectedSpan


@dataclass
class Match:
    """A trace compared with the rules of its arrival."""

    arrival_ns: int
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    edges: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: contents.Numbers = field(default_factory=contents.Numbers)


@dataclass
class Verdict:
    """What is wrong, and what the spans themselves say that a run's summary also counts."""

    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    actives: set[Active] = field(default_factory=set)
    """The sets of scenarios under which traces arrived."""
    edges: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refs of parent and child, and how often the one called the other."""
    links: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refs of linking and linked operation."""


def judge(
    topology: Topology,
    spans: Iterable[CollectedSpan],
    *,
    epoch_ns: int,
    labelled: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Verdict:
    """Return what is to be said of the spans of one process that ran *topology*.

    *epoch_ns* is the run's start; *labelled*, whether it had ``--label-scenarios``; *environment*,
    what it had as OTEL_RESOURCE_ATTRIBUTES.
    """
    judging = _Judging(topology, epoch_ns, labelled, environment or {})
    spans = list(spans)
    judging.heads(spans)
    by_trace: dict[bytes, list[CollectedSpan]] = defaultdict(list)
    for each in spans:
        by_trace[each.span.trace_id].append(each)
    for trace_id, members in by_trace.items():
        judging.trace(trace_id, members)
    judging.links()
    judging.verdict.faults += judging.numbers.faults()
    return judging.verdict


class _Judging:
    def __init__(
        self, topology: Topology, epoch_ns: int, labelled: bool, environment: Mapping[str, str]
    ) -> None:
        self.verdict = Verdict()
        self.numbers = contents.Numbers()
        self._topology, self._epoch_ns = topology, epoch_ns
        self._labelled, self._environment = labelled, environment
        self._servers = top_roots(topology)
        self._paired = topology.spans == "paired"
        self._rules: dict[Active, dict[tuple[str, str], Rules]] = {}
        self._traces: list[Trace] = []

    def trace(self, trace_id: bytes, members: list[CollectedSpan]) -> None:
        """Judge one trace."""
        problems = []
        roots = [each for each in members if not each.span.parent_span_id]
        ids = {each.span.span_id for each in members}
        if len(trace_id) != 16 or len(roots) != 1 or len(ids) != len(members):
            problems.append(f"{len(roots)} roots, {len(members)} spans with {len(ids)} ids")
        else:
            arrival_ns = roots[0].span.start_time_unix_nano - self._epoch_ns
            active = active_at(self._topology, arrival_ns)
            trace = self._grown(trace_id, members, active, arrival_ns)
            if isinstance(trace, str):
                problems.append(trace)
            else:
                match = self._match(trace, active)
                problems += match.problems
                if not match.problems:
                    self._accept(trace, match, active)
        self.verdict.faults += [f"trace {trace_id.hex()}: {each}" for each in problems]

    def _grown(
        self, trace_id: bytes, members: list[CollectedSpan], active: Active, arrival_ns: int
    ) -> Trace | str:
        """Return the tree that the spans are, or why they are none."""
        if active not in self._rules:
            self._rules[active] = rules_of(self._topology, active)
            if self._paired:
                self._rules[active] = pairs.to_sides(self._rules[active])
        visits: dict[bytes, Visit] = {}
        for each in members:
            span = each.span
            rules = self._rules[active].get((each.service, span.name))
            ref = rules.ref if rules else ""
            if self._paired and span.kind in pairs.SIDES:
                rules = pairs.unknown_side(self._topology, each.service, span.name)
                ref = pairs.edge_of(span, each.service)
            if rules is None:
                return f"no operation {span.name!r} in service {each.service!r}"
            variant = contents.variant(span)
            if variant is not None and variant not in rules.variants:
                return f"no variant {variant!r} of {rules.ref}"
            rules = rules.variants.get(variant, rules)
            visits[span.span_id] = Visit(
                ref,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code == Status.STATUS_CODE_ERROR,
                each,
                rules,
            )
        roots = []
        for visit in visits.values():
            parent_id = visit.span.parent_span_id
            if not parent_id:
                roots.append(visit)
                continue
            if parent_id not in visits:
                return f"{visit.ref} names a parent that never came"
            parent = visits[parent_id]
            if visit.start_ns < parent.start_ns:
                return f"{visit.ref} starts before its parent {parent.ref}"
            parent.children.append(visit)
            inside = visit.rules.service_name == parent.rules.service_name
            if inside and visit.collected.resource != parent.collected.resource:
                return f"{visit.ref} is served by another instance than {parent.ref}"
        return Trace(trace_id, roots[0], arrival_ns, list(visits.values()))

    def _match(self, trace: Trace, active: Active) -> Match:
        """Compare *trace* with the rules while *active* are."""
        match = Match(trace.arrival_ns)
        if trace.root.ref not in roots_at(self._topology, active):
            match.problems.append(f"begins at {trace.root.ref}")
        labels = None
        if self._labelled:
            labels = tuple(self._topology.scenarios[index].name for index in active)
        wanted_kinds = {trace.root.span.span_id: Span.SPAN_KIND_SERVER}
        pending: list[tuple[Visit, dict[str, str]]] = [(trace.root, {})]
        met = 0
        while pending:
            visit, inherited = pending.pop()
            met += 1
            rules = visit.rules
            baggage = {**inherited, **rules.service.baggage, **rules.operation.baggage}
            baggage |= rules.baggage
            faults = [
                *contents.attribute_faults(
                    visit.span,
                    rules,
                    scenarios=labels,
                    baggage=baggage,
                    arrival_ns=trace.arrival_ns,
                    numbers=match.numbers,
                ),
                *contents.event_faults(
                    visit.span, rules, arrival_ns=trace.arrival_ns, numbers=match.numbers
                ),
                *contents.status_faults(visit.span),
            ]
            if not visit.rejection and visit.ref == rules.ref:
                plain = self._rules[active][rules.service_name, rules.name]
                possible = plain.variants_for(inherited)
                if rules.variant not in possible:
                    faults.append(f"variant {rules.variant!r}, not of {possible}")
            kind = wanted_kinds.get(visit.span.span_id)
            if kind is not None and visit.span.kind != kind:
                faults.append(f"kind {visit.span.kind}, not {kind}")
            explain_visit = self._refused if visit.rejection else self._explained
            if isinstance(rules, pairs.SideRules):
                explain_visit = self._between
            faults += explain_visit(visit, match, wanted_kinds)
            match.problems += [f"{visit.ref}: {each}" for each in faults]
            pending += [(child, baggage) for child in visit.children]
        if met != len(trace.visits):
            match.problems.append("spans that are not below the root")
        match.counts.update(
            traces=1,
            spans=met,
            errors=sum(visit.failed for visit in trace.visits),
            failed_traces=trace.root.failed,
            queue_rejections=sum(each.rejection == "queue_full" for each in trace.visits),
            circuit_breaker_trips=sum(each.rejection == "circuit_open" for each in trace.visits),
        )
        return match

    def _refused(self, visit: Visit, _match: Match, _kinds: dict[bytes, int]) -> Iterator[str]:
        """Judge a span that stands for a rejected request."""
        operation = visit.rules.operation
        possible = {"circuit_open": operation.circuit_breaker, "queue_full": operation.queue_depth}
        if not possible.get(visit.rejection):
            yield f"rejected: {visit.rejection}"
        if visit.end_ns - visit.start_ns != contents.REJECTION_NS or not visit.failed:
            yield f"a rejection of {visit.end_ns - visit.start_ns} ns, failed: {visit.failed}"
        if visit.children or visit.span.links:
            yield "a rejection with children or links"

    def _explained(self, visit: Visit, match: Match, kinds: dict[bytes, int]) -> Iterator[str]:
        """Judge a span by its children, and note what the calls to them make of these."""
        found = explain(
            visit.rules, visit.start_ns, visit.end_ns, list(visit.children), failed=visit.failed
        )
        if found is None:
            children = [
                (each.ref, each.start_ns - visit.start_ns, each.end_ns - visit.start_ns)
                for each in visit.children
            ]
            yield f"{visit.end_ns - visit.start_ns} ns, failed: {visit.failed}, with {children}"
            return
        if not any(
            each.at(-contents.DEVIATIONS) <= found.own_ns <= each.at(contents.DEVIATIONS)
            for each in visit.rules.durations()
        ):
            yield f"own duration {found.own_ns} ns"
        number = 0
        for attempt in found.attempts:
            child, call = attempt.child, attempt.call
            number = number + 1 if attempt.retry else 0
            assert isinstance(child, Visit)
            awaited = not call.detached and not attempt.timed_out
            if awaited and child.end_ns > visit.end_ns:
                yield f"{child.ref} ends after it"
            kinds[child.span.span_id] = self._kind(call, child, visit)
            match.counts.update(timeouts=attempt.timed_out, retries=attempt.retry)
            if child.span.kind in pairs.SIDES and self._paired:
                active = active_at(self._topology, match.arrival_ns)
                rules = self._rules[active]
                child.rules = pairs.side(self._topology, rules, visit.rules, call, number)
            else:
                match.edges[visit.ref, child.ref] += 1

    def _between(self, visit: Visit, match: Match, kinds: dict[bytes, int]) -> Iterator[str]:
        """Judge a span that is the caller's side of a call, and note what it called."""
        rules = visit.rules
        assert isinstance(rules, pairs.SideRules)
        yield from pairs.side_faults(rules, visit, list(visit.children))
        for child in visit.children:
            message = pairs.is_message(rules.call)
            kinds[child.span.span_id] = (
                Span.SPAN_KIND_CONSUMER if message else Span.SPAN_KIND_SERVER
            )
            match.edges[rules.ref, child.ref] += 1
            match.counts.update(timeouts=pairs.timed_out(rules.call, visit, child))

    def _kind(self, call: Call, child: Visit, parent: Visit) -> int:
        if self._paired:
            if child.ref == child.rules.ref:
                return Span.SPAN_KIND_INTERNAL
            message = pairs.is_message(call)
            return Span.SPAN_KIND_PRODUCER if message else Span.SPAN_KIND_CLIENT
        if child.ref in self._servers:
            return Span.SPAN_KIND_SERVER
        if call.producer:
            return Span.SPAN_KIND_PRODUCER
        if call.detached:
            return Span.SPAN_KIND_CONSUMER
        same = child.rules.service_name == parent.rules.service_name
        return Span.SPAN_KIND_INTERNAL if same else Span.SPAN_KIND_CLIENT

    def _accept(self, trace: Trace, match: Match, active: Active) -> None:
        self._traces.append(trace)
        self.verdict.counts += match.counts
        self.verdict.edges += match.edges
        self.verdict.actives.add(active)
        self.numbers.merge(match.numbers)

    def heads(self, spans: Iterable[CollectedSpan]) -> None:
        """Judge resources and scopes, each one that occurs once."""
        different = {
            (each.resource.SerializeToString(), each.scope.SerializeToString()): each
            for each in spans
        }
        for each in different.values():
            service = self._topology.services[each.service]
            self.verdict.faults += [
                *contents.resource_faults(each.resource, service, self._environment),
                *contents.scope_faults(each.scope),
            ]

    def links(self) -> None:
        """Judge the links of all traces, once these are known."""
        judging = LinkJudge(self._traces, self.numbers)
        self.verdict.faults += judging.faults()
        self.verdict.links += judging.found
