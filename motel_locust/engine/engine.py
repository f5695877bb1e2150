"""The engine: users and a topology in, batches of spans out, in simulated time."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.engine.assembly import NOTHING, Assembly
from motel_locust.engine.instances import all_instances
from motel_locust.engine.numbering import numbered
from motel_locust.engine.plan import Plan
from motel_locust.engine.schedule import TICK_NS, Schedule
from motel_locust.engine.shapes import Shapes
from motel_locust.engine.spans import Traces
from motel_locust.engine.state import State, Tick
from motel_locust.engine.stretches import Piece, Stretch, pieces
from motel_locust.engine.traffic import Timeline
from motel_locust.engine.walk import Walk
from motel_locust.engine.waves import WaveWalk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.links import Latest
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology
    from motel_locust.topology.traffic import Arrivals

# With fewer spans of a shape, or a step, a batch costs mostly its calls into NumPy; with more the
# arrays no longer fit the caches.
SPANS_OF_A_SHAPE: Final = 8_000
SPANS_OF_A_STEP: Final = 250
# Whatever the plan, these keep a process at full speed below 250 MB. With 200 shapes, a walk of
# half as many spans costs a quarter more for each; what it made is handed out in pieces.
MOST_SPANS_WALKED: Final = 520_000
SPANS_OF_A_PIECE: Final = 100_000
# Of a batch that is not to be handed out in pieces, such as that of a tick.
MOST_SPANS: Final = 140_000
# Where operations keep state, batches shape the telemetry: their size must depend on nothing else.
MOST_GUARDED_TRACES: Final = 8_000
# Until a batch has shown how large traces really are.
FIRST_SPANS: Final = 16_000


def carry_on() -> None:
    """Make no pause."""


class Engine:
    """One topology, run by any number of users.

    Time is simulated: nanoseconds since *epoch_ns*, a Unix time. Everything is a pure function of
    the topology, the seed and the joins and leaves; how far and in which steps it is walked, and
    when, changes nothing.

    Args:
        topology: what every user runs.
        seed: fixes all draws.
        name: tells apart engines that share a seed, so that no trace id is made twice.
        worker: the index of this process in its cluster, below *stride*.
        stride: more than the index of any worker; 1 on a single process.
        epoch_ns: when the test begins, Unix time.
        rate_per_s: scales all traffic so that the file's own rate becomes this; None keeps it.
        arrivals: ``paced`` or ``poisson``; None for what the file says.
        max_spans_per_trace: no new span once a trace has as many.
        label_scenarios: puts the names of the active scenarios on every span.
        realtime: a span is released at its end, not with its trace.
        time_offset_ns: added to all times of spans.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        epoch_ns: int,
        name: str = "",
        worker: int = 0,
        stride: int = 1,
        rate_per_s: float | None = None,
        arrivals: Arrivals | None = None,
        max_spans_per_trace: int = 10_000,
        label_scenarios: bool = False,
        realtime: bool = False,
        time_offset_ns: int = 0,
    ) -> None:
        self.topology, self.walked_ns = topology, 0
        self._seed = draws.key(seed, name)
        self._worker, self._stride, self._nth = worker, stride, 0
        self._origin_ns = epoch_ns + time_offset_ns
        self._limit, self._label, self._realtime = max_spans_per_trace, label_scenarios, realtime
        assert topology.traffic is not None, "a topology without traffic has no arrivals"
        self._schedule = Schedule(
            Timeline(topology, rate_per_s=rate_per_s),
            arrivals=arrivals or topology.traffic.arrivals or "paced",
            key=draws.key(self._seed, "arrivals"),
        )
        self._boundaries = scenarios.boundaries(topology)
        self._shapes = Shapes(topology, seed=self._seed)
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._ids = draws.TraceIds(self._seed)
        self._assembly = Assembly(
            self._ids,
            self._numbering(),
            epoch_ns,
            realtime,
            self._limit,
            all_instances(topology, seed=self._seed, origin_ns=self._origin_ns),
        )
        self._latest: Mapping[str, Latest] = {}
        self._guarded = [ref for ref, each in self._plan(0).operations.items() if each.guarded]
        self._states: dict[str, State] = {ref: State() for ref in self._guarded}
        self._tick = -1
        self._ticks: dict[str, Tick] = {}
        self._departed = False
        largest = min(self._plan(0).largest, max_spans_per_trace)
        self._batch_traces = max(1, FIRST_SPANS // max(largest, FIRST_SPANS // SPANS_OF_A_SHAPE))
        self._guarded_traces = min(MOST_GUARDED_TRACES, max(1, MOST_SPANS // largest))
        self._spans_of_a_trace = 1.0
        self._stretches: deque[Stretch] = deque(maxlen=64)
        self._walked: deque[Piece] = deque()

    def join(self, user: int, at_ns: int) -> None:
        """Let *user* begin at *at_ns*, the start of a tick of which nothing is released yet.

        If the engine has walked beyond, it goes back: ``walked_ns`` becomes *at_ns*, and what
        arrives from there on and was handed out already never existed.

        Raises:
            ValueError: *at_ns* is not the start of a tick, or lies too far back.
        """
        self._go_back(at_ns)
        self._schedule.join(user, at_ns)

    def leave(self, user: int, at_ns: int) -> None:
        """Let *user* end at *at_ns*; otherwise as :meth:`join`."""
        self._go_back(at_ns)
        self._schedule.leave(user, at_ns)
        self._departed = True

    def share(self, users: int | None, at_ns: int) -> None:
        """Divide the topology's rate among *users* from *at_ns* on; otherwise as :meth:`join`.

        None: every user brings the whole rate.
        """
        self._go_back(at_ns)
        self._schedule.share(users, at_ns)

    def pass_over(self, start_ns: int, stop_ns: int) -> None:
        """Let nothing arrive from *start_ns*, of which nothing is released yet, to *stop_ns*.

        Both are starts of ticks. What was handed out of that time already never existed. However
        long it is, it costs nothing: a process that comes late need not walk what it has missed.
        """
        self._go_back(start_ns)
        self.walked_ns = max(self.walked_ns, stop_ns)
        self._stretches.clear()

    def rate(self, t_ns: int) -> float:
        """Return the traces per second that all users together make at *t_ns*."""
        return self._schedule.rate(t_ns)

    def active(self, t_ns: int) -> Active:
        """Return the scenarios active at *t_ns*, in merge order."""
        return scenarios.active(self.topology, t_ns)

    def scenarios(self, t_ns: int) -> tuple[str, ...]:
        """Return the names of the scenarios active at *t_ns*, in merge order."""
        return tuple(
            self.topology.scenarios[index].name or f"scenario {index + 1}"
            for index in self.active(t_ns)
        )

    def number(self, trace_id: bytes) -> int | None:
        """Return the number of the trace *trace_id*, None if this engine did not make it."""
        return self._ids.number(trace_id)

    def could_go_back(self, to_ns: int) -> bool:
        """Return whether users may still change at *to_ns*, once the next stretch is walked too.

        Never in real time: there, what is not let out yet belongs to traces of before as well.
        """
        full = len(self._stretches) == self._stretches.maxlen
        return not self._realtime and (not full or self._stretches[1].start_ns <= to_ns)

    def walk(self, until_ns: int, pause: Callable[[], object] = carry_on) -> Batch:
        """Walk the next stretch of time and return its spans; it may have none.

        The stretch ends at *until_ns*, or sooner: where enough traces have come together, at the
        next start or end of a scenario, and, in real time and where operations keep state, at the
        next tick. *pause* is called now and then; it must not change the engine.
        """
        if not self._walked or self._walked[0].stop_ns > until_ns:
            self._walked = deque(self._walk(until_ns, pause))
        piece = self._walked.popleft()
        self._stretches.append(piece.stretch)
        self._nth = piece.stretch.nth + piece.stretch.arrival_ns.size
        self.walked_ns = piece.stop_ns
        return piece.batch()

    def _walk(self, until_ns: int, pause: Callable[[], object]) -> Iterable[Piece]:
        """Return the pieces of the next stretch, at least one."""
        start_ns = self.walked_ns
        if self._departed:
            self._schedule.forget(self._stretches[0].start_ns if self._stretches else start_ns)
            self._departed = False
        stop_ns = self._stop(start_ns, until_ns)
        arrival_ns = self._schedule.due(start_ns, stop_ns)
        stretch = Stretch(start_ns, self._nth, arrival_ns, {}, self._latest, dict(self._states))
        if not arrival_ns.size:
            return [Piece(stretch, stop_ns, NOTHING, 0, 0)]
        number = (self._nth + np.arange(arrival_ns.size)) * self._stride + self._worker
        trace_key = self._ids.keys(number)
        ticks = self._enter(start_ns // TICK_NS)
        traces = Traces(number, trace_key, arrival_ns + self._origin_ns)
        plan = self._plan(start_ns)
        walk = self._walk_through(plan, traces, ticks, pause)
        history = walk.links.settle(trace_key, self._latest) if isinstance(walk, Walk) else {}
        batch = self._assembly.batch(traces, walk, arrival_ns // TICK_NS, history, pause)
        spans = sum(each.spans for each in batch.counts)
        divisible = not (ticks or plan.linked or self._realtime)
        most = MOST_SPANS_WALKED if divisible else MOST_SPANS
        enough = max(SPANS_OF_A_STEP * walk.steps, SPANS_OF_A_SHAPE * len(batch.columns))
        self._spans_of_a_trace = spans / arrival_ns.size
        self._batch_traces = max(1, int(min(enough, most) / self._spans_of_a_trace))
        if divisible:
            epoch_ns = self._assembly.epoch_ns
            return pieces(stretch, stop_ns, batch, epoch_ns=epoch_ns, about=SPANS_OF_A_PIECE)
        stretch = replace(stretch, history=history)
        self._latest = {ref: each.at(arrival_ns.size) for ref, each in history.items()}
        self._states |= {ref: tick.value() for ref, tick in ticks.items()}
        batch = self._with_openings(batch, stretch.states) if ticks else batch
        return [Piece(stretch, stop_ns, batch, 0, len(batch.edges_ns))]

    def _walk_through(
        self,
        plan: Plan,
        traces: Traces,
        ticks: Mapping[str, Tick],
        pause: Callable[[], object],
    ) -> Walk | WaveWalk:
        """Walk the batch in the way that suits it; where both could, they make the same spans."""
        ordered = ticks or plan.linked or plan.largest >= self._limit
        if not ordered and plan.crowded:
            # Untouched memory costs nothing, arrays that grow a copy.
            room = int(1.5 * traces.number.size * self._spans_of_a_trace) + 1000
            return WaveWalk(plan, traces, room=room, pause=pause)
        return Walk(
            plan,
            traces,
            limit=self._limit,
            ticks=ticks,
            origin_ns=self._origin_ns,
            pause=pause,
        )

    def _with_openings(self, batch: Batch, before: Mapping[str, State]) -> Batch:
        """Count the breakers that opened since *before*: with the first part, as ticks have one."""
        opened = sum(state.openings - before[ref].openings for ref, state in self._states.items())
        first, *others = batch.counts
        counts = replace(first, circuit_breaker_opens=opened)
        return replace(batch, counts=(counts, *others))

    def _stop(self, start_ns: int, until_ns: int) -> int:
        """Return where the stretch from *start_ns* ends."""
        stop_ns = until_ns
        following = self._boundaries.searchsorted(start_ns, "right")
        if following < self._boundaries.size:
            stop_ns = min(stop_ns, int(self._boundaries[following]))
        if self._guarded or self._realtime:
            stop_ns = min(stop_ns, (start_ns // TICK_NS + 1) * TICK_NS)
        if self._guarded:
            return self._schedule.horizon(start_ns, traces=self._guarded_traces, at_most_ns=stop_ns)
        traces, most = self._batch_traces, int(MOST_SPANS / self._spans_of_a_trace) + 1
        near_ns = self._schedule.horizon(start_ns, traces=min(traces, most), at_most_ns=stop_ns)
        if traces <= most or near_ns == stop_ns:
            return near_ns
        tick_ns = (start_ns // TICK_NS + 1) * TICK_NS
        if near_ns < tick_ns + TICK_NS:
            # What is walked of a tick is handed out as one piece, so large ticks are walked alone.
            return min(near_ns, tick_ns)
        return self._schedule.horizon(start_ns, traces=traces, at_most_ns=stop_ns)

    def _plan(self, t_ns: int) -> Plan:
        active = scenarios.active(self.topology, t_ns)
        if active not in self._plans:
            self._plans[active] = Plan(
                self.topology,
                active,
                seed=self._seed,
                shapes=self._shapes,
                label_scenarios=self._label,
            )
        return self._plans[active]

    def _numbering(self) -> dict[str, int]:
        """Return the most spans of an operation in one trace, for those with numbered texts.

        Over all sets of scenarios: were it to shrink when one ends, numbers would repeat.
        """
        refs = numbered(self.topology)
        if not refs:
            return {}
        plans = [self._plan(t_ns) for t_ns in (0, *self._boundaries.tolist())]
        return {ref: max(plan.most(ref) for plan in plans) for ref in refs}

    def _enter(self, tick: int) -> Mapping[str, Tick]:
        """Return the guarded operations' state in *tick*; the same until the tick is over."""
        if tick != self._tick:
            self._tick = tick
            self._ticks = {}
            for ref in self._guarded:
                operation = self._plan(0).operations[ref].model
                self._ticks[ref] = Tick(operation, self._states[ref], tick)
        return self._ticks

    def _go_back(self, at_ns: int) -> None:
        if at_ns % TICK_NS:
            raise ValueError(f"{at_ns} ns is not the start of a tick of {TICK_NS} ns")
        self._walked.clear()
        if at_ns >= self.walked_ns:
            return
        while self._stretches:
            last = self._stretches.pop()
            self._nth, self._latest, self._states = last.nth, last.latest, dict(last.states)
            self._tick, self._ticks = -1, {}
            self.walked_ns = last.start_ns
            if last.start_ns <= at_ns:
                # Only plain topologies walk beyond a tick, so there is no state to cut in two.
                kept = int(last.arrival_ns.searchsorted(at_ns))
                self._nth += kept
                if kept:
                    self._latest = {ref: each.at(kept) for ref, each in last.history.items()}
                self._stretches.append(replace(last, arrival_ns=last.arrival_ns[:kept]))
                self.walked_ns = at_ns
                return
        raise ValueError(f"cannot go back to {at_ns} ns: {self.walked_ns} ns is the earliest known")
