"""From spans to a draft: what the figures say, in the words of the topology language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing import (
    cycles,
    deciding,
    durations,
    figures,
    generators,
    statistics,
    trees,
)
from motel_locust.commands.importing.calls import ALWAYS, ON_ERROR, Edges
from motel_locust.commands.importing.doubts import doubts
from motel_locust.commands.importing.draft import (
    Draft,
    DraftCall,
    DraftOperation,
    DraftService,
    Finding,
    Statement,
)
from motel_locust.commands.importing.faults import ImportFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from motel_locust.commands.importing.columns import Forest
    from motel_locust.commands.importing.deciding import Findings
    from motel_locust.commands.importing.draft import Condition
    from motel_locust.commands.importing.intake import Intake
    from motel_locust.commands.importing.samples import Arrivals
    from motel_locust.commands.importing.shelf import Shelf
    from motel_locust.commands.importing.statistics import EdgeFacts

MIXED_ROOT: Final = 0.05
CONDITIONS: Final[tuple[Condition, ...]] = ("", "on-error", "on-success")
"""By ALWAYS, ON_ERROR and ON_SUCCESS."""
POISSON: Final = 0.5
"""Half way between evenly spaced arrivals and those of a Poisson process."""
ROOT_CERTAIN: Final = 4.0
"""Standard errors by which a root's share must differ from an even one, to be written."""


def infer(
    shelf: Shelf, intake: Intake, *, min_traces: int, everything: bool, break_cycles: bool
) -> Draft:
    """Return the topology behind the spans on *shelf*.

    Args:
        shelf: holds all spans; is taken from.
        intake: knows the operations and attributes of these spans.
        min_traces: what rests on fewer samples is named in the findings.
        everything: attributes that vary become generators too.
        break_cycles: of calls that lead back to where they began, drop the rarest.

    Raises:
        ImportFault: if there is no trace, or a cycle that may not be broken.
    """
    growth = trees.Growth()
    size = len(intake.operations)
    codes: set[int] = set()

    def grown() -> Iterator[Forest]:
        for spans in shelf.take():
            forest = trees.grow(spans, growth)
            codes.update(trees.edge_codes(forest, size).tolist())
            yield forest

    grove = shelf.keep(grown())
    if not growth.traces:
        raise ImportFault("no trace has a beginning: every span is its own ancestor")
    edges = Edges(np.array(sorted(codes), np.int64), size)
    facts = statistics.measure_edges(grove, edges)
    names = [f"{each.service}.{each.name}" for each in intake.operations]
    dropped, broken = _break(edges, facts, names, allowed=break_cycles)
    found = deciding.decide(grove, edges, facts, dropped)
    draft = Draft(
        traces=growth.traces,
        spans=growth.spans,
        window_s=facts.arrivals.window_s,
        rate=_rate(facts.arrivals),
        poisson=_poisson(facts.arrivals),
        roots=_roots(facts, edges, dropped, names),
        findings=broken,
    )
    for service in intake.services.values():
        operations = {
            operation.name: _operation(operation.number, found, names, dropped)
            for operation in service.operations.values()
            if facts.spans[operation.number]
        }
        if operations:
            draft.services[service.name] = described = DraftService(operations=operations)
            draft.findings += generators.describe_service(service, described, everything=everything)
    draft.findings += doubts(found, growth, intake, names, min_traces=min_traces)
    return draft


def _break(
    edges: Edges, facts: EdgeFacts, names: list[str], *, allowed: bool
) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Return which edges to leave out, bool[edges], so that no calls lead back."""
    by_name = {
        (names[caller], names[target]): index
        for index, (caller, target) in enumerate(zip(edges.caller, edges.target, strict=True))
    }
    counts = {edge: int(facts.invocations[index]) for edge, index in by_name.items()}
    dropped, findings = np.zeros(edges.size, np.bool_), []
    while cycle := cycles.find(counts):
        told = cycles.told(cycle, counts)
        if not allowed:
            raise ImportFault(
                f"calls lead back to where they began: {told} (with the number of calls);"
                " no topology can have that, --break-cycles leaves out the rarest of these calls"
            )
        edge = cycles.lightest(cycle, counts)
        dropped[by_name[edge]] = True
        calls = counts.pop(edge)
        findings.append(
            Finding(
                " -> ".join(edge), f"left out, {figures.counted(calls, 'calls')}: it closed {told}"
            )
        )
    return dropped, findings


def _rate(arrivals: Arrivals) -> Statement:
    if not arrivals.per_s:
        return Statement("1/s", arrivals.traces, "traces", "a guess: they tell no rate")
    return Statement(
        figures.rate(arrivals.per_s),
        arrivals.traces,
        "traces",
        f"in {figures.decimal(arrivals.window_s)} s",
    )


def _poisson(arrivals: Arrivals) -> Statement | None:
    irregularity = arrivals.irregularity()
    if irregularity is None or irregularity < POISSON:
        return None
    margin = f"counts vary {figures.decimal(irregularity, 2)} times as much as in a Poisson process"
    return Statement("poisson", arrivals.traces, "traces", margin)


def _roots(
    facts: EdgeFacts, edges: Edges, dropped: NDArray[np.bool_], names: list[str]
) -> dict[str, Statement]:
    """Return the weights of the roots, empty if every uncalled operation is one equally often."""
    entries = facts.entries
    called = np.zeros(entries.size, np.bool_)
    called[edges.target[~dropped]] = True
    # A called operation that begins few traces is one whose callers were lost.
    roots = (entries > 0) & (~called | (entries >= MIXED_ROOT * facts.spans))
    if not roots.any():
        roots = entries > 0
    uncalled = ~called & (facts.spans > 0)
    counts = entries[roots]
    traces, even = int(counts.sum()), 1 / counts.size
    error = np.sqrt(traces * even * (1 - even))
    if (roots == uncalled).all() and (np.abs(counts - traces * even) <= ROOT_CERTAIN * error).all():
        return {}
    return {
        names[number]: Statement(
            str(entries[number]),
            int(entries[number]),
            "traces",
            figures.between(int(entries[number]), traces),
        )
        for number in np.flatnonzero(roots)
    }


def _operation(
    number: int, found: Findings, names: list[str], dropped: NDArray[np.bool_]
) -> DraftOperation:
    edges, calls, votes = found.edges, found.calls, found.votes
    own = [int(edge) for edge in np.flatnonzero((edges.caller == number) & ~dropped)]
    sequential = bool(calls.sequential[number])
    order = {
        edge: (_delay(found, edge) if sequential else 0, names[edges.target[edge]]) for edge in own
    }
    cast = int(votes.sequential[number] + votes.parallel[number])
    return DraftOperation(
        duration=durations.duration(found.work.own, found.work.spectra, number),
        error_rate=_error_rate(number, found),
        style=Statement(
            "sequential",
            cast,
            "spans",
            f"{votes.sequential[number]:,} of them so",
        )
        if sequential
        else None,
        calls=[_call(edge, found, names) for edge in sorted(own, key=order.__getitem__)],
    )


def _delay(found: Findings, edge: int) -> float:
    return found.facts.delay.quantiles(edge, 0.5)[0]


def _error_rate(number: int, found: Findings) -> Statement | None:
    tried, own = int(found.errors.tried[number]), int(found.errors.own[number])
    if not own:
        return None
    return Statement(figures.percentage(own / tried), tried, "spans", figures.between(own, tried))


def _call(edge: int, found: Findings, names: list[str]) -> DraftCall:
    facts, calls, errors = found.facts, found.calls, found.errors
    caller = int(found.edges.caller[edge])
    condition = int(calls.condition[edge])
    if condition == ALWAYS:
        hits, tries = int(facts.invocations[edge]), int(facts.spans[caller])
    elif condition == ON_ERROR:
        hits, tries = int(errors.called_of_own[edge]), int(errors.own[caller])
    else:
        hits = int(errors.called_of_good[edge])
        tries = int(errors.tried[caller] - errors.own[caller])
    share = hits / tries if tries else 1.0
    probability = figures.decimal(share)
    detached, retries = bool(calls.detached[edge]), int(calls.retries[edge])
    given_up = int(found.waits.waited.counts[edge] + facts.overtaken[edge])
    timeout_ns = 0 if detached else int(calls.timeout_ns[edge])
    return DraftCall(
        target=names[found.edges.target[edge]],
        share=Statement(probability, tries, "spans", figures.between(hits, tries) if tries else ""),
        count=1 if retries else max(1, round(facts.spans_of[edge] / facts.invocations[edge])),
        probability=probability if share < 1 and probability != "1" else "",
        condition=CONDITIONS[condition],
        detached=detached,
        producer=bool(found.producer[edge]),
        timeout=Statement(figures.duration(timeout_ns), given_up, "calls", "given up")
        if timeout_ns
        else None,
        retries=Statement(str(retries), int(facts.repeated[edge]), "calls", "tried again")
        if retries
        else None,
        backoff=Statement(
            figures.duration(found.backoff_ns[edge]), int(facts.gap.counts[edge]), "gaps"
        )
        if retries and found.backoff_ns[edge]
        else None,
    )
