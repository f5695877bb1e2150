"""Queue, backpressure and circuit breaker of an operation: state that moves on tick by tick.

A :class:`State` is a value. A tick's requests meet it as it stood when the tick began; what becomes
of them waits in it, as *pending*, until the first tick that begins after their end:

    tick = Tick(operation, state, number)
    refused = tick.admit(start_ns)                  # per visit, in the order of the walk
    tick.record(start_ns, end_ns, failed, trace)    # of those admitted, once they are walked
    state = tick.value()

All users of a process share it. The traces of a tick are one batch, or several if they are very
many: who comes first in the order of (batch, visit, arrival) gets a place in the queue, or is the
probe. Times are ns since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine.schedule import TICK_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.topology.model import Backpressure, CircuitBreaker, Operation

# What becomes of a request, int8.
ADMITTED: Final = 0
CIRCUIT_OPEN: Final = 1
QUEUE_FULL: Final = 2

# The rows of `State.pending`.
START, END, TRACE, FAILED, PROBE = range(5)


class Phase(IntEnum):
    """What a circuit breaker does with a request."""

    CLOSED = 0
    """Admits it."""
    OPEN = 1
    """Refuses it."""
    HALF_OPEN = 2
    """Admits one a tick as a probe, and none while the probe is out."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What an operation remembers; without arguments, at the epoch.

    phase, probing  of the breaker, and whether a probe is out
    opened_ns       when the breaker opened last; it is no longer of use once it is closed
    failures_ns     int64[failures]    the latest failures while closed, ascending: fewer than the
                    threshold, none so old that it cannot count any more
    openings        how often the breaker has opened
    average_ns      running average of latencies, 0 before the first
    pending         int64[5, requests]  admitted, and not ended before the tick: START, END (times),
                    TRACE (its number), FAILED, PROBE (0 or 1)
    """

    phase: Phase = Phase.CLOSED
    probing: bool = False
    opened_ns: int = 0
    failures_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    openings: int = 0
    average_ns: float = 0.0
    pending: NDArray[np.int64] = field(default_factory=lambda: np.empty((5, 0), np.int64))


def guarded(operation: Operation) -> bool:
    """Return whether *operation* keeps any state: one of the three that is not switched off."""
    pressure = operation.backpressure
    slows = pressure is not None and pressure.latency_threshold > 0
    return slows or operation.queue_depth > 0 or operation.circuit_breaker is not None


def advance(operation: Operation, state: State, tick: int) -> State:
    """Return the state with which *tick* begins, *state* being that of an earlier one.

    One step over many ticks gives the same as many steps.
    """
    start_ns = tick * TICK_NS
    ended = state.pending[END] < start_ns
    if ended.any():
        done = state.pending[:, ended]
        done = done[:, np.lexsort((done[TRACE], done[END]))]
        state = replace(state, pending=state.pending[:, ~ended])
        if operation.backpressure is not None:
            state = replace(state, average_ns=_average_ns(state.average_ns, done))
        if operation.circuit_breaker is not None:
            state = _judged(operation.circuit_breaker, state, done)
    if state.phase is Phase.OPEN:
        assert operation.circuit_breaker is not None
        if start_ns - state.opened_ns >= operation.circuit_breaker.cooldown:
            return replace(state, phase=Phase.HALF_OPEN)
    return state


class Tick:
    """An operation in one tick: what its requests meet, and what they leave.

    Attributes:
        duration_factor: what the mean duration of this tick's requests is multiplied by.
        error_add: what is added to their error rate; the sum is cut at 1.
        openings: how often the breaker opened since *state*.
    """

    def __init__(self, operation: Operation, state: State, tick: int) -> None:
        self._state = advance(operation, state, tick)
        self._depth = operation.queue_depth
        self._recorded = [self._state.pending]
        self._probing = self._state.probing
        self.openings = self._state.openings - state.openings
        self.duration_factor, self.error_add = 1.0, 0.0
        pressure = operation.backpressure
        if pressure is not None and _slow(pressure, self._state.average_ns):
            self.duration_factor = min(max(pressure.duration_multiplier, 1.0), _MOST_FACTOR)
            self.error_add = pressure.error_rate_add

    def admit(self, start_ns: NDArray[np.int64]) -> NDArray[np.int8] | None:
        """Return what becomes of the requests of one visit: int8[rows], None if all are admitted.

        start_ns int64[rows]: when they start, in this tick or a later one, in order of arrival.

        A request occupies its place in the queue from the tick in which it starts through the one
        in which it ends.
        """
        match self._state.phase:
            case Phase.OPEN:
                return np.full(start_ns.size, CIRCUIT_OPEN, np.int8)
            case Phase.HALF_OPEN:
                return self._admit_probe(start_ns)
            case Phase.CLOSED:
                if not self._depth:
                    return None
                ticks = start_ns // TICK_NS
                full = self._in_flight(ticks) + _rank(ticks) >= self._depth
                return (
                    np.where(full, np.int8(QUEUE_FULL), np.int8(ADMITTED)) if full.any() else None
                )

    def record(
        self,
        start_ns: NDArray[np.int64],
        end_ns: NDArray[np.int64],
        failed: NDArray[np.bool_],
        trace: NDArray[np.int64],
    ) -> None:
        """Note how the requests that :meth:`admit` let in last went; one element per request.

        trace: their numbers, by which those are ordered that end in the same nanosecond.
        """
        # A breaker that is half open lets in nothing else.
        probe = np.full(start_ns.size, self._state.phase is Phase.HALF_OPEN)
        self._recorded.append(np.array((start_ns, end_ns, trace, failed, probe), np.int64))

    def value(self) -> State:
        """Return the state after what was recorded so far."""
        pending = np.concatenate(self._recorded, axis=1)
        return replace(self._state, pending=pending, probing=self._probing)

    def _admit_probe(self, start_ns: NDArray[np.int64]) -> NDArray[np.int8]:
        """Admit the first request for which the queue has a place, if no probe is out."""
        found = np.full(start_ns.size, CIRCUIT_OPEN, np.int8)
        if self._probing or not start_ns.size:
            return found
        probe = 0
        if self._depth:
            places = np.flatnonzero(self._in_flight(start_ns // TICK_NS) < self._depth)
            probe = int(places[0]) if places.size else start_ns.size
        found[:probe] = QUEUE_FULL
        found[probe : probe + 1] = ADMITTED
        self._probing = probe < start_ns.size
        return found

    def _in_flight(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many of the requests known so far occupy a place in each of *ticks*.

        In plain Python: ``[sum(start // TICK_NS <= tick <= end // TICK_NS for start, end in known)
        for tick in ticks]``
        """
        known = np.concatenate([each[START : END + 1] for each in self._recorded], axis=1)
        distinct, place = np.unique(ticks, return_inverse=True)
        begin_ns = distinct * TICK_NS
        begun = _counts_below(begin_ns + TICK_NS, known[START])
        return (begun - _counts_below(begin_ns, known[END]))[place]


def _counts_below(edges: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of *values* are below each of *edges*, which are few and ascending."""
    # 10x over sorting the values, at 50,000 values and 4 edges.
    return np.bincount(edges.searchsorted(values, "right"), minlength=edges.size + 1)[:-1].cumsum()


def _rank(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row how many before it have the same tick: int64[rows].

    In plain Python: ``[ticks[:row].count(tick) for row, tick in enumerate(ticks)]``
    """
    order = ticks.argsort(kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size) - ticks[order].searchsorted(ticks[order])
    return rank


# Factors above act as this one, simulation rule of the reference generator.
_MOST_FACTOR: Final = 10.0

# The average moves by this share of the way to each new latency.
_WEIGHT: Final = 0.3
_KEEP: Final = 1 - _WEIGHT
# 0.7 ** 104 is below 2 ** -53: what lies further back no longer shows in a float64.
_WEIGHTS: Final = _WEIGHT * _KEEP ** np.arange(103, -1, -1)

# An average comes down to steady latencies without ever arriving; this near it is there. The
# reference generator's average, of whole nanoseconds, does arrive.
_SLACK_NS: Final = 1 / 1024


def _slow(pressure: Backpressure, average_ns: float) -> bool:
    return 0 < pressure.latency_threshold < average_ns - _SLACK_NS


def _average_ns(average_ns: float, done: NDArray[np.int64]) -> float:
    """Return the running average after the requests *done*, in order of their ends.

    L = x where L is 0, else 0.3 * x + 0.7 * L; written out, a weighted sum of the last latencies.
    """
    latency_ns = done[END] - done[START]
    # Tick by tick: sums are rounded alike, however many ticks are gone through at once.
    last = np.flatnonzero(np.diff(done[END] // TICK_NS)) + 1
    for ended in np.split(latency_ns, last):
        counted = ended
        if average_ns == 0:
            counted = np.trim_zeros(ended, "f")
            average_ns = float(counted[0]) if counted.size else 0.0
        recent = counted[-_WEIGHTS.size :]
        weights = _WEIGHTS[_WEIGHTS.size - recent.size :]
        average_ns = _KEEP**counted.size * average_ns + float(weights @ recent)
    return average_ns


def _judged(breaker: CircuitBreaker, state: State, done: NDArray[np.int64]) -> State:
    """Return *state* after the breaker has seen the outcomes *done*, in order of their ends."""
    if state.phase is not Phase.CLOSED:
        # Only the probe counts; requests admitted before the breaker opened are stragglers.
        probe = np.flatnonzero(done[PROBE])
        if not probe.size:
            return state
        if done[FAILED, probe[0]]:
            return _opened(state, int(done[END, probe[0]]))
        state = replace(state, phase=Phase.CLOSED, probing=False)
        done = done[:, probe[0] + 1 :]
    failed_ns = done[END, done[FAILED] == 1]
    if not failed_ns.size:
        return state
    failures_ns = np.concatenate((state.failures_ns, failed_ns))
    before = breaker.failure_threshold - 1
    latest, earliest = failures_ns[before:], failures_ns[: max(failures_ns.size - before, 0)]
    forgets = breaker.window > 0
    hits = np.flatnonzero(latest - earliest <= breaker.window) if forgets else range(latest.size)
    if len(hits):
        return _opened(state, int(latest[hits[0]]))
    failures_ns = failures_ns[max(failures_ns.size - before, 0) :]
    if forgets:
        failures_ns = failures_ns[failures_ns >= failed_ns[-1] - breaker.window]
    return replace(state, failures_ns=failures_ns)


def _opened(state: State, at_ns: int) -> State:
    return replace(
        state,
        phase=Phase.OPEN,
        probing=False,
        opened_ns=at_ns,
        failures_ns=np.empty(0, np.int64),
        openings=state.openings + 1,
    )
