from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.schedule import TICK_NS, Schedule, _without
from motel_locust.engine.traffic import Timeline
from tests.engine.timelines import SECOND_NS, topologies, topology, window
from tests.oracles import schedule as oracle

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology
    from motel_locust.topology.traffic import Arrivals

HOUR_NS = 3600 * SECOND_NS

ways: st.SearchStrategy[Arrivals] = st.sampled_from(["paced", "poisson"])
instants = st.integers(0, 70 * SECOND_NS)
ticks = instants.map(lambda t_ns: t_ns // TICK_NS * TICK_NS)
crowds = st.lists(
    st.builds(
        lambda joined_ns, stays_ns: (joined_ns, joined_ns + stays_ns),
        ticks,
        st.sampled_from([0, TICK_NS, SECOND_NS, 30 * SECOND_NS, HOUR_NS]),
    ),
    max_size=6,
)


def schedule(
    one: Topology | str, crowd: list[tuple[int, int]] = (), arrivals: Arrivals = "paced"
) -> Schedule:
    """Return the schedule of users who each join and leave once, in the order of the list."""
    timeline = Timeline(topology(one) if isinstance(one, str) else one)
    made = Schedule(timeline, arrivals=arrivals, key=7)
    for user, (joined_ns, left_ns) in enumerate(crowd):
        made.join(user, joined_ns)
        if left_ns < HOUR_NS:
            made.leave(user, left_ns)
    return made


def due(made: Schedule, start_ns: int, stop_ns: int) -> list[int]:
    return made.due(start_ns, stop_ns).tolist()


@settings(max_examples=80, deadline=None)
@given(topologies(), crowds, ways, st.lists(instants, min_size=2, max_size=8))
def test_what_is_due_does_not_depend_on_how_it_is_asked_for(
    one: Topology, crowd: list[tuple[int, int]], arrivals: Arrivals, cuts: list[int]
) -> None:
    cuts = sorted(cuts)
    whole = due(schedule(one, crowd, arrivals), cuts[0], cuts[-1])
    parts = schedule(one, crowd, arrivals)
    assert [at for start, stop in pairwise(cuts) for at in due(parts, start, stop)] == whole
    backwards = [due(parts, start, stop) for start, stop in reversed(list(pairwise(cuts)))]
    assert [at for part in reversed(backwards) for at in part] == whole
    assert whole == sorted(whole)
    assert all(cuts[0] <= at < cuts[-1] for at in whole)


@settings(max_examples=80, deadline=None)
@given(topologies(), crowds, instants)
def test_by_any_time_a_user_has_made_the_floor_of_the_integral_and_its_phase(
    one: Topology, crowd: list[tuple[int, int]], until_ns: int
) -> None:
    timeline = Timeline(one)
    for user, (joined_ns, left_ns) in enumerate(crowd):
        made = schedule(one)
        made.join(user, joined_ns)
        made.leave(user, left_ns)
        counted = len(due(made, 0, until_ns))
        stop_ns = max(min(until_ns, left_ns), joined_ns)
        first, last = timeline.arrivals(np.array([joined_ns, stop_ns]))
        # The n-th arrival, n from 0, is before that time where n + phase is below the integral.
        owed = last - first - user * 0.618034 % 1
        assert max(0, math.ceil(owed - 1e-6)) <= counted <= max(0, math.ceil(owed + 1e-6))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 90)), max_size=5, unique=True),
    st.sampled_from(["10/s", "3/s", "7/m", "20/m", "1000/s", "90/h", "0.3/s"]),
    st.integers(0, 90 * SECOND_NS),
    st.integers(0, 3 * SECOND_NS),
)
def test_a_uniform_schedule_is_that_of_exact_arithmetic(
    joins: list[tuple[int, int]], rate: str, start_ns: int, length_ns: int
) -> None:
    made = schedule(rate)
    users = [oracle.User(user, at_s * SECOND_NS) for user, at_s in dict(joins).items()]
    for user in users:
        made.join(user.index, user.joined_ns)
    number, unit = rate.split("/")
    per_s = float(number) / {"s": 1, "m": 60, "h": 3600}[unit]
    stop_ns = start_ns + length_ns
    assert due(made, start_ns, stop_ns) == oracle.uniform(users, per_s, start_ns, stop_ns)


def test_the_first_user_begins_with_its_joining_and_round_rates_have_round_times() -> None:
    for rate, step_ns in (("10/s", 10**8), ("20/m", 3 * 10**9), ("1/h", 3600 * 10**9)):
        made = schedule(rate)
        made.join(0, 7 * TICK_NS)
        expected = [7 * TICK_NS + nth * step_ns for nth in range(50)]
        assert due(made, 0, 7 * TICK_NS + 50 * step_ns) == expected


def test_a_rate_of_a_third_keeps_its_round_times_for_days() -> None:
    made = schedule("20/m")
    made.join(0, 0)
    week_ns = 7 * 24 * HOUR_NS
    assert due(made, week_ns, week_ns + 9 * SECOND_NS + 1) == [
        week_ns + at_s * SECOND_NS for at_s in (0, 3, 6, 9)
    ]


def test_users_are_spread_over_the_interval() -> None:
    made = schedule("1/s", [(0, HOUR_NS)] * 100)
    gaps = np.diff(made.due(0, SECOND_NS + 1))
    # The three-gap theorem; 100 lies between the Fibonacci numbers 89 and 144.
    ratio = (math.sqrt(5) - 1) / 2
    assert gaps.min() == pytest.approx(ratio**11 * SECOND_NS, rel=0.01)
    assert gaps.max() == pytest.approx(ratio**9 * SECOND_NS, rel=0.01)


def test_a_rate_so_low_that_rounding_matters_loses_no_first_trace() -> None:
    # A trace in a thousand years, of which a float64 behind 33 traces knows no single nanosecond.
    segments = [{"until": "3330ms", "rate": "10.03/s"}]
    low = topology({"rate": "0.0000001/h", "pattern": "custom", "segments": segments})
    for joined_ns in range(4 * SECOND_NS, 1_000 * SECOND_NS, 7_770 * 10**6):
        made = schedule(low)
        made.join(0, joined_ns)
        assert due(made, 0, joined_ns) == []
        assert len(due(made, joined_ns, HOUR_NS)) == 1


def test_rounding_hides_no_arrival_between_two_nanoseconds() -> None:
    # Behind 33 traces a float64 of traces does not move in a nanosecond of this rate.
    segments = [{"until": "3330ms", "rate": "10.03/s"}]
    low = topology({"rate": "0.0001/h", "pattern": "custom", "segments": segments})
    crowd = [(4 * SECOND_NS, 20 * HOUR_NS)] * 20_000
    times = due(schedule(low, crowd), 0, 10 * HOUR_NS)
    assert len(times) == pytest.approx(20, abs=2)
    again = schedule(low, crowd)
    # Backwards, so that each question is a new one.
    assert [due(again, at, at + 1) for at in reversed(times)] == [[at] for at in reversed(times)]


def test_an_arrival_rounded_up_into_the_next_block_is_found_there() -> None:
    # One trace in 59.9999999995 s, blocks being of 60 s.
    rate, minute_ns = "0.016666666666805555/s", 60 * SECOND_NS
    assert due(schedule(rate, [(0, HOUR_NS)]), 0, minute_ns) == [0]
    assert due(schedule(rate, [(0, HOUR_NS)]), minute_ns, 2 * minute_ns - 1) == [minute_ns]


def test_nobody_there_nothing_due() -> None:
    made = schedule("10/s")
    assert due(made, 0, HOUR_NS) == []
    assert made.horizon(5, traces=100, at_most_ns=HOUR_NS) == HOUR_NS
    assert made.rate(0) == 0
    assert due(schedule("10/s", [(0, HOUR_NS)]), 5, 5) == []


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "share", "due", "forget"]),
        st.integers(0, 4),
        st.integers(0, 30).map(lambda at: at * 250 * 10**6),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(topologies(), ways, steps)
def test_what_is_due_depends_on_users_alone_not_on_what_was_asked_before(
    one: Topology, arrivals: Arrivals, walk: list[Step]
) -> None:
    used = Schedule(Timeline(one), arrivals=arrivals, key=1)
    told: list[Step] = []
    present: set[int] = set()
    forgotten_ns = 0
    for verb, user, at_ns in walk:
        at_ns = max(at_ns, forgotten_ns)
        match verb:
            case "join" if user not in present:
                used.join(user, at_ns)
                present.add(user)
            case "leave" if user in present:
                used.leave(user, at_ns)
                present.remove(user)
            case "share":
                used.share(user or None, at_ns)
            case "forget":
                used.forget(at_ns)
                forgotten_ns = at_ns
                continue
            case "due":
                found = due(used, at_ns, at_ns + user * SECOND_NS)
                fresh = Schedule(Timeline(one), arrivals=arrivals, key=1)
                replay(fresh, told)
                assert found == due(fresh, at_ns, at_ns + user * SECOND_NS)
                continue
            case _:
                continue
        told.append((verb, user, at_ns))


def replay(made: Schedule, told: list[Step]) -> None:
    for verb, user, at_ns in told:
        match verb:
            case "join":
                made.join(user, at_ns)
            case "leave":
                made.leave(user, at_ns)
            case "share":
                made.share(user or None, at_ns)


def test_a_user_who_left_is_quiet_and_may_join_again_as_if_new() -> None:
    made = schedule("2/s")
    made.join(0, 0)
    made.leave(0, SECOND_NS)
    made.join(0, 2 * SECOND_NS + TICK_NS)
    half_ns, again_ns = SECOND_NS // 2, 2 * SECOND_NS + TICK_NS
    assert due(made, 0, 3 * SECOND_NS) == [0, half_ns, again_ns, again_ns + half_ns]


def test_a_departure_noticed_late_takes_back_what_was_due() -> None:
    made = schedule("2/s", [(0, HOUR_NS), (0, HOUR_NS)])
    assert len(due(made, 0, 10 * SECOND_NS)) == 40
    made.leave(0, 3 * SECOND_NS)
    assert len(due(made, 0, 10 * SECOND_NS)) == 26
    made.leave(1, SECOND_NS)
    assert len(due(made, SECOND_NS, 10 * SECOND_NS)) == 4


def test_joining_twice_and_leaving_twice_are_refused() -> None:
    made = schedule("1/s")
    with pytest.raises(ValueError, match="user 3 has not joined"):
        made.leave(3, 0)
    made.join(3, 0)
    with pytest.raises(ValueError, match="user 3 has joined already"):
        made.join(3, 0)


def test_users_who_share_a_rate_make_it_together() -> None:
    made = schedule("60/s")
    for user in range(6):
        made.join(user, user * SECOND_NS)
        made.share(user + 1, user * SECOND_NS)
    for second in range(5, 20):
        assert abs(len(due(made, second * SECOND_NS, (second + 1) * SECOND_NS)) - 60) <= 6
    made.share(None, 20 * SECOND_NS)
    assert made.rate(20 * SECOND_NS) == 360
    assert len(due(made, 20 * SECOND_NS, 30 * SECOND_NS)) == pytest.approx(3600, abs=6)


def test_a_scenarios_traffic_acts_at_the_instant_it_begins() -> None:
    spike = window("1s", "1s", {"rate": "100/s"})
    made = schedule(topology("1/s", spike), [(0, HOUR_NS)])
    found = due(made, 0, 4 * SECOND_NS)
    during = [SECOND_NS + nth * TICK_NS for nth in range(100)]
    assert found == [0, *during, 2 * SECOND_NS, 3 * SECOND_NS]


@settings(max_examples=60, deadline=None)
@given(topologies(), crowds, ways, instants, st.integers(1, 3000))
def test_the_horizon_holds_about_as_many_as_wanted(
    one: Topology, crowd: list[tuple[int, int]], arrivals: Arrivals, start_ns: int, traces: int
) -> None:
    made = schedule(one, crowd, arrivals)
    at_most_ns = start_ns + 20 * SECOND_NS
    stop_ns = made.horizon(start_ns, traces=traces, at_most_ns=at_most_ns)
    assert start_ns < stop_ns <= at_most_ns
    deviation = 4 * math.sqrt(traces) if arrivals == "poisson" else 0
    assert len(due(made, start_ns, stop_ns)) <= traces + len(crowd) + 1 + deviation


def test_a_poisson_process_has_its_mean_and_variance_in_every_window() -> None:
    made = schedule("100/s", [(0, 10 * HOUR_NS)], "poisson")
    windows, mean = 40_000, 10.0
    edges = np.arange(windows + 1) * (SECOND_NS // 10)
    counts = np.diff(made.due(0, int(edges[-1])).searchsorted(edges))
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / windows)
    # Var(s**2) of a Poisson variable is (mean + 2 mean**2) / n.
    assert abs(counts.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / windows)
    neighbours = np.corrcoef(counts[1:], counts[:-1])[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(windows)


def test_the_gaps_of_a_poisson_process_are_exponential() -> None:
    made = schedule("50/s", [(0, 10 * HOUR_NS)], "poisson")
    gaps = np.sort(np.diff(made.due(0, 1000 * SECOND_NS)) / SECOND_NS * 50)
    expected = -np.expm1(-gaps)
    found = (np.arange(gaps.size) + 0.5) / gaps.size
    # Kolmogorov: the distance stays below 2 / sqrt(n) but for one in 1500.
    assert np.abs(found - expected).max() < 2 / math.sqrt(gaps.size)


def test_poisson_users_are_independent_of_each_other() -> None:
    edges = np.arange(4001) * SECOND_NS
    first, second = (
        np.diff(schedule("5/s", crowd, "poisson").due(0, int(edges[-1])).searchsorted(edges))
        for crowd in ([(0, 10 * HOUR_NS)], [(0, 0), (0, 10 * HOUR_NS)])
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(edges.size)


def test_very_high_rates_fall_on_whole_nanoseconds() -> None:
    made = schedule("3000000000/s", [(0, HOUR_NS)])
    assert due(made, 0, 3) == [0, 1, 1, 1, 2, 2, 2]
    assert made.horizon(0, traces=1, at_most_ns=HOUR_NS) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_each_time_that_is_gone_is_taken_out_once(times: list[tuple[int, bool]]) -> None:
    whole = np.array(sorted(at for at, _ in times), np.int64)
    gone = np.array(sorted(at for at, leaves in times if leaves), np.int64)
    assert _without(whole, gone).tolist() == sorted(at for at, leaves in times if not leaves)


def test_the_first_user_at_an_enormous_rate_takes_no_memory_for_what_is_far_ahead() -> None:
    made = schedule("3000000/s")
    made.due(0, TICK_NS)  # nobody is there: looking far ahead costs nothing
    made.join(0, TICK_NS)
    tracemalloc.start()
    assert len(due(made, TICK_NS, TICK_NS + 100_000)) == 300
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 << 20
