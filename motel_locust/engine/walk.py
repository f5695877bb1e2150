"""The walk depth first: one pass over a plan's trees for all traces of a batch at once.

The visits that hold a given trace come in that trace's own depth-first order, and each holds it
once. So an array with one element per trace, read and written by every visit, sees each trace's
history as a walk of that trace alone would; the counters, the span limit and the links rest on it.

It serves every plan. Where the order of visits decides nothing and spans are few on each of many
sites, :mod:`~motel_locust.engine.waves` makes the same ones sooner.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, state
from motel_locust.engine.choices import Choice
from motel_locust.engine.links import LinkTable
from motel_locust.engine.shapes import CIRCUIT_OPEN, QUEUE_FULL
from motel_locust.engine.spans import Spans, join, order_of
from motel_locust.engine.visits import ALL, Outcome, Own, Requests, Visit, merged, ordinals, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.choices import Landing
    from motel_locust.engine.nodes import Node, Site
    from motel_locust.engine.operations import OperationPlan
    from motel_locust.engine.plan import Plan
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.spans import Traces
    from motel_locust.engine.state import Tick
    from motel_locust.engine.visits import Rows

REJECTION_NS: Final = 1_000_000
REASONS: Final = {state.CIRCUIT_OPEN: CIRCUIT_OPEN, state.QUEUE_FULL: QUEUE_FULL}


class Walk:
    """One batch of traces on its way through a plan; it counts in *traces*.

    ticks       the guarded operations' state in this tick; they take time since ``origin_ns``
    pause       called after every visit, so that a long walk can let others have a turn

    What chance decides about the course of a trace is in five methods whose names begin with
    ``decide``; whoever explores traces may decide otherwise there.
    """

    def __init__(
        self,
        plan: Plan,
        traces: Traces,
        *,
        limit: int,
        ticks: Mapping[str, Tick],
        origin_ns: int,
        pause: Callable[[], object],
    ) -> None:
        self._plan, self._traces = plan, traces
        self._visits: dict[ShapePlan, list[Visit]] = {}
        if plan.largest >= limit:
            traces.spans = np.zeros(traces.number.size, np.int64)
        self._used = traces.spans
        self.links = LinkTable(plan.linked, traces.number.size)
        self._limit, self._ticks, self._origin_ns, self._pause = limit, ticks, origin_ns, pause
        # It goes as deep as the longest chain of calls, with at most five frames a call.
        deepest = 1_000 + 5 * plan.depth
        sys.setrecursionlimit(max(sys.getrecursionlimit(), deepest))
        self._walk_roots()

    @property
    def steps(self) -> int:
        """How many visits it made."""
        return sum(map(len, self._visits.values()))

    def spans(self, *, by_end: bool) -> Iterator[tuple[ShapePlan, Spans]]:
        """Return each shape's spans in order of their traces, or *by_end* in that of their ends.

        Those of one trace, or that end together, are in the order of the visits.
        """
        traces = np.arange(self._traces.number.size)
        for shape, visits in self._visits.items():
            trace = join([traces[visit.requests.rows] for visit in visits])
            end_ns = join([visit.outcome.end_ns for visit in visits])
            order: Rows = ALL
            if by_end:
                order = end_ns.argsort(kind="stable")
            elif len(visits) > 1:
                order = order_of(trace)
            parents = [each for visit in visits if (each := visit.requests.parent_id) is not None]
            entered = [each for visit in visits if (each := visit.requests.entered) is not None]
            yield (
                shape,
                Spans(
                    trace=trace[order],
                    span_id=join([visit.span_id for visit in visits])[order],
                    parent_id=join(parents)[order] if parents else None,
                    start_ns=join([visit.requests.start_ns for visit in visits])[order],
                    end_ns=end_ns[order],
                    failed=join([visit.outcome.failed for visit in visits])[order],
                    ordinal=ordinals(visits)[order] if shape.numbered else None,
                    local=tuple(
                        join([visit.local[index] for visit in visits])[order]
                        for index in range(len(shape.links))
                    ),
                    entered=join(entered)[order] if entered else None,
                ),
            )

    def decide_roots(self, trace_key: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return which of the plan's roots each trace begins at: int64[traces]."""
        return self._plan.choose_roots(trace_key)

    def decide_choices(
        self, choice: Choice, rows: Rows, drawn: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return which option of *choice* requests are for; *rows* are their traces."""
        del choice, rows
        return drawn

    def decide_errors(
        self, operation: OperationPlan, rows: Rows, drawn: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which spans of *operation* break on their own; *rows* are their traces."""
        del operation, rows
        return drawn

    def decide_calls(
        self, operation: OperationPlan, index: int, rows: Rows, drawn: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which callers make call *index*, on which chance decides; so for *rows*."""
        del operation, index, rows
        return drawn

    def decide_retries(
        self, operation: OperationPlan, index: int, rows: Rows, failed: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which attempts of call *index* are followed by another; so for *rows*."""
        del operation, index, rows
        return failed

    def _walk_roots(self) -> None:
        roots, traces = self._plan.roots, self._traces
        everything = Requests(ALL, traces.arrival_ns, None)
        if len(roots) == 1:
            traces.failed = self._visit(roots[0], everything).failed
            return
        choice = self.decide_roots(traces.trace_key)
        for index, site in enumerate(roots):
            these = (choice == index).nonzero()[0]
            if these.size:
                traces.failed[these] = self._visit(site, everything.some(these)).failed

    def _visit(self, site: Site, requests: Requests) -> Outcome:
        """Make the spans of *site*, one for each of *requests*.

        Where a trace is full there is no span: it ends, well, when it starts.
        """
        if self._used is None:
            return self._request(site, requests)
        fits = self._used[requests.rows] < self._limit
        if fits.all():
            self._used[requests.rows] += 1
            return self._request(site, requests)
        self._traces.cut[take(requests.rows, (~fits).nonzero()[0])] += 1
        outcome = Outcome(requests.start_ns.copy(), np.zeros(fits.size, np.bool_))
        these = fits.nonzero()[0]
        if these.size:
            fitting = requests.some(these)
            self._used[fitting.rows] += 1
            outcome.end_ns[these], outcome.failed[these] = self._request(site, fitting)
        return outcome

    def _request(self, site: Site, requests: Requests) -> Outcome:
        """Ask the operation's breaker and queue, if it has any."""
        callers = requests.parent_id
        if callers is None:
            callers = self._traces.trace_key[requests.rows]
        span_id = draws.draw_ids(site.key, callers)
        if site.operation.served and requests.entered is None:
            requests = requests._replace(entered=span_id)
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
                visit = Visit(site, some, span_id[these], outcome.some(these), ())
                shape = site.landing.rejection(REASONS[code])
                self._visits.setdefault(shape, []).append(visit)
        return outcome

    def _admitted(self, site: Site, requests: Requests, span_id: NDArray[np.uint64]) -> Outcome:
        outcome = self._span(site, requests, span_id)
        origin_ns = self._origin_ns
        self._ticks[site.operation.ref].record(
            requests.start_ns - origin_ns,
            outcome.end_ns - origin_ns,
            outcome.failed,
            self._traces.number[requests.rows],
        )
        return outcome

    def _span(self, site: Site, requests: Requests, span_id: NDArray[np.uint64]) -> Outcome:
        operation = site.operation
        local = self.links.local(operation.linked, requests.rows)
        if operation.ref in self._plan.linked:
            self.links.start(operation.ref, requests.rows, span_id)
        if isinstance(site.landing, Choice):
            return self._chosen(site, site.landing, requests, span_id, local)
        own = self._own(site.landing.operation, requests.rows, span_id)
        outcome = self._calls(site, site.landing, requests, span_id, own)
        self._keep(site.landing, Visit(site, requests, span_id, outcome, local))
        return outcome

    def _chosen(
        self,
        site: Site,
        choice: Choice,
        requests: Requests,
        span_id: NDArray[np.uint64],
        local: tuple[NDArray[np.uint64], ...],
    ) -> Outcome:
        """Make the spans of *site* where each request reaches one of several nodes.

        Those that call the same go on together: else the visits would multiply with every choice
        on the way down.
        """
        landed = list(self._landed(choice, requests.rows, span_id, np.arange(span_id.size)))
        rows = span_id.size
        took_ns, broken = np.empty(rows, np.int64), np.empty(rows, np.bool_)
        gates = np.empty((site.operation.gates, rows), np.uint64)
        together: dict[tuple[Landing, ...], list[tuple[Node, NDArray[np.int64]]]] = {}
        for node, these in landed:
            drawn = self._own(node.operation, take(requests.rows, these), span_id[these])
            took_ns[these], broken[these], gates[:, these] = drawn
            together.setdefault(node.callees, []).append((node, these))
        outcome = Outcome(np.empty(rows, np.int64), np.empty(rows, np.bool_))
        for parts in together.values():
            chosen = ALL if len(together) == 1 else merged([each for _, each in parts])
            own = Own(took_ns[chosen], broken[chosen], gates[:, chosen])
            some, ids = requests.some(chosen), span_id[chosen]
            called = self._calls(site, parts[0][0], some, ids, own)
            outcome.end_ns[chosen], outcome.failed[chosen] = called
        for node, these in landed:
            found = tuple(each[these] for each in local)
            some, ids = requests.some(these), span_id[these]
            self._keep(node, Visit(site, some, ids, outcome.some(these), found))
        return outcome

    def _landed(
        self,
        landing: Landing,
        rows: Rows,
        span_id: NDArray[np.uint64],
        these: NDArray[np.int64],
    ) -> Iterator[tuple[Node, NDArray[np.int64]]]:
        """Yield which of the requests at the positions *these* reach which node."""
        if not isinstance(landing, Choice):
            yield landing, these
            return
        drawn = landing.choose(span_id[these])
        option = self.decide_choices(landing, take(rows, these), drawn)
        for index, each in enumerate(landing.options):
            some = (option == index).nonzero()[0]
            if some.size:
                yield from self._landed(each, rows, span_id, these[some])

    def _calls(
        self, site: Site, node: Node, requests: Requests, span_id: NDArray[np.uint64], own: Own
    ) -> Outcome:
        """Make the calls of *node*'s spans at *site*, and return when these end."""
        operation = node.operation
        cursor = begin = requests.start_ns + (own.took_ns >> 1)
        failed = own.broken
        for index, call in enumerate(operation.calls):
            start_ns = begin if operation.parallel else cursor
            entered = requests.entered if call.stays else None
            calling = Requests(requests.rows, start_ns, span_id, entered)
            outcome = self._call(site, node, index, calling, own)
            if outcome is not None:
                cursor = np.maximum(cursor, outcome.end_ns)
                failed = failed | outcome.failed
        outcome = Outcome(cursor + (own.took_ns - (own.took_ns >> 1)), failed)
        if operation.limit_ns is None:
            return outcome
        return self._in_time(outcome, requests, operation.limit_ns)

    def _keep(self, node: Node, visit: Visit) -> None:
        self._visits.setdefault(node.shape, []).append(visit)
        self._pause()

    def _own(self, operation: OperationPlan, rows: Rows, span_id: NDArray[np.uint64]) -> Own:
        """Draw what becomes of the spans of *operation* by themselves."""
        keys = operation.keys
        words = draws.draw_words(keys, span_id) if keys.size else keys
        factor, error_rate = 1.0, operation.error_rate
        if operation.guarded:
            tick = self._ticks[operation.ref]
            factor = tick.duration_factor
            error_rate = min(error_rate + tick.error_add, 1.0)
        took_ns = operation.own_ns(words, factor)
        if error_rate <= 0:
            drawn = np.zeros(span_id.size, np.bool_)
        elif error_rate >= 1 or operation.error_word is None:
            drawn = np.ones(span_id.size, np.bool_)
        else:
            drawn = words[operation.error_word] < draws.threshold(error_rate)
        broken = self.decide_errors(operation, rows, drawn)
        return Own(took_ns, broken, words[: operation.gates])

    def _call(
        self,
        site: Site,
        node: Node,
        index: int,
        callers: Requests,
        own: Own,
    ) -> Outcome | None:
        """Make one call of *node* at *site* for those of *callers* that make it.

        *callers* are what a call made by all of them would send: when it would start, and the
        calling spans. Returns when the callers go on and whose call failed; None where nobody
        waits.
        """
        call = node.operation.calls[index]
        if call.plain:
            return self._visit(site.child(node, index, 0, 0), callers)
        broken = own.broken
        live = np.arange(broken.size)
        if call.wants_error is not None:
            live = live[broken == call.wants_error]
        if call.gate is not None:
            drawn = own.gates[call.gate][live] < call.below
            rows = take(callers.rows, live)
            live = live[self.decide_calls(node.operation, index, rows, drawn)]
        outcome = Outcome(callers.start_ns.copy(), np.zeros(broken.size, np.bool_))
        for repeat in range(call.count if live.size else 0):
            calling = callers.some(live)
            if self._all_full(calling.rows):
                # Visits would only be refused; without this, nested counts make sites for nothing.
                self._traces.cut[calling.rows] += call.count - repeat
                break
            if not call.awaited:
                self._visit(site.child(node, index, repeat, 0), calling)
                continue
            if not node.operation.parallel:
                calling = calling._replace(start_ns=outcome.end_ns[live])
            end_ns, failed = self._attempts(site, node, index, repeat, calling)
            outcome.end_ns[live] = np.maximum(outcome.end_ns[live], end_ns)
            outcome.failed[live] |= failed
        return outcome if call.awaited else None

    def _attempts(
        self, site: Site, node: Node, index: int, repeat: int, calling: Requests
    ) -> Outcome:
        """Try one repetition of a call until it succeeds or the attempts are used up."""
        call = node.operation.calls[index]
        outcome = Outcome(calling.start_ns.copy(), np.zeros(calling.start_ns.size, np.bool_))
        todo = np.arange(calling.start_ns.size)
        for attempt in range(1 + call.retries):
            if attempt:
                self._traces.retries[calling.rows] += 1
            found = self._visit(site.child(node, index, repeat, attempt), calling)
            if call.timeout_ns is not None:
                found = self._in_time(found, calling, call.timeout_ns)
            end_ns, failed = found
            outcome.end_ns[todo], outcome.failed[todo] = end_ns, failed
            if attempt == call.retries:
                break
            again = self.decide_retries(node.operation, index, calling.rows, failed).nonzero()[0]
            if not again.size:
                break
            todo = todo[again]
            calling = calling.some(again)._replace(start_ns=end_ns[again] + call.backoff_ns)
        return outcome

    def _in_time(self, outcome: Outcome, requests: Requests, timeout_ns: int) -> Outcome:
        """Return the *outcome* of *requests* for who waits no longer than *timeout_ns*."""
        latest_ns = requests.start_ns + timeout_ns
        late = outcome.end_ns > latest_ns
        self._traces.timeouts[take(requests.rows, late.nonzero()[0])] += 1
        return Outcome(np.minimum(outcome.end_ns, latest_ns), outcome.failed | late)

    def _all_full(self, rows: Rows) -> bool:
        return self._used is not None and bool((self._used[rows] >= self._limit).all())
