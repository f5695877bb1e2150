from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.state import (
    ADMITTED,
    CIRCUIT_OPEN,
    QUEUE_FULL,
    Phase,
    State,
    Tick,
    _rank,
    advance,
    guarded,
)
from motel_locust.topology.model import Operation
from tests.oracles.state import ScalarGuard

MS = 1_000_000


def operation(**settings: Any) -> Operation:
    return Operation.model_validate({"duration": "10ms", **settings})


def breaker(threshold: int, window: str, cooldown: str) -> dict[str, Any]:
    return {"failure_threshold": threshold, "window": window, "cooldown": cooldown}


def admit(tick: Tick, *start_ns: int) -> list[int]:
    codes = tick.admit(np.array(start_ns, np.int64))
    return [ADMITTED] * len(start_ns) if codes is None else codes.tolist()


def record(tick: Tick, *requests: tuple[int, int, bool, int]) -> None:
    start, end, failed, trace = np.array(requests, np.int64).reshape(-1, 4).T
    tick.record(start, end, failed.astype(np.bool_), trace)


@dataclass
class Arrival:
    """Some requests that arrive in one tick: what decides over them is drawn beforehand.

    visits: per visit, per request, its delay after the tick's start, its latency, its failure.
    """

    tick: int
    visits: list[list[tuple[int, int, bool]]]


delays = st.sampled_from([0, 1, TICK_NS - 1, TICK_NS, 35 * MS, 61_234_567])
latencies = st.sampled_from([0, 1, MS, TICK_NS - 1, TICK_NS, 23 * MS, 54_321_012, 300 * MS])
visits = st.lists(st.tuples(delays, latencies, st.booleans()), max_size=6)
arrivals = st.lists(
    st.builds(Arrival, st.integers(1, 12), st.lists(visits, max_size=3)), min_size=1, max_size=25
)
operations = st.builds(
    lambda depth, threshold, window, cooldown, limit, factor, add: operation(
        queue_depth=depth,
        circuit_breaker=breaker(threshold, window, cooldown) if threshold else None,
        backpressure={
            "latency_threshold": limit,
            "duration_multiplier": factor,
            "error_rate_add": add,
        }
        if limit
        else None,
    ),
    st.sampled_from([0, 0, 1, 2, 5]),
    st.sampled_from([0, 1, 2, 3, 8]),
    st.sampled_from(["0s", "-1s", "20ms", "150ms", "10s"]),
    st.sampled_from(["0s", "-1s", "15ms", "200ms"]),
    st.sampled_from([None, "0s", "9ms", "30ms"]),
    st.sampled_from([0, 0.5, 2.5, 20]),
    st.sampled_from(["0%", "25%"]),
)


def serve(tick: Tick, now: int, visit: list[tuple[int, int, bool]], first: int = 0) -> list[int]:
    """Let *tick* decide over the requests of a visit, and record those admitted."""
    starts = [now * TICK_NS + delay for delay, _, _ in visit]
    codes = admit(tick, *starts)
    record(
        tick,
        *(
            (start, start + latency, failed, first + row)
            for row, (start, (_, latency, failed)) in enumerate(zip(starts, visit, strict=True))
            if codes[row] == ADMITTED
        ),
    )
    return codes


def play(one: Operation, story: list[Arrival], *, jump: bool = True) -> list[Any]:
    """Return what the requests of *story* met; without *jump*, going through every tick."""
    state, now, trace, met = State(), 0, 0, []
    for arrival in story:
        following = now + arrival.tick
        if not jump:
            for passed in range(now, following):
                state = advance(one, state, passed)
        now = following
        tick = Tick(one, state, now)
        met.append((tick.duration_factor, tick.error_add))
        for visit in arrival.visits:
            met.append(serve(tick, now, visit, first=trace))
            trace += len(visit)
        state = tick.value()
    met.append((state.phase.name, state.probing, state.openings))
    return met


def play_by_rows(one: Operation, story: list[Arrival]) -> list[Any]:
    """Return the same as :func:`play` by the scalar rules."""
    guard, now, trace, met = ScalarGuard(one), 0, 0, []
    for arrival in story:
        now += arrival.tick
        guard.begin(now)
        met.append(guard.pressure())
        for visit in arrival.visits:
            starts = [now * TICK_NS + delay for delay, _, _ in visit]
            codes = guard.admit(starts)
            met.append(codes)
            for row, (start, (_, latency, failed)) in enumerate(zip(starts, visit, strict=True)):
                if codes[row] == ADMITTED:
                    guard.record(start, start + latency, failed, trace + row)
            trace += len(visit)
    names = {"closed": "CLOSED", "open": "OPEN", "half-open": "HALF_OPEN"}
    met.append((names[guard.breaker], guard.probing, guard.openings))
    return met


@settings(max_examples=300, deadline=None)
@given(operations, arrivals)
def test_all_is_as_when_done_request_by_request(one: Operation, story: list[Arrival]) -> None:
    assert play(one, story) == play_by_rows(one, story)


@settings(max_examples=100, deadline=None)
@given(operations, arrivals)
def test_ticks_without_arrivals_need_no_look(one: Operation, story: list[Arrival]) -> None:
    assert play(one, story, jump=False) == play(one, story)


@settings(max_examples=100, deadline=None)
@given(operations, arrivals, st.lists(st.integers(1, 60), max_size=10))
def test_one_step_over_many_ticks_equals_many_steps(
    one: Operation, story: list[Arrival], stops: list[int]
) -> None:
    tick = Tick(one, State(), 0)
    for arrival in story:
        for visit in arrival.visits:
            record(tick, *((delay, delay + latency, bad, 5) for delay, latency, bad in visit))
    at_once, by_steps = tick.value(), tick.value()
    for stop in sorted(stops):
        by_steps = advance(one, by_steps, stop)
    at_once = advance(one, at_once, max(stops, default=0))
    for name in ("phase", "probing", "opened_ns", "openings", "average_ns"):
        assert getattr(at_once, name) == getattr(by_steps, name)
    assert at_once.failures_ns.tolist() == by_steps.failures_ns.tolist()
    assert at_once.pending.tolist() == by_steps.pending.tolist()


@settings(max_examples=60, deadline=None)
@given(operations, arrivals, st.integers(0, 24))
def test_an_old_value_stays_usable(one: Operation, story: list[Arrival], middle: int) -> None:
    def go_on(now: int, state: State, rest: list[Arrival]) -> list[tuple[int, State, Any]]:
        met = []
        for arrival in rest:
            now += arrival.tick
            tick = Tick(one, state, now)
            codes = [serve(tick, now, visit) for visit in arrival.visits]
            state = tick.value()
            met.append((now, state, codes))
        return met

    whole = go_on(0, State(), story)
    middle = min(middle, len(story) - 1)
    again = go_on(*whole[middle][:2], story[middle + 1 :])
    assert [codes for *_, codes in again] == [codes for *_, codes in whole[middle + 1 :]]


def test_a_breaker_goes_round_as_in_the_reference() -> None:
    one = operation(error_rate="100%", circuit_breaker=breaker(3, "250ms", "200ms"))
    state, met = State(), []
    for trace in range(10):
        start = trace * 100 * MS
        tick = Tick(one, state, start // TICK_NS)
        (code,) = admit(tick, start)
        met.append("refused" if code else "error")
        record(tick, *([] if code else [(start, start, True, trace)]))
        state = tick.value()
    assert met == [*["error"] * 3, *["refused", "error"] * 3, "refused"]
    assert state.openings == 4  # at 200, 400, 600 and 800 ms


def test_backpressure_goes_up_and_down_as_in_the_reference() -> None:
    pressure = {"latency_threshold": "15ms", "duration_multiplier": 1.2, "error_rate_add": "10%"}
    one = operation(backpressure=pressure)
    state, durations, averages, added = State(), [], [], []
    for trace in range(11):
        tick = Tick(one, state, trace * 10)
        if trace:
            averages.append(advance(one, state, trace * 10).average_ns / MS)
        mean = 40 * MS if trace == 5 else 10 * MS
        duration = int(mean * tick.duration_factor)
        durations.append(duration / MS)
        added.append(tick.error_add)
        start = trace * 10 * TICK_NS
        record(tick, (start, start + duration, False, trace))
        state = tick.value()
    assert durations == [10, 10, 10, 10, 10, 40, 12, 12, 12, 10, 10]
    assert averages == pytest.approx([10, 10, 10, 10, 10, 19, 16.9, 15.43, 14.401, 13.0807])
    assert added == [0, 0, 0, 0, 0, 0, 0.1, 0.1, 0.1, 0, 0]


@pytest.mark.parametrize(("written", "acts"), [(0, 1), (0.5, 1), (1, 1), (3, 3), (20, 10)])
def test_a_factor_acts_between_one_and_ten(written: float, acts: float) -> None:
    one = operation(backpressure={"latency_threshold": "1ms", "duration_multiplier": written})
    tick = Tick(one, State(), 0)
    record(tick, (0, 2 * MS, False, 0))
    assert Tick(one, tick.value(), 0).duration_factor == 1
    assert Tick(one, tick.value(), 1).duration_factor == acts


@pytest.mark.parametrize("requests", [70, 1000])
def test_an_average_that_comes_down_to_the_threshold_ends_the_pressure(requests: int) -> None:
    one = operation(backpressure={"latency_threshold": "7ms", "duration_multiplier": 2})
    tick = Tick(one, State(), 0)
    record(tick, (0, 9 * MS, False, 0))
    tick = Tick(one, tick.value(), 1)
    assert tick.duration_factor == 2
    record(tick, *[(TICK_NS, TICK_NS + 7 * MS, False, 1)] * requests)
    assert Tick(one, tick.value(), 2).duration_factor == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=300))
def test_many_latencies_average_as_one_by_one(latencies: list[int]) -> None:
    one = operation(backpressure={"latency_threshold": "1s"})
    tick = Tick(one, State(), 0)
    # All end together, in order of their traces.
    end = 10**10
    record(tick, *((end - each, end, False, row) for row, each in enumerate(latencies)))
    expected = 0.0
    for each in latencies:
        expected = each if expected == 0 else 0.3 * each + 0.7 * expected
    average = advance(one, tick.value(), end // TICK_NS + 1).average_ns
    assert average == pytest.approx(expected, rel=1e-12, abs=1e-3)


def test_a_request_that_ends_in_a_tick_counts_after_it() -> None:
    one = operation(circuit_breaker=breaker(1, "1s", "1s"))
    tick = Tick(one, State(), 0)
    record(tick, (0, TICK_NS, True, 0))
    assert admit(Tick(one, tick.value(), 1), TICK_NS) == [ADMITTED]
    after = Tick(one, tick.value(), 2)
    assert admit(after, 2 * TICK_NS) == [CIRCUIT_OPEN]
    assert after.openings == 1


def test_a_full_queue_refuses_the_last_comers_until_a_place_is_free() -> None:
    one = operation(queue_depth=2)
    tick = Tick(one, State(), 0)
    assert admit(tick, 0, 1, 2) == [ADMITTED, ADMITTED, QUEUE_FULL]
    record(tick, (0, 25 * MS, False, 0), (1, 5 * MS, False, 1))
    assert admit(tick, 3) == [QUEUE_FULL]
    state = tick.value()
    assert admit(Tick(one, state, 1), 10 * MS, 11 * MS) == [ADMITTED, QUEUE_FULL]
    assert admit(Tick(one, state, 2), 20 * MS, 21 * MS) == [ADMITTED, QUEUE_FULL]
    assert Tick(one, state, 3).admit(np.array([30 * MS, 31 * MS])) is None


def test_a_request_takes_its_place_when_it_starts_not_when_its_trace_arrives() -> None:
    one = operation(queue_depth=1)
    first = Tick(one, State(), 0)
    assert admit(first, 55 * MS, 95 * MS) == [ADMITTED, ADMITTED]
    record(first, (55 * MS, 62 * MS, False, 0), (95 * MS, 96 * MS, False, 1))
    second = Tick(one, first.value(), 1)
    assert admit(second, 49 * MS, 59 * MS, 69 * MS, 70 * MS, 90 * MS) == [
        ADMITTED,
        QUEUE_FULL,
        QUEUE_FULL,
        ADMITTED,
        QUEUE_FULL,
    ]


def test_one_probe_is_out_at_a_time_and_a_refused_one_is_none() -> None:
    one = operation(queue_depth=1, circuit_breaker=breaker(1, "1s", "30ms"))
    tick = Tick(one, State(), 0)
    record(tick, (0, 1, True, 0), (0, 75 * MS, True, 1))
    state = tick.value()
    assert admit(Tick(one, state, 2), 20 * MS) == [CIRCUIT_OPEN]

    half_open = Tick(one, state, 4)
    assert admit(half_open, 40 * MS, 41 * MS) == [QUEUE_FULL, QUEUE_FULL]
    assert admit(half_open, 42 * MS, 80 * MS, 80 * MS) == [QUEUE_FULL, ADMITTED, CIRCUIT_OPEN]
    record(half_open, (80 * MS, 105 * MS, False, 2))
    assert admit(half_open, 120 * MS) == [CIRCUIT_OPEN]

    # The straggler's failure at 75 ms is none of the probe's business.
    waiting = Tick(one, half_open.value(), 9)
    assert admit(waiting, 200 * MS) == [CIRCUIT_OPEN]
    assert admit(Tick(one, waiting.value(), 11), 110 * MS) == [ADMITTED]


def test_failures_after_a_probes_success_may_open_the_breaker_again() -> None:
    one = operation(circuit_breaker=breaker(2, "1s", "0s"))
    tick = Tick(one, State(), 0)
    record(
        tick, (0, 1, True, 0), (0, 2, True, 1), *((0, 15 * MS + row, True, row) for row in (2, 3))
    )
    probing = Tick(one, tick.value(), 1)
    assert admit(probing, TICK_NS, TICK_NS) == [ADMITTED, CIRCUIT_OPEN]
    record(probing, (TICK_NS, 15 * MS, False, 4))
    state = advance(one, probing.value(), 2)
    assert (state.phase, state.openings) == (Phase.HALF_OPEN, 2)


def test_a_failure_exactly_as_old_as_the_window_still_counts() -> None:
    one = operation(circuit_breaker=breaker(2, "50ms", "1h"))
    for age_ns, phase in ((50 * MS, Phase.OPEN), (50 * MS + 1, Phase.CLOSED)):
        tick = Tick(one, State(), 0)
        record(tick, (0, 3, True, 0), (0, 3 + age_ns, True, 1))
        assert advance(one, tick.value(), 10).phase is phase


def test_a_window_of_nothing_never_forgets() -> None:
    one = operation(circuit_breaker=breaker(2, "0s", "1h"))
    tick = Tick(one, State(), 0)
    record(tick, (0, 3, True, 0), (0, 3600 * 1000 * MS, True, 1))
    assert advance(one, tick.value(), 400_000).phase is Phase.OPEN


def test_failures_that_cannot_count_any_more_are_not_kept() -> None:
    one = operation(circuit_breaker=breaker(1_000_000, "100ms", "1h"))
    state = State()
    for number in range(200):
        tick = Tick(one, state, number)
        record(tick, (number * TICK_NS, number * TICK_NS, True, number))
        state = tick.value()
    assert state.failures_ns.size <= 11


def test_only_what_is_switched_on_is_guarded() -> None:
    assert not guarded(operation())
    assert not guarded(operation(backpressure={"latency_threshold": "0"}))
    assert guarded(operation(backpressure={"latency_threshold": "1ns"}))
    assert guarded(operation(queue_depth=1))
    assert guarded(operation(circuit_breaker=breaker(1, "0", "0")))


def test_a_visit_without_rows_changes_nothing() -> None:
    one = operation(queue_depth=1, circuit_breaker=breaker(1, "1s", "0s"))
    tick = Tick(one, State(), 0)
    assert admit(tick) == []
    record(tick)
    record(tick, (0, 1, True, 0))
    half_open = Tick(one, tick.value(), 1)
    assert admit(half_open) == []
    assert admit(half_open, TICK_NS) == [ADMITTED]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4)))
def test_ranks_are_those_of_plain_python(ticks: list[int]) -> None:
    expected = [ticks[:row].count(tick) for row, tick in enumerate(ticks)]
    assert _rank(np.array(ticks, np.int64)).tolist() == expected
