"""What the trees tell, operation by operation and call by call.

Every pass walks all forests once and needs what was concluded from the passes before it. Shape
words are those of :mod:`motel_locust.commands.importing.calls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing.calls import ALWAYS, ON_SUCCESS, groups, units
from motel_locust.commands.importing.samples import Arrivals, Moments, Samples
from motel_locust.commands.importing.spectra import Spectra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.commands.importing.calls import Calls, Edges, Groups
    from motel_locust.commands.importing.columns import Column, Forest
    from motel_locust.commands.importing.shelf import Grove

TOLERANCE_NS: Final = 1_000_000
"""How far clocks may disagree about what happens at once."""
TOLERANCE_SHARE: Final = 0.1
"""And at most this share of the spans compared: else two short calls in a row look parallel."""

PRODUCER: Final = 4
CONSUMER: Final = 5
"""``Span.SpanKind``."""


class EdgeFacts:
    """The first pass.

    spans, failed, entries  int64[operations]  all spans, failed ones, those that began a trace
    invocations, spans_of   int64[edges]       callers that called at least once; calls in all
    most                    int64[edges]       calls of one caller
    outliving               int64[edges]       spans that ended well after their caller
    consumers, producers, follows  int64[edges]  spans of that kind; FOLLOWS_FROM
    repeated, retried       int64[edges]       callers with several calls; those where every call
                                               but the last failed, and none overlapped
    overtaken               int64[edges]       calls still going on when the next of them began
    forgiven                int64[edges]       callers that succeeded though the last call failed
    delay                   from the caller's start to the first call
    gap                     from a failed call's end to the next
    step                    from the start of any other call to the start of the next
    """

    def __init__(self, edges: Edges) -> None:
        self.spans, self.failed, self.entries = _zeros(3, edges.operations)
        self.invocations, self.spans_of, self.most = _zeros(3, edges.size)
        self.outliving, self.consumers, self.producers, self.follows = _zeros(4, edges.size)
        self.repeated, self.retried, self.overtaken, self.forgiven = _zeros(4, edges.size)
        self.delay, self.gap, self.step = (Samples(edges.size) for _ in range(3))
        self.arrivals = Arrivals()


def _zeros(columns: int, size: int) -> NDArray[np.int64]:
    return np.zeros((columns, size), np.int64)


def measure_edges(grove: Grove, edges: Edges) -> EdgeFacts:
    """Return what every operation and every edge shows by itself."""
    facts = EdgeFacts(edges)
    for forest in grove:
        _count_operations(forest, facts)
        _count_edges(forest, groups(forest, edges), facts)
    return facts


def _count_operations(forest: Forest, facts: EdgeFacts) -> None:
    operation, size = forest["operation"], facts.spans.size
    facts.spans[:] += np.bincount(operation, minlength=size)
    facts.failed[:] += np.bincount(operation[forest["failed"]], minlength=size)
    facts.entries[:] += np.bincount(operation[forest["entry"]], minlength=size)
    facts.arrivals.add(forest["start_ns"][forest["entry"]])


def _count_edges(forest: Forest, found: Groups, facts: EdgeFacts) -> None:
    size = facts.invocations.size
    child, edge = found.child, found.edge[found.group]
    start, end = forest["start_ns"][child], forest["end_ns"][child]
    caller = forest["parent"][child]
    failed, kind = forest["failed"][child], forest["kind"][child]
    sizes = found.sizes
    facts.invocations[:] += np.bincount(found.edge, minlength=size)
    facts.spans_of[:] += np.bincount(edge, minlength=size)
    np.maximum.at(facts.most, found.edge, sizes)
    outliving = end > forest["end_ns"][caller] + TOLERANCE_NS
    for column, chosen in (
        (facts.outliving, outliving),
        (facts.consumers, kind == CONSUMER),
        (facts.producers, kind == PRODUCER),
        (facts.follows, forest["detached"][child]),
    ):
        column += np.bincount(edge[chosen], minlength=size)
    facts.delay.add(found.edge, (start - forest["start_ns"][caller])[found.first])
    last = np.append(found.first[1:], child.size) - 1 if child.size else found.first
    forgiven = failed[last] & ~forest["failed"][caller[last]]
    facts.forgiven[:] += np.bincount(found.edge[forgiven], minlength=size)
    # One span after another of the same group.
    here = np.flatnonzero(found.group[1:] == found.group[:-1])
    overtaken = start[here + 1] < end[here]
    in_vain = failed[here] & ~overtaken
    doubtful = np.bincount(found.group[here[~in_vain]], minlength=sizes.size)
    several = sizes > 1
    facts.repeated[:] += np.bincount(found.edge[several], minlength=size)
    facts.retried[:] += np.bincount(found.edge[several & (doubtful == 0)], minlength=size)
    facts.overtaken[:] += np.bincount(edge[here[overtaken]], minlength=size)
    facts.gap.add(edge[here[in_vain]], (start[here + 1] - end[here])[in_vain])
    facts.step.add(edge[here[~in_vain]], (start[here + 1] - start[here])[~in_vain])


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """The second pass: callers whose calls were parallel or in a row, int64[operations] each."""

    parallel: NDArray[np.int64]
    sequential: NDArray[np.int64]


def vote_styles(grove: Grove, edges: Edges, calls: Calls) -> Votes:
    """Return the votes of all spans that made two calls or more."""
    votes = Votes(*_zeros(2, edges.operations))
    for forest in grove:
        found = units(forest, groups(forest, edges), calls)
        if not found.caller.size:
            continue
        first = found.first
        sizes = np.diff(first, append=found.caller.size)
        shortest = np.minimum.reduceat(found.end_ns - found.start_ns, first)
        tolerance = np.minimum(TOLERANCE_NS, TOLERANCE_SHARE * shortest)
        latest = np.maximum.reduceat(found.start_ns, first)
        parallel = latest - found.start_ns[first] <= tolerance
        each = np.repeat(np.arange(first.size), sizes)
        early = np.zeros(found.caller.size, np.bool_)
        early[1:] = (each[1:] == each[:-1]) & (
            found.start_ns[1:] < found.end_ns[:-1] - tolerance[each[1:]]
        )
        overlaps = np.bincount(each[early], minlength=first.size)
        sequential = ~parallel & (overlaps == 0)
        operation = forest["operation"][found.caller[first]]
        votes.sequential[:] += np.bincount(
            operation[(sizes > 1) & sequential], minlength=edges.operations
        )
        votes.parallel[:] += np.bincount(
            operation[(sizes > 1) & ~sequential], minlength=edges.operations
        )
    return votes


@dataclass(frozen=True, slots=True, eq=False)
class Waits:
    """The third pass: calls that went on after their caller had gone on, per edge.

    waited   how long the caller had waited
    harmed   int64[edges]  callers of these that failed
    """

    waited: Samples
    harmed: NDArray[np.int64]


def measure_waits(grove: Grove, edges: Edges, calls: Calls) -> Waits:
    """Return the waits that callers gave up, by the generator's own order of things.

    A caller works as long after its last call as before its first one, so the wait for the last
    ended that much before its own end; any other ended when the next call of a row began.
    """
    waits = Waits(Samples(edges.size), np.zeros(edges.size, np.int64))
    for forest in grove:
        grouped = groups(forest, edges)
        found = units(forest, grouped, calls)
        if not found.caller.size:
            continue
        begin = np.full(forest.size, np.iinfo(np.int64).max)
        np.minimum.at(begin, forest["parent"][grouped.child], forest["start_ns"][grouped.child])
        before = begin[found.caller] - forest["start_ns"][found.caller]
        caller_end = forest["end_ns"][found.caller]
        start, end = forest["start_ns"][found.last], forest["end_ns"][found.last]
        tolerance = np.minimum(TOLERANCE_NS, TOLERANCE_SHARE * (end - start))
        follows = np.zeros(found.caller.size, np.bool_)
        follows[:-1] = found.caller[1:] == found.caller[:-1]
        follows &= calls.sequential[forest["operation"][found.caller]]
        following = np.append(found.start_ns[1:], 0)
        went_on = np.where(follows, following, caller_end - before)
        seen = end > np.where(follows, following, caller_end) + tolerance
        seen &= went_on > start
        waits.waited.add(found.edge[seen], (went_on - start)[seen])
        harmed = seen & forest["failed"][found.caller]
        waits.harmed[:] += np.bincount(found.edge[harmed], minlength=edges.size)
    return waits


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """The fourth pass: own time, and who is called when the caller fails.

    own, spectra                  Moments and Spectra of each operation's own time, ns
    bad, good                     int64[operations]  spans whose calls all succeeded in the end
    called_when_bad, called_when_good  int64[edges]  of these, those that made the call
    """

    own: Moments
    spectra: Spectra
    bad: NDArray[np.int64]
    good: NDArray[np.int64]
    called_when_bad: NDArray[np.int64]
    called_when_good: NDArray[np.int64]


def measure_work(grove: Grove, edges: Edges, calls: Calls) -> Work:
    """Return how long operations work themselves: their spans less the calls they waited for."""
    work = Work(
        Moments(edges.operations),
        Spectra(edges.operations),
        *_zeros(2, edges.operations),
        *_zeros(2, edges.size),
    )
    for forest in grove:
        grouped = groups(forest, edges)
        found = units(forest, grouped, calls)
        operation = forest["operation"]
        path = np.zeros(forest.size, np.int64)
        harmed = np.zeros(forest.size, np.bool_)
        if found.caller.size:
            first, lasted = found.first, found.end_ns - found.start_ns
            caller = found.caller[first]
            path[caller] = np.where(
                calls.sequential[operation[caller]],
                np.add.reduceat(lasted, first),
                np.maximum.reduceat(lasted, first),
            )
            harmed[found.caller[found.failed]] = True
        own = np.maximum(forest["end_ns"] - forest["start_ns"] - path, 0)
        work.own.add(operation, own)
        work.spectra.add(operation, own)
        bad, good = forest["failed"] & ~harmed, ~forest["failed"] & ~harmed
        _count(work.bad, operation[bad])
        _count(work.good, operation[good])
        caller = forest["parent"][grouped.child[grouped.first]]
        _count(work.called_when_bad, grouped.edge[bad[caller]])
        _count(work.called_when_good, grouped.edge[good[caller]])
    return work


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """The last pass: errors of an operation's own.

    tried, own                int64[operations]  spans of which it is known whether they failed by
                                                 themselves, and those that did
    called_of_own, called_of_good  int64[edges]  calls of the one and of the others
    """

    tried: NDArray[np.int64]
    own: NDArray[np.int64]
    called_of_own: NDArray[np.int64]
    called_of_good: NDArray[np.int64]


def measure_errors(grove: Grove, edges: Edges, calls: Calls) -> Errors:
    """Return how often operations fail though nothing that they always call did.

    Whether a span failed by itself is not seen where a call of it failed. Calls with a condition
    are no such case: they are made because of the own error, or only without one.
    """
    errors = Errors(
        *_zeros(2, edges.operations),
        *_zeros(2, edges.size),
    )
    for forest in grove:
        grouped = groups(forest, edges)
        found = units(forest, grouped, calls)
        harmed = np.zeros(forest.size, np.bool_)
        harmed[found.caller[found.failed & (calls.condition[found.edge] == ALWAYS)]] = True
        caller = forest["parent"][grouped.child[grouped.first]]
        well = np.zeros(forest.size, np.bool_)
        well[caller[calls.condition[grouped.edge] == ON_SUCCESS]] = True
        own = forest["failed"] & ~well & ~harmed
        good = ~harmed & ~own
        _count(errors.tried, forest["operation"][~harmed])
        _count(errors.own, forest["operation"][own])
        _count(errors.called_of_own, grouped.edge[own[caller]])
        _count(errors.called_of_good, grouped.edge[good[caller]])
    return errors


def _count(column: NDArray[np.int64], index: Column) -> None:
    column += np.bincount(index, minlength=column.size)
