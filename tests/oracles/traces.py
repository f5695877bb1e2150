"""Judges collected spans by the topology that made them, without the engine.

Every trace must be whole, every span must carry what its operation says, and its children, times
and status must have come about by the language's rules (:mod:`tests.oracles.explanation`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.oracles import contents
from tests.oracles.explanation import Child, explain
from tests.oracles.rules import Active, Rules, active_at, roots_at, rules_of, top_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from motel_locust.topology.model import Call, Topology
    from tests.integration.collected import CollectedSpan

EPOCH_ERROR_NS = 1_000
"""A summary has the epoch in seconds: as a float it is off by up to 256 ns."""


@dataclass
class Visit(Child):
    """A collected span with its place in the trace."""

    collected: CollectedSpan
    rules: Rules
    children: list[Visit] = field(default_factory=list)

    @property
    def span(self) -> Span:
        return self.collected.span

    @property
    def rejection(self) -> str:
        return contents.rejection(self.span)


@dataclass
class Trace:
    """A whole trace."""

    trace_id: bytes
    root: Visit
    arrival_ns: int
    visits: list[Visit]


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
        self._rules: dict[Active, dict[tuple[str, str], Rules]] = {}
        self._traces: list[Trace] = []
        self._fine: set[bytes] = set()
        """Resources and scopes that were looked at."""

    def trace(self, trace_id: bytes, members: list[CollectedSpan]) -> None:
        """Judge one trace; at an edge of a scenario, on either side of it."""
        told = self._fault_teller(trace_id)
        roots = [each for each in members if not each.span.parent_span_id]
        ids = {each.span.span_id for each in members}
        if len(trace_id) != 16 or len(roots) != 1 or len(ids) != len(members):
            told(f"{len(roots)} roots, {len(members)} spans with {len(ids)} ids")
            return
        arrival_ns = roots[0].span.start_time_unix_nano - self._epoch_ns
        sides = {
            active_at(self._topology, arrival_ns + error_ns)
            for error_ns in (-EPOCH_ERROR_NS, EPOCH_ERROR_NS)
        }
        for active in sides:
            trace = self._grown(trace_id, members, roots[0], active, arrival_ns)
            if isinstance(trace, str):
                problems = [trace]
            elif not (problems := self._matched(trace, active)):
                self._accept(trace, active)
                return
        for problem in problems:
            told(problem)

    def _fault_teller(self, trace_id: bytes) -> Callable[[str], None]:
        return lambda fault: self.verdict.faults.append(f"trace {trace_id.hex()}: {fault}")

    def _grown(
        self,
        trace_id: bytes,
        members: list[CollectedSpan],
        root: CollectedSpan,
        active: Active,
        arrival_ns: int,
    ) -> Trace | str:
        """Return the tree, or why the spans are none."""
        if active not in self._rules:
            self._rules[active] = rules_of(self._topology, active)
        visits: dict[bytes, Visit] = {}
        for each in members:
            span = each.span
            rules = self._rules[active].get((each.service, span.name))
            if rules is None:
                return f"no operation {span.name!r} in service {each.service!r}"
            visits[span.span_id] = Visit(
                rules.ref,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code == Status.STATUS_CODE_ERROR,
                each,
                rules,
            )
        for visit in visits.values():
            parent_id = visit.span.parent_span_id
            if not parent_id:
                continue
            if parent_id not in visits:
                return f"{visit.ref} names a parent that never came"
            parent = visits[parent_id]
            if visit.start_ns < parent.start_ns:
                return f"{visit.ref} starts before its parent {parent.ref}"
            parent.children.append(visit)
        return Trace(trace_id, visits[root.span.span_id], arrival_ns, list(visits.values()))

    def _matched(self, trace: Trace, active: Active) -> list[str]:
        """Return what is wrong with a *trace* that arrived while *active* were."""
        problems = []
        if trace.root.ref not in roots_at(self._topology, active):
            problems.append(f"begins at {trace.root.ref}")
        labels = tuple(self._topology.scenarios[index].name for index in active)
        pending: list[tuple[Visit, Call | None, dict[str, str]]] = [(trace.root, None, {})]
        met = 0
        while pending:
            visit, call, baggage = pending.pop()
            met += 1
            own = {**baggage, **visit.rules.service.baggage, **visit.rules.operation.baggage}
            told = [
                *self._carried(visit, trace, labels if self._labelled else None, own),
                *self._kind(visit, call, trace.root),
            ]
            attempts = self._history(visit)
            if isinstance(attempts, str):
                told.append(attempts)
            else:
                for attempt in attempts:
                    assert isinstance(attempt.child, Visit)
                    pending.append((attempt.child, attempt.call, own))
            problems += [f"{visit.ref}: {each}" for each in told]
        if not problems and met != len(trace.visits):
            problems.append("spans apart from the tree")
        return problems

    def _carried(
        self, visit: Visit, trace: Trace, labels: tuple[str, ...] | None, baggage: dict[str, str]
    ) -> Iterator[str]:
        span, rules, arrival_ns = visit.span, visit.rules, trace.arrival_ns
        key = visit.collected.resource.SerializeToString()
        key += visit.collected.scope.SerializeToString()
        if key not in self._fine:
            self._fine.add(key)
            resource = visit.collected.resource
            yield from contents.resource_faults(resource, rules.service, self._environment)
            yield from contents.scope_faults(visit.collected.scope)
        # Numbers are kept only once a side of the edge is chosen.
        numbers = contents.Numbers()
        yield from contents.attribute_faults(
            span,
            rules,
            scenarios=labels,
            baggage=baggage,
            arrival_ns=arrival_ns,
            numbers=numbers,
        )
        yield from contents.event_faults(span, rules, arrival_ns=arrival_ns, numbers=numbers)
        yield from contents.status_faults(span)

    def _kind(self, visit: Visit, call: Call | None, root: Visit) -> Iterator[str]:
        if call is None or visit.ref in self._servers:
            wanted = Span.SPAN_KIND_SERVER
        elif call.producer:
            wanted = Span.SPAN_KIND_PRODUCER
        elif call.detached:
            wanted = Span.SPAN_KIND_CONSUMER
        else:
            wanted = Span.SPAN_KIND_CLIENT
        if visit.span.kind != wanted:
            yield f"kind {visit.span.kind}, not {wanted}"
