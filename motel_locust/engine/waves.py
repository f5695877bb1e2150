"""The walk in waves: all spans equally deep in their traces at once, whatever their operations.

How long a request takes and whether it fails does not depend on when it starts, since all draws
come from ids. So a wave goes down, generation by generation, making spans and their requests; then
up again, settling what came of them in time relative to the caller; and whatever failed and may be
tried again is sent in the next wave, while those above it stay unsettled. When nothing is left, one
last pass down turns relative times into times.

That holds only where nothing is shared between requests: no guarded operation, no links, and no
trace that can reach the span limit. The other walk, :mod:`~motel_locust.engine.walk`, has a visit
for every site, and so a cost; this one costs some hundred array operations a generation and wave,
but each span takes from tables by its node what all spans of a visit have in common.

Shape words: ``rows`` are spans, ``requests`` what they send: one per repetition of a call, however
often tried. Both are numbered in the order in which they are made; in what order
those of one trace follow one another does not depend on the traces walked with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.graph import ERROR, NOTHING
from motel_locust.engine.ranges import runs
from motel_locust.engine.rows import Requests, Rows
from motel_locust.engine.spans import Spans, order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from motel_locust.engine.graph import Graph
    from motel_locust.engine.plan import Plan
    from motel_locust.engine.shapes import ShapePlan
    from motel_locust.engine.spans import Traces

# Some rows or requests: an unbroken stretch of them needs no gather.
Some: TypeAlias = "NDArray[np.int64] | slice"


class _Generation:
    """Spans that are equally many calls away from their roots, and what is unfinished of them.

    new        their rows and requests that this wave made
    unsettled  rows of earlier waves that wait for an answer
    open       requests that they wait for
    again      those of them that are to be tried again in the next wave
    """

    __slots__ = ("again", "new", "open", "unsettled")

    def __init__(self) -> None:
        self.new = slice(0, 0), slice(0, 0)
        self.unsettled, self.open, self.again = _NONE, _NONE, _NONE


_NONE = np.empty(0, np.int64)


class WaveWalk:
    """One batch of traces on its way through a plan; it counts in *traces*.

    room   for how many spans there is room before arrays have to grow, at least 1
    pause  called after every step, so that a long walk can let others have a turn
    """

    def __init__(
        self, plan: Plan, traces: Traces, *, room: int, pause: Callable[[], object]
    ) -> None:
        self._graph: Graph = plan.graph
        self._traces, self._pause = traces, pause
        self._rows, self._requests = Rows(room), Requests(room)
        self._generations: list[_Generation] = []
        self._blocks: list[slice] = []
        self._begin(plan)
        while any(each.again.size for each in self._generations):
            self._wave()
        self._date()
        traces.failed = self._rows.failed[: traces.number.size]

    @property
    def steps(self) -> int:
        """How many generations it made in all waves."""
        return len(self._blocks)

    def spans(self, *, by_end: bool) -> Iterator[tuple[ShapePlan, Spans]]:
        """Return each shape's spans in order of their traces, or *by_end* in that of their ends.

        Those of one trace, or that end together, are in the order in which they were made.
        """
        rows, requests = self._rows, self._requests
        used = slice(rows.size)
        shapes, shape = self._shapes()
        order = order_of(rows.trace[used])
        self._pause()
        if by_end:
            ends = (rows.start_ns[used] + rows.took_ns[used])[order]
            order = order[ends.argsort(kind="stable")]
        order = order[order_of(shape[order])]
        self._pause()
        trace, span_id = rows.trace[order], rows.span_id[order]
        start_ns, failed = rows.start_ns[order], rows.failed[order]
        self._pause()
        end_ns = start_ns + rows.took_ns[order]
        callers = requests.caller[rows.request[order]] if requests.size else order
        self._pause()
        parent_id = rows.span_id[callers]  # of no meaning for roots
        entered = rows.entered[order] if self._graph.any_served else None
        self._pause()
        stops = np.bincount(shape, minlength=len(shapes)).cumsum().tolist()
        for each, start, stop in zip(shapes, [0, *stops], stops, strict=False):
            these = slice(start, stop)
            yield (
                each,
                Spans(
                    trace=trace[these],
                    span_id=span_id[these],
                    parent_id=parent_id[these] if each.shape.has_parent else None,
                    start_ns=start_ns[these],
                    end_ns=end_ns[these],
                    failed=failed[these],
                    ordinal=self._ordinals(order[these]) if each.numbered else None,
                    entered=None if entered is None else entered[these],
                ),
            )

    def _begin(self, plan: Plan) -> None:
        """Make the roots, and walk the first wave."""
        traces = self._traces
        root = np.zeros(traces.number.size, np.int64)
        if len(plan.roots) > 1:
            root = plan.choose_roots(traces.trace_key)
        keys = np.array([each.key for each in plan.roots], np.uint64)
        rows = self._rows
        new = rows.add(root.size)
        rows.trace[new] = np.arange(root.size)
        rows.span_id[new] = draws.draw_ids(keys[root], traces.trace_key)
        graph = self._graph
        if graph.any_served:
            rows.entered[new] = rows.span_id[new]
        rows.node[new] = graph.choices.land(graph.root[root], rows.span_id[new])
        rows.place[new] = rows.request[new] = 0
        self._generations.append(_Generation())
        self._generations[0].new = new, self._live(new)
        self._wave()

    def _wave(self) -> None:
        """Make all spans that wait to be made, and settle what they let settle."""
        generations = self._generations
        depth = 0
        while depth < len(generations):
            sending, depth = generations[depth], depth + 1
            _, fresh = sending.new
            if fresh.start == fresh.stop and not sending.again.size:
                continue
            if depth == len(generations):
                generations.append(_Generation())
            new = self._send(sending.again, fresh)
            generations[depth].new = new, self._live(new)
            sending.again = _NONE
        for generation in reversed(generations):
            rows, _ = generation.new
            if rows.start < rows.stop or generation.unsettled.size:
                self._settle(generation)
                generation.new = slice(0, 0), slice(0, 0)

    def _send(self, again: NDArray[np.int64], fresh: slice) -> slice:
        """Make the spans of the requests that are tried *again*, and of the *fresh* ones."""
        graph, rows, requests = self._graph, self._rows, self._requests
        request = np.arange(fresh.start, fresh.stop)
        these: Some = fresh
        if again.size:
            these = request = np.concatenate((again, request))
        entry, caller, place = requests.entry[these], requests.caller[these], requests.place[these]
        new = rows.add(request.size)
        self._blocks.append(new)
        rows.trace[new] = rows.trace[caller]
        keys = draws.nth_keys(graph.key[entry], place)
        rows.span_id[new] = span_id = draws.draw_ids(keys, rows.span_id[caller])
        if graph.any_served:
            rows.entered[new] = np.where(graph.stays[entry], rows.entered[caller], span_id)
        target = graph.target[entry]
        if graph.any_counted:
            target += graph.counted[entry] * (place % (1 + graph.retries[entry]))
        rows.node[new] = graph.choices.land(target, span_id)
        rows.request[new], rows.place[new] = request, place
        rows.start_ns[new] = requests.took_ns[these]
        requests.row[these] = np.arange(new.start, new.stop)
        self._pause()
        return new

    def _live(self, new: slice) -> slice:
        """Draw what becomes of *new* spans by themselves, and return what they request."""
        graph, rows = self._graph, self._rows
        node, span_id = rows.node[new], rows.span_id[new]
        rows.settled[new] = False
        rows.own_ns[new] = graph.draw_own_ns(node, span_id)
        broken = graph.breaks[node]
        if graph.any_fails:
            broken |= draws.draw_words(graph.error_key[node], span_id) < graph.error_below[node]
        rows.failed[new] = broken
        self._pause()
        caller, entry = self._chosen(node, span_id, broken)
        self._pause()
        place = np.zeros(entry.size, np.int64)
        if graph.any_counts:
            each, repeat = runs(np.zeros_like(entry), graph.count[entry])
            caller, entry = caller[each], entry[each]
            place = repeat * (1 + graph.retries[entry])
        counts = np.bincount(caller, minlength=node.size)
        fresh = self._ask(caller + new.start, entry, place)
        rows.requests[new] = counts
        rows.first[new] = fresh.start + counts.cumsum() - counts
        self._pause()
        return fresh

    def _chosen(
        self, node: NDArray[np.int64], span_id: NDArray[np.uint64], broken: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the calls that spans make: for each, the position of the span, and the entry."""
        graph = self._graph
        caller, entry = runs(graph.first[node], graph.calls[node])
        made = np.ones(entry.size, np.bool_)
        if graph.any_wants:
            wants = graph.wants[entry]
            made = (wants == NOTHING) | ((wants == ERROR) == broken[caller])
        if graph.any_gated:
            gated = (made & graph.gated[entry]).nonzero()[0]
            gate = entry[gated]
            words = draws.draw_words(graph.gate_key[gate], span_id[caller[gated]])
            made[gated] = words < graph.gate_below[gate]
        if made.all():
            return caller, entry
        # Twice as fast as by the mask.
        these = made.nonzero()[0]
        return caller[these], entry[these]

    def _ask(
        self, caller: NDArray[np.int64], entry: NDArray[np.int64], place: NDArray[np.int64]
    ) -> slice:
        """Add requests, none of them sent yet."""
        requests = self._requests
        fresh = requests.add(entry.size)
        requests.caller[fresh], requests.entry[fresh], requests.place[fresh] = caller, entry, place
        requests.took_ns[fresh] = 0
        requests.failed[fresh] = False
        return fresh

    def _settle(self, generation: _Generation) -> None:
        """Find out what came of the spans of a generation whose callees have settled."""
        rows, requests = self._rows, self._requests
        new, fresh = generation.new
        asked = np.arange(fresh.start, fresh.stop)
        if not self._graph.all_awaited:
            asked = asked[self._graph.awaited[requests.entry[fresh]]]
        if generation.open.size:
            asked = np.concatenate((generation.open, asked))
        waiting, generation.again = self._answer(asked)
        generation.open = np.concatenate((waiting, generation.again))
        if not generation.open.size and not generation.unsettled.size:
            self._sum_up(new, requests.caller[fresh] - new.start, fresh)
            return
        these = np.concatenate((generation.unsettled, np.arange(new.start, new.stop)))
        rows.settled[these] = True
        rows.settled[requests.caller[generation.open]] = False
        settled = rows.settled[these]
        generation.unsettled = these[(~settled).nonzero()[0]]
        these = these[settled.nonzero()[0]]
        self._sum_up(these, *runs(rows.first[these], rows.requests[these]))

    def _answer(self, asked: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Note the answers to the requests *asked*.

        Returns those that have none yet, and those to be tried again.
        """
        graph, rows, requests = self._graph, self._rows, self._requests
        row = requests.row[asked]
        settled = rows.settled[row]
        waiting = again = _NONE
        if not settled.all():
            waiting, asked, row = asked[~settled], asked[settled], row[settled]
        took_ns, failed = rows.took_ns[row], rows.failed[row]
        if graph.any_timeouts:
            timeout_ns = graph.timeout_ns[requests.entry[asked]]
            late = took_ns > timeout_ns
            if late.any():
                took_ns, failed = np.minimum(took_ns, timeout_ns), failed | late
                self._count(self._traces.timeouts, requests.caller[asked[late]])
        requests.took_ns[asked] += took_ns
        requests.failed[asked] = failed
        if graph.any_retries:
            again = asked[failed]
            entry = requests.entry[again]
            retries = graph.retries[entry]
            left = requests.place[again] % (1 + retries) < retries
            again, entry = again[left], entry[left]
            requests.took_ns[again] += graph.backoff_ns[entry]
            requests.place[again] += 1
            self._count(self._traces.retries, requests.caller[again])
        self._pause()
        return waiting, again

    def _count(self, counter: NDArray[np.int64], row: NDArray[np.int64]) -> None:
        counter += np.bincount(self._rows.trace[row], minlength=counter.size)

    def _sum_up(self, these: Some, of: NDArray[np.int64], request: Some) -> None:
        """Settle the rows *these*, all of whose requests, in their order, are *request*.

        of: the position in *these* of each request's caller, ascending.
        """
        rows, requests = self._rows, self._requests
        rows.settled[these] = True
        own_ns = rows.own_ns[these]
        if not of.size:
            rows.took_ns[these] = own_ns
            return
        failed = requests.failed[request].nonzero()[0]
        rows.failed[_some(these, of[failed])] = True
        took_ns = requests.took_ns[request]
        stops = rows.requests[these].cumsum()
        first = stops - rows.requests[these]
        parallel = self._graph.parallel[rows.node[these]]
        self._pause()
        # Sequential calls wait for one another; the clock runs on over all rows.
        clock_ns = np.zeros(of.size + 1, np.int64)
        if not parallel.all():
            took_ns.cumsum(out=clock_ns[1:])
        waited_ns = clock_ns[stops] - clock_ns[first]
        cursor_ns = clock_ns[:-1] - clock_ns[first][of]
        if parallel.any():
            cursor_ns[parallel[of]] = 0
            callers = (stops > first).nonzero()[0]
            longest_ns = np.maximum.reduceat(took_ns, first[callers])
            together = parallel[callers].nonzero()[0]
            waited_ns[callers[together]] = longest_ns[together]
        requests.start_ns[request] = cursor_ns + (own_ns >> 1)[of]
        took_ns = own_ns + waited_ns
        if self._graph.any_limits:
            limit_ns = self._graph.limit_ns[rows.node[these]]
            late = _some(these, (took_ns > limit_ns).nonzero()[0])
            took_ns = np.minimum(took_ns, limit_ns)
            rows.failed[late] = True
            self._count(self._traces.timeouts, late)
        rows.took_ns[these] = took_ns
        self._pause()

    def _date(self) -> None:
        """Turn times after requests into Unix times, callers before their callees."""
        rows, requests = self._rows, self._requests
        rows.start_ns[: self._traces.number.size] = self._traces.arrival_ns
        for block in self._blocks:
            request = rows.request[block]
            at_ns = requests.start_ns[request] + rows.start_ns[requests.caller[request]]
            rows.start_ns[block] += at_ns
            self._pause()

    def _shapes(self) -> tuple[list[ShapePlan], NDArray[np.int64]]:
        """Return the shapes that occur, and which each row has."""
        node = self._rows.node[: self._rows.size]
        shapes: dict[ShapePlan, int] = {}
        shape_of = np.zeros(len(self._graph.nodes), np.int64)
        for index in np.bincount(node).nonzero()[0].tolist():
            shape_of[index] = shapes.setdefault(self._graph.nodes[index].shape, len(shapes))
        return list(shapes), shape_of[node]

    def _ordinals(self, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many spans of their operation precede the rows *row* in a full trace."""
        rows, requests = self._rows, self._requests
        operation = self._graph.nodes[rows.node[row[0]]].operation
        before, brought = self._graph.preceding(operation.ref)
        ordinal = np.zeros(row.size, np.int64)
        below = np.arange(row.size)
        while True:
            deep = row >= self._traces.number.size  # the others are roots
            row, below = row[deep], below[deep]
            if not row.size:
                return ordinal
            request = rows.request[row]
            entry = requests.entry[request]
            ordinal[below] += before[entry] + rows.place[row] * brought[entry]
            row = requests.caller[request]


def _some(these: Some, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of *these* at *positions*."""
    return these.start + positions if isinstance(these, slice) else these[positions]
