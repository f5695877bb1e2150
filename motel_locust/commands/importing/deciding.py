"""What kind of call an edge is, from what the passes counted. Pure: figures in, decisions out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing import statistics
from motel_locust.commands.importing.calls import ALWAYS, ON_ERROR, ON_SUCCESS, Calls

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.commands.importing.calls import Edges
    from motel_locust.commands.importing.samples import Samples
    from motel_locust.commands.importing.shelf import Grove
    from motel_locust.commands.importing.statistics import (
        EdgeFacts,
        Errors,
        Votes,
        Waits,
        Work,
    )

ASYNC_OUTLIVES: Final = 0.5
RETRY_MIN: Final = 20
RETRY_MATCH: Final = 0.95
BACKOFF_LEAST_NS: Final = 1000
OVERTAKEN_MIN: Final = 5
TIMEOUT_MIN: Final = 20
TIMEOUT_HARMS: Final = 0.95
TIGHT: Final = 0.1
"""Waits between the 10th and the 90th percentile differ by no more of the median: a timeout."""
CONDITION_MIN: Final = 30
CONDITION_LEAK: Final = 0.02
CERTAIN: Final = 4.0
"""Standard errors by which two shares must differ: a rare call is else missed by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything that the passes found, and what it was decided to mean."""

    edges: Edges
    facts: EdgeFacts
    calls: Calls
    producer: NDArray[np.bool_]
    backoff_ns: NDArray[np.int64]
    votes: Votes
    waits: Waits
    work: Work
    errors: Errors


def decide(grove: Grove, edges: Edges, facts: EdgeFacts, dropped: NDArray[np.bool_]) -> Findings:
    """Walk *grove* pass by pass and decide after each; *dropped* edges are not waited for."""
    detached = dropped | _detached(facts)
    retries, step_ns = _retries(facts, ~detached)
    gap_ns = np.array([_median(facts.gap, edge) if retries[edge] else 0 for edge in _all(edges)])
    backoff_ns = gap_ns.astype(np.int64)
    calls = Calls(
        detached=detached,
        retries=retries,
        timeout_ns=np.where(step_ns > 0, np.maximum(step_ns - backoff_ns, 0), 0),
        condition=np.full(edges.size, ALWAYS, np.int8),
        sequential=np.zeros(edges.operations, np.bool_),
    )
    votes = statistics.vote_styles(grove, edges, calls)
    calls = replace(calls, sequential=votes.sequential > votes.parallel)
    waits = statistics.measure_waits(grove, edges, calls)
    timeout_ns = np.array([_timeout(waits, edge) for edge in _all(edges)], np.int64)
    # What was waited for the last attempt is the timeout itself; steps have the backoff in them.
    both = (timeout_ns > 0) & (step_ns > 0)
    backoff_ns = np.where(both, np.maximum(step_ns - timeout_ns, 0), backoff_ns)
    calls = replace(calls, timeout_ns=np.where(timeout_ns > 0, timeout_ns, calls.timeout_ns))
    work = statistics.measure_work(grove, edges, calls)
    calls = replace(calls, condition=_conditions(edges, facts, work))
    errors = statistics.measure_errors(grove, edges, calls)
    return Findings(
        edges=edges,
        facts=facts,
        calls=calls,
        producer=~detached & (2 * facts.producers >= facts.spans_of),
        backoff_ns=np.where(backoff_ns < BACKOFF_LEAST_NS, 0, backoff_ns),
        votes=votes,
        waits=waits,
        work=work,
        errors=errors,
    )


def _all(edges: Edges) -> range:
    return range(edges.size)


def _detached(facts: EdgeFacts) -> NDArray[np.bool_]:
    """Return the edges whose callers do not wait: by kind, by reference, or by who ends last."""
    spans = facts.spans_of
    told = (2 * facts.consumers >= spans) | (2 * facts.follows >= spans)
    found: NDArray[np.bool_] = told | (facts.outliving >= ASYNC_OUTLIVES * spans)
    return found


def _median(samples: Samples, group: int) -> float:
    return samples.quantiles(group, 0.5)[0] if samples.counts[group] else 0.0


def _tight(samples: Samples, group: int, least: int) -> float:
    """Return the median of *group* if its values are close together and *least* in number; or 0."""
    if samples.counts[group] < least:
        return 0.0
    low, median, high = samples.quantiles(group, 0.1, 0.5, 0.9)
    return median if high - low <= TIGHT * median else 0.0


def _retries(
    facts: EdgeFacts, waited: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each edge's retries, and from start to start of attempts that were given up.

    int64[edges] both. An attempt that is given up did not fail itself; but then the next begins
    always equally long after it, and sometimes before it has ended.
    """
    retries, step_ns = np.zeros_like(facts.most), np.zeros_like(facts.most)
    for edge in np.flatnonzero(waited & (facts.repeated >= RETRY_MIN)).tolist():
        if facts.retried[edge] >= RETRY_MATCH * facts.repeated[edge]:
            retries[edge] = facts.most[edge] - 1
            continue
        step = _tight(facts.step, edge, OVERTAKEN_MIN)
        if facts.overtaken[edge] >= OVERTAKEN_MIN and step > statistics.TOLERANCE_NS:
            retries[edge], step_ns[edge] = facts.most[edge] - 1, round(step)
    return retries, step_ns


def _timeout(waits: Waits, edge: int) -> int:
    seen = waits.waited.counts[edge]
    if seen < TIMEOUT_MIN or waits.harmed[edge] < TIMEOUT_HARMS * seen:
        return 0
    return round(_tight(waits.waited, edge, TIMEOUT_MIN))


def _conditions(edges: Edges, facts: EdgeFacts, work: Work) -> NDArray[np.int8]:
    bad, good = work.bad[edges.caller], work.good[edges.caller]
    when_bad = work.called_when_bad / np.maximum(bad, 1)
    when_good = work.called_when_good / np.maximum(good, 1)
    both = (work.called_when_bad + work.called_when_good) / np.maximum(bad + good, 1)
    error = np.sqrt(both * (1 - both) * (1 / np.maximum(bad, 1) + 1 / np.maximum(good, 1)))
    enough = (bad >= CONDITION_MIN) & (good >= CONDITION_MIN) & (facts.invocations > 0)
    enough &= np.abs(when_bad - when_good) > CERTAIN * error
    condition = np.full(edges.size, ALWAYS, np.int8)
    condition[enough & (when_good <= CONDITION_LEAK) & (when_bad > CONDITION_LEAK)] = ON_ERROR
    condition[enough & (when_bad <= CONDITION_LEAK) & (when_good > CONDITION_LEAK)] = ON_SUCCESS
    return condition
