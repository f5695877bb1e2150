"""The walk: one pass over a plan's trees for all traces of a batch at once.

The visits that hold a given trace come in that trace's own depth-first order, and each holds it
once. So an array with one element per trace, read and written by every visit, sees each trace's
history as a walk of that trace alone would; the counters, the span limit and the links rest on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from motel_locust.engine import draws, state
from motel_locust.engine.links import LinkTable
from motel_locust.engine.shapes import CIRCUIT_OPEN, QUEUE_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.plan import OperationPlan, Plan, Site
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.state import Tick

# Traces of the batch: all of them, or some by their index. The first costs no gather.
Rows: TypeAlias = "NDArray[np.int64] | slice"
ALL: Final = slice(None)

REJECTION_NS: Final = 1_000_000
REASONS: Final = {state.CIRCUIT_OPEN: CIRCUIT_OPEN, state.QUEUE_FULL: QUEUE_FULL}


class Requests(NamedTuple):
    """What arrives at one site: the traces, when each request starts, and the calling spans."""

    rows: Rows
    start_ns: NDArray[np.int64]
    parent_id: NDArray[np.uint64] | None

    def some(self, these: NDArray[np.int64]) -> Requests:
        """Return the requests at the positions *these*."""
        parents = None if self.parent_id is None else self.parent_id[these]
        return Requests(_take(self.rows, these), self.start_ns[these], parents)


class Outcome(NamedTuple):
    """When requests ended, and which failed, as the caller sees it."""

    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]


class Visit(NamedTuple):
    """The spans of one site, one per request.

    ``local`` holds, per link of the operation, the latest span in the same trace, 0 for none.
    """

    site: Site
    requests: Requests
    span_id: NDArray[np.uint64]
    outcome: Outcome
    local: tuple[NDArray[np.uint64], ...]


class Walk:
    """One batch of traces on its way through a plan.

    number      int64[traces]    trace numbers, in order of arrival
    trace_key   uint64[traces]
    arrival_ns  int64[traces]    Unix time
    ticks       the guarded operations' state in this tick; they take time since ``origin_ns``
    pause       called after every visit, so that a long walk can let others have a turn

    What it leaves: ``visits`` by shape, and per trace ``failed``, ``timeouts``, ``retries``,
    ``spans`` (None where no trace can reach ``limit``) and ``cut``.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        number: NDArray[np.int64],
        trace_key: NDArray[np.uint64],
        arrival_ns: NDArray[np.int64],
        limit: int,
        ticks: Mapping[str, Tick],
        origin_ns: int,
        pause: Callable[[], object],
    ) -> None:
        traces = number.size
        self.plan, self.number, self.trace_key, self.arrival_ns = (
            plan,
            number,
            trace_key,
            arrival_ns,
        )
        self.visits: dict[ShapePlan, list[Visit]] = {}
        self.failed = np.zeros(traces, np.bool_)
        self.timeouts = np.zeros(traces, np.int64)
        self.retries = np.zeros(traces, np.int64)
        self.cut = np.zeros(traces, np.int64)
        self.spans = np.zeros(traces, np.int64) if plan.largest >= limit else None
        self.links = LinkTable(plan.linked, traces)
        self._limit, self._ticks, self._origin_ns, self._pause = limit, ticks, origin_ns, pause
        self._walk_roots()

    def _walk_roots(self) -> None:
        roots = self.plan.roots
        everything = Requests(ALL, self.arrival_ns, None)
        if len(roots) == 1:
            self.failed = self._visit(roots[0], everything).failed
            return
        words = draws.draw_words(self.trace_key, self.plan.root_purpose)
        choice = draws.draw_choices(words, self.plan.root_bounds)
        for index, site in enumerate(roots):
            these = (choice == index).nonzero()[0]
            if these.size:
                self.failed[these] = self._visit(site, everything.some(these)).failed

    def _visit(self, site: Site, requests: Requests) -> Outcome:
        """Make the spans of *site*, one for each of *requests*.

        Where a trace is full there is no span: it ends, well, when it starts.
        """
        if self.spans is None:
            return self._request(site, requests)
        fits = self.spans[requests.rows] < self._limit
        if fits.all():
            self.spans[requests.rows] += 1
            return self._request(site, requests)
        self.cut[_take(requests.rows, (~fits).nonzero()[0])] += 1
        outcome = Outcome(requests.start_ns.copy(), np.zeros(fits.size, np.bool_))
        these = fits.nonzero()[0]
        if these.size:
            fitting = requests.some(these)
            self.spans[fitting.rows] += 1
            outcome.end_ns[these], outcome.failed[these] = self._request(site, fitting)
        return outcome

    def _request(self, site: Site, requests: Requests) -> Outcome:
        """Ask the operation's breaker and queue, if it has any."""
        span_id = draws.draw_words(self.trace_key[requests.rows], site.key)
        if not site.operation.guarded:
            return self._span(site, requests, span_id)
        tick = self._ticks[site.operation.ref]
        verdict = tick.admit(requests.start_ns - self._origin_ns)
        if verdict is None:
            return self._admitted(site, requests, span_id)
        outcome = Outcome(requests.start_ns + REJECTION_NS, np.ones(verdict.size, np.bool_))
        for code in np.unique(verdict).tolist():
            these = (verdict == code).nonzero()[0]
            some = requests.some(these)
            if code == state.ADMITTED:
                admitted = self._admitted(site, some, span_id[these])
                outcome.end_ns[these], outcome.failed[these] = admitted
            else:
                rejected = Outcome(outcome.end_ns[these], outcome.failed[these])
                visit = Visit(site, some, span_id[these], rejected, ())
                self.visits.setdefault(site.rejection(REASONS[code]), []).append(visit)
        return outcome

    def _admitted(self, site: Site, requests: Requests, span_id: NDArray[np.uint64]) -> Outcome:
        outcome = self._span(site, requests, span_id)
        origin_ns = self._origin_ns
        self._ticks[site.operation.ref].record(
            requests.start_ns - origin_ns,
            outcome.end_ns - origin_ns,
            outcome.failed,
            self.number[requests.rows],
        )
        return outcome

    def _span(self, site: Site, requests: Requests, span_id: NDArray[np.uint64]) -> Outcome:
        operation = site.operation
        local = self.links.local(operation.linked, requests.rows)
        if operation.ref in self.plan.linked:
            self.links.start(operation.ref, requests.rows, span_id)
        keys = operation.keys
        words = draws.draw_words(keys, span_id) if keys.size else keys
        own_ns, broken = self._own(operation, words, span_id.size)
        cursor = begin = requests.start_ns + (own_ns >> 1)
        failed = broken
        for index in range(len(operation.calls)):
            calling = Requests(requests.rows, begin if operation.parallel else cursor, span_id)
            outcome = self._call(site, index, calling, words, broken)
            if outcome is not None:
                cursor = np.maximum(cursor, outcome.end_ns)
                failed = failed | outcome.failed
        outcome = Outcome(cursor + (own_ns - (own_ns >> 1)), failed)
        visit = Visit(site, requests, span_id, outcome, local)
        self.visits.setdefault(site.shape, []).append(visit)
        self._pause()
        return outcome

    def _own(
        self, operation: OperationPlan, words: NDArray[np.uint64], rows: int
    ) -> tuple[NDArray[np.int64] | np.int64, NDArray[np.bool_]]:
        """Return the operation's own time, in ns, and which rows break on their own."""
        mean_ns, error_rate = operation.mean_ns, operation.error_rate
        if operation.guarded:
            tick = self._ticks[operation.ref]
            mean_ns = int(mean_ns * tick.duration_factor)
            error_rate = min(error_rate + tick.error_add, 1.0)
        own: NDArray[np.int64] | np.int64 = np.int64(mean_ns)
        if operation.duration_word is not None:
            drawn = draws.draw_normals(words[operation.duration_word])
            drawn *= operation.deviation_ns
            drawn += mean_ns
            own = np.maximum(drawn, 0.0, out=drawn).astype(np.int64)
        if error_rate <= 0:
            return own, np.zeros(rows, np.bool_)
        if error_rate >= 1 or operation.error_word is None:
            return own, np.ones(rows, np.bool_)
        return own, words[operation.error_word] < draws.threshold(error_rate)

    def _call(
        self,
        site: Site,
        index: int,
        callers: Requests,
        words: NDArray[np.uint64],
        broken: NDArray[np.bool_],
    ) -> Outcome | None:
        """Make one call of *site* for those of *callers* that make it.

        *callers* are what a call made by all of them would send: when it would start, and the
        calling spans. Returns when the callers go on and whose call failed; None where nobody
        waits.
        """
        call = site.operation.calls[index]
        if call.plain:
            return self._visit(site.child(index, 0, 0), callers)
        live = np.arange(broken.size)
        if call.wants_error is not None:
            live = live[broken == call.wants_error]
        if call.gate is not None:
            live = live[words[call.gate][live] < call.below]
        outcome = Outcome(callers.start_ns.copy(), np.zeros(broken.size, np.bool_))
        for repeat in range(call.count if live.size else 0):
            calling = callers.some(live)
            if self._all_full(calling.rows):
                # Visits would only be refused; without this, nested counts make sites for nothing.
                self.cut[calling.rows] += call.count - repeat
                break
            if not call.awaited:
                self._visit(site.child(index, repeat, 0), calling)
                continue
            if not site.operation.parallel:
                calling = calling._replace(start_ns=outcome.end_ns[live])
            end_ns, failed = self._attempts(site, index, repeat, calling)
            outcome.end_ns[live] = np.maximum(outcome.end_ns[live], end_ns)
            outcome.failed[live] |= failed
        return outcome if call.awaited else None

    def _attempts(self, site: Site, index: int, repeat: int, calling: Requests) -> Outcome:
        """Try one repetition of a call until it succeeds or the attempts are used up."""
        call = site.operation.calls[index]
        outcome = Outcome(calling.start_ns.copy(), np.zeros(calling.start_ns.size, np.bool_))
        todo = np.arange(calling.start_ns.size)
        for attempt in range(1 + call.retries):
            if attempt:
                self.retries[calling.rows] += 1
            end_ns, failed = self._visit(site.child(index, repeat, attempt), calling)
            if call.timeout_ns is not None:
                latest_ns = calling.start_ns + call.timeout_ns
                late = end_ns > latest_ns
                self.timeouts[_take(calling.rows, late.nonzero()[0])] += 1
                end_ns, failed = np.minimum(end_ns, latest_ns), failed | late
            outcome.end_ns[todo], outcome.failed[todo] = end_ns, failed
            again = failed.nonzero()[0]
            if not again.size:
                break
            todo = todo[again]
            calling = calling.some(again)._replace(start_ns=end_ns[again] + call.backoff_ns)
        return outcome

    def _all_full(self, rows: Rows) -> bool:
        return self.spans is not None and bool((self.spans[rows] >= self._limit).all())


def _take(rows: Rows, some: Rows) -> Rows:
    """Return those of *rows* that *some* points at."""
    if isinstance(rows, slice):
        return some
    return rows if isinstance(some, slice) else rows[some]
