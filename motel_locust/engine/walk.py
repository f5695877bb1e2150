"""The walk: one pass over a plan's trees for all traces of a batch at once.

The visits that hold a given trace come in that trace's own depth-first order, and each holds it
once. So an array with one element per trace, read and written by every visit, sees each trace's
history as a walk of that trace alone would; the counters, the span limit and the links rest on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.links import LinkTable
from motel_locust.engine.shapes import CIRCUIT_OPEN, QUEUE_FULL
from motel_locust.engine.state import ADMITTED
from motel_locust.engine.state import CIRCUIT_OPEN as REFUSED_BY_BREAKER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.plan import OperationPlan, Plan, Site
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.state import Tick

# Traces of the batch: all of them, or some by their index. The first costs no gather.
Rows: TypeAlias = "NDArray[np.int64] | slice"
ALL: Final = slice(None)

REJECTION_NS: Final = 1_000_000


class Visit(NamedTuple):
    """The spans of one site: columns as in :class:`motel_locust.engine.columns.Columns`.

    ``local`` holds, per link of the operation, the latest span in the same trace, 0 for none.
    """

    site: Site
    rows: Rows
    span_id: NDArray[np.uint64]
    parent_id: NDArray[np.uint64] | None
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]
    local: tuple[NDArray[np.uint64], ...]


class Walk:
    """One batch of traces on its way through a plan.

    number      int64[traces]    trace numbers, in order of arrival
    trace_key   uint64[traces]
    arrival_ns  int64[traces]    Unix time
    ticks       the guarded operations' state in this tick; they take time since ``origin_ns``

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
        self._limit, self._ticks, self._origin_ns = limit, ticks, origin_ns
        self._walk_roots()

    def _walk_roots(self) -> None:
        roots = self.plan.roots
        if len(roots) == 1:
            _, self.failed = self._visit(roots[0], ALL, self.arrival_ns, None)
            return
        words = draws.draw_words(self.trace_key, self.plan.root_purpose)
        choice = draws.draw_choices(words, self.plan.root_bounds)
        for index, site in enumerate(roots):
            rows = (choice == index).nonzero()[0]
            if rows.size:
                _, self.failed[rows] = self._visit(site, rows, self.arrival_ns[rows], None)

    def _visit(
        self, site: Site, rows: Rows, start: NDArray[np.int64], parent: NDArray[np.uint64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Make the spans of *site* for *rows*; return when each ended and whether it failed.

        Where a trace is full there is no span: it ends, well, when it starts.
        """
        if self.spans is None:
            return self._request(site, rows, start, parent)
        fits = self.spans[rows] < self._limit
        if fits.all():
            self.spans[rows] += 1
            return self._request(site, rows, start, parent)
        self.cut[_take(rows, (~fits).nonzero()[0])] += 1
        end, failed = start.copy(), np.zeros(start.size, np.bool_)
        some = fits.nonzero()[0]
        if some.size:
            fitting = _take(rows, some)
            self.spans[fitting] += 1
            parents = None if parent is None else parent[some]
            end[some], failed[some] = self._request(site, fitting, start[some], parents)
        return end, failed

    def _request(
        self, site: Site, rows: Rows, start: NDArray[np.int64], parent: NDArray[np.uint64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        span = draws.draw_words(self.trace_key[rows], site.key)
        if not site.operation.guarded:
            return self._span(site, rows, start, parent, span)
        tick = self._ticks[site.operation.ref]
        verdict = tick.admit(start - self._origin_ns)
        if verdict is None:
            return self._admitted(site, rows, start, parent, span)
        end, failed = start + REJECTION_NS, np.ones(start.size, np.bool_)
        for code in np.unique(verdict).tolist():
            some = (verdict == code).nonzero()[0]
            these, begin = _take(rows, some), start[some]
            parents = None if parent is None else parent[some]
            if code == ADMITTED:
                found = self._admitted(site, these, begin, parents, span[some])
                end[some], failed[some] = found
            else:
                reason = CIRCUIT_OPEN if code == REFUSED_BY_BREAKER else QUEUE_FULL
                refused = Visit(
                    site, these, span[some], parents, begin, end[some], failed[some], ()
                )
                self.visits.setdefault(site.rejection(reason), []).append(refused)
        return end, failed

    def _admitted(
        self,
        site: Site,
        rows: Rows,
        start: NDArray[np.int64],
        parent: NDArray[np.uint64] | None,
        span: NDArray[np.uint64],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        end, failed = self._span(site, rows, start, parent, span)
        origin = self._origin_ns
        self._ticks[site.operation.ref].record(
            start - origin, end - origin, failed, self.number[rows]
        )
        return end, failed

    def _span(
        self,
        site: Site,
        rows: Rows,
        start: NDArray[np.int64],
        parent: NDArray[np.uint64] | None,
        span: NDArray[np.uint64],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        operation = site.operation
        local = self.links.local(operation.linked, rows)
        if operation.ref in self.plan.linked:
            self.links.start(operation.ref, rows, span)
        words = draws.draw_words(operation.keys, span) if operation.keys.size else operation.keys
        own, broken = self._own(operation, words, span.size)
        cursor = begin = start + (own >> 1)
        failed = broken
        for index in range(len(operation.calls)):
            at = begin if operation.parallel else cursor
            end, bad = self._call(site, index, rows, at, span, words, broken)
            if end is not None:
                cursor = np.maximum(cursor, end)
                failed = failed | bad
        end = cursor + (own - (own >> 1))
        visit = Visit(site, rows, span, parent, start, end, failed, local)
        self.visits.setdefault(site.shape, []).append(visit)
        return end, failed

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
        rows: Rows,
        at: NDArray[np.int64],
        span: NDArray[np.uint64],
        words: NDArray[np.uint64],
        broken: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_]]:
        """Make one call of *site* for those of *rows* that make it, at the times *at*.

        Returns when the caller goes on and whether the call failed; None for the time where the
        caller does not wait.
        """
        call = site.operation.calls[index]
        if call.plain:
            return self._visit(site.child(index, 0, 0), rows, at, span)
        live: Rows = ALL
        if call.wants_error is not None:
            live = (broken == call.wants_error).nonzero()[0]
        if call.gate is not None:
            chosen = words[call.gate][live] < call.below
            live = _take(live, chosen.nonzero()[0])
        end, failed = at.copy(), np.zeros(at.size, np.bool_)
        if at[live].size == 0:
            return (end if call.awaited else None), failed
        for repeat in range(call.count):
            if self._all_full(_take(rows, live)):
                # Visits would only be refused; without this, nested counts make sites for nothing.
                self.cut[_take(rows, live)] += call.count - repeat
                break
            # A copy: the visit keeps its start times, and `end` changes below.
            when = (at if site.operation.parallel else end)[live].copy()
            if call.awaited:
                self._attempts(site, index, repeat, rows, live, when, span, end, failed)
            else:
                self._visit(site.child(index, repeat, 0), _take(rows, live), when, span[live])
        return (end if call.awaited else None), failed

    def _attempts(
        self,
        site: Site,
        index: int,
        repeat: int,
        rows: Rows,
        todo: Rows,
        when: NDArray[np.int64],
        span: NDArray[np.uint64],
        end: NDArray[np.int64],
        failed: NDArray[np.bool_],
    ) -> None:
        """Try one repetition of a call until it succeeds or the attempts are used up.

        *todo* are the rows of the caller that call, *when* their starts; *end* and *failed*, over
        all of the caller's rows, are brought up to date.
        """
        call = site.operation.calls[index]
        for attempt in range(1 + call.retries):
            calling = _take(rows, todo)
            if attempt:
                self.retries[calling] += 1
            done, bad = self._visit(site.child(index, repeat, attempt), calling, when, span[todo])
            if call.timeout_ns is not None:
                latest = when + call.timeout_ns
                late = done > latest
                self.timeouts[_take(calling, late.nonzero()[0])] += 1
                bad, done = bad | late, np.minimum(done, latest)
            end[todo] = np.maximum(end[todo], done)
            again = bad.nonzero()[0]
            todo, when = _take(todo, again), done[again] + call.backoff_ns
            if not again.size:
                return
        failed[todo] = True

    def _all_full(self, rows: Rows) -> bool:
        return self.spans is not None and bool((self.spans[rows] >= self._limit).all())


def _take(rows: Rows, some: Rows) -> Rows:
    """Return those of *rows* that *some* points at."""
    if isinstance(rows, slice):
        return some
    return rows if isinstance(some, slice) else rows[some]
