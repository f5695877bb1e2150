from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.traffic import BLOCK_NS, Timeline
from tests.engine.timelines import SECOND_NS, patterns, topologies, topology, window
from tests.oracles import traffic as oracle

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology, Traffic

instants = st.integers(0, 130 * SECOND_NS)


def by(timeline: Timeline, t_ns: int) -> float:
    return float(timeline.arrivals(np.array([t_ns]))[0])


def peak(traffic: Traffic) -> float:
    """Return what no rate of *traffic* is above, in traces per second."""
    rates = [traffic.rate.per_s, *(segment.rate.per_s for segment in traffic.segments)]
    multiplier = max(1.0, traffic.peak_multiplier, traffic.burst_multiplier)
    overlay = traffic.overlay
    factor = 1.0 if overlay is None else peak(overlay) / overlay.rate.per_s
    return max(rates) * multiplier * factor


@settings(max_examples=60, deadline=None)
@given(topologies(), instants)
def test_arrivals_are_the_numeric_integral_of_the_rate(one: Topology, t_ns: int) -> None:
    # Nodes are exact. Between two of them a sine leaves its chord by up to 1 us of its base rate
    # and p - q, its multipliers' difference (see `Diurnal.edges`); of a product, once for each.
    traffics = [one.traffic, *(scenario.traffic for scenario in one.scenarios)]
    slack = 2e-6 * max(peak(each) for each in traffics if each is not None)
    expected = oracle.arrivals(one, t_ns)
    assert by(Timeline(one), t_ns) == pytest.approx(expected, rel=1e-9, abs=max(slack, 1e-6))


@settings(max_examples=60, deadline=None)
@given(topologies(), instants)
def test_the_rate_is_that_of_the_table(one: Topology, t_ns: int) -> None:
    assert Timeline(one).rate(t_ns) == pytest.approx(oracle.rate(one, t_ns), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(topologies(), st.lists(instants, min_size=2))
def test_arrivals_never_decrease(one: Topology, times: list[int]) -> None:
    traces = Timeline(one).arrivals(np.array(sorted(times)))
    assert (np.diff(traces) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(topologies(), st.permutations([0, 3, 59_999_999_999, 60 * SECOND_NS, 95_000_000_001]))
def test_what_was_asked_before_changes_nothing(one: Topology, times: list[int]) -> None:
    used = Timeline(one)
    assert [used.position(t_ns) for t_ns in times] == [
        Timeline(one).position(t_ns) for t_ns in times
    ]


@settings(max_examples=60, deadline=None)
@given(topologies(), instants, st.floats(0.001, 500))
def test_reaching_a_number_of_traces_undoes_counting_them(
    one: Topology, start_ns: int, traces: float
) -> None:
    timeline = Timeline(one)
    at_most_ns = start_ns + 600 * SECOND_NS
    at_ns = timeline.reach(start_ns, traces=traces, at_most_ns=at_most_ns)
    start = by(timeline, start_ns)
    if at_ns == at_most_ns:
        assert by(timeline, at_most_ns) <= start + traces + 1e-6
    else:
        assert by(timeline, at_ns - 1) - 1e-6 <= start + traces <= by(timeline, at_ns) + 1e-6


def test_reaching_costs_no_more_than_the_time_allowed() -> None:
    timeline = Timeline(topology("1/h"))
    assert timeline.reach(0, traces=1e9, at_most_ns=SECOND_NS) == SECOND_NS
    assert timeline.reach(SECOND_NS, traces=1.0, at_most_ns=SECOND_NS) == SECOND_NS


def test_a_diurnal_rate_starts_at_the_trough_and_peaks_after_half_a_period() -> None:
    timeline = Timeline(topology({"rate": "10/s", "pattern": "diurnal"}))
    hours = np.array([0, 6, 12, 18, 24]) * 3600 * SECOND_NS
    assert [timeline.rate(t_ns) for t_ns in hours.tolist()] == pytest.approx([5, 10, 15, 10, 5])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**15))
def test_a_diurnal_rate_stays_between_its_multiples_of_the_base(t_ns: int) -> None:
    traffic = {"rate": "8/s", "pattern": "diurnal", "period": "1h", "peak_multiplier": 3}
    assert 4 - 1e-9 <= Timeline(topology(traffic)).rate(t_ns) <= 24 + 1e-9


def test_bursts_begin_with_the_run_and_have_two_rates() -> None:
    traffic = {
        "rate": "2/s",
        "pattern": "bursty",
        "burst_interval": "10s",
        "burst_duration": "1s",
        "burst_multiplier": 4,
    }
    timeline = Timeline(topology(traffic))
    times_ns = [0, SECOND_NS - 1, SECOND_NS, 10 * SECOND_NS - 1, 10 * SECOND_NS]
    assert [timeline.rate(t_ns) for t_ns in times_ns] == [8, 8, 2, 2, 8]
    assert [timeline.position(each * SECOND_NS) for each in (1, 10, 11)] == [
        (8, 0.0),
        (26, 0.0),
        (34, 0.0),
    ]


def test_a_custom_rate_steps_exactly_at_the_end_of_a_segment() -> None:
    segments = [
        {"until": "3s", "rate": "20/s"},
        {"until": "1s", "rate": "7/s"},
        {"until": "0", "rate": "999/s"},
        {"until": "-5s", "rate": "999/s"},
    ]
    timeline = Timeline(topology({"rate": "1/s", "pattern": "custom", "segments": segments}))
    ends_ns = [0, SECOND_NS - 1, SECOND_NS, 3 * SECOND_NS - 1, 3 * SECOND_NS]
    assert [timeline.rate(t_ns) for t_ns in ends_ns] == [7, 7, 20, 20, 1]
    assert timeline.position(4 * SECOND_NS) == (48, 0.0)


@settings(max_examples=30, deadline=None)
@given(patterns(overlays=False), instants)
def test_a_uniform_overlay_changes_nothing(pattern: dict, t_ns: int) -> None:
    plain = Timeline(topology(pattern))
    overlaid = Timeline(topology({**pattern, "overlay": {"rate": "77/h"}}))
    assert overlaid.position(t_ns) == plain.position(t_ns)


def test_an_overlay_scales_by_its_own_base() -> None:
    overlay = {
        "rate": "10/s",
        "pattern": "custom",
        "segments": [{"until": "1m", "rate": "25/s"}],
    }
    timeline = Timeline(topology({"rate": "4/s", "overlay": overlay}))
    assert [timeline.rate(at_s * SECOND_NS) for at_s in (0, 59, 60)] == [10, 10, 4]


def test_scenario_traffic_holds_in_its_window_and_reads_the_runs_clock() -> None:
    bursts = {
        "rate": "1/s",
        "pattern": "bursty",
        "burst_interval": "10s",
        "burst_duration": "2s",
        "burst_multiplier": 10,
    }
    timeline = Timeline(topology("3/s", window("+5s", "6s", bursts), window("1s", "1s")))
    times_ns = [0, 5 * SECOND_NS - 1, 5 * SECOND_NS, 10 * SECOND_NS, 11 * SECOND_NS]
    assert [timeline.rate(t_ns) for t_ns in times_ns] == [3, 3, 1, 10, 3]
    assert timeline.position(12 * SECOND_NS) == (15 + 5 + 10 + 3, 0.0)


def test_a_scenario_may_last_beyond_the_end_of_time() -> None:
    longest = "2562047h47m16s"
    timeline = Timeline(topology("1/s", window("10s", longest, {"rate": "5/s"})))
    assert timeline.position(20 * SECOND_NS) == (60, 0.0)


def test_a_given_rate_scales_all_traffic() -> None:
    spike = window("1s", "1s", {"rate": "30/s"})
    timeline = Timeline(topology("60/m", spike), rate_per_s=4)
    assert timeline.rate(0) == 4
    assert timeline.rate(SECOND_NS) == 120


@settings(max_examples=60, deadline=None)
@given(topologies(), st.lists(st.tuples(instants, st.integers(1, 1000)), min_size=1), instants)
def test_a_shared_rate_is_divided_from_that_instant_on(
    one: Topology, changes: list[tuple[int, int]], t_ns: int
) -> None:
    plain, shared = Timeline(one), Timeline(one)
    expected, users, since_ns = 0.0, 1, 0
    for at_ns, following in sorted(dict(changes).items()):
        if at_ns < t_ns:
            expected += (by(plain, at_ns) - by(plain, since_ns)) / users
            users, since_ns = following, at_ns
        shared.share(following, at_ns)
    expected += (by(plain, t_ns) - by(plain, since_ns)) / users
    assert by(shared, t_ns) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(topologies(), instants, st.lists(instants, min_size=1))
def test_sharing_moves_nothing_before_it(one: Topology, at_ns: int, times: list[int]) -> None:
    earlier = [min(t_ns, at_ns) for t_ns in times]
    timeline = Timeline(one)
    before = [timeline.position(t_ns) for t_ns in earlier]
    timeline.share(7, at_ns)
    assert [timeline.position(t_ns) for t_ns in earlier] == before


def test_sharing_at_an_earlier_instant_makes_later_changes_void() -> None:
    timeline = Timeline(topology("60/s"))
    timeline.share(2, 5 * SECOND_NS)
    timeline.share(3, 4 * SECOND_NS)
    assert [timeline.rate(at_s * SECOND_NS) for at_s in (3, 4, 5)] == [60, 20, 20]


def test_a_rate_cannot_be_shared_among_nobody() -> None:
    with pytest.raises(ValueError, match="0 users"):
        Timeline(topology("1/s")).share(0, 0)


@pytest.mark.parametrize(
    ("pattern", "mean"),
    [
        ({"pattern": "bursty", "burst_interval": "1us", "burst_duration": "250ns"}, 2.0),
        ({"pattern": "diurnal", "period": "1ns"}, 1.0),
        ({"pattern": "diurnal", "period": "1500us"}, 1.0),
        ({"pattern": "bursty", "burst_interval": "3ns", "burst_duration": "1ns"}, 7 / 3),
        ({"pattern": "custom", "segments": [{"until": "1ns", "rate": "1/h"}]}, 1.0),
    ],
)
def test_patterns_too_fast_to_see_count_with_their_mean(pattern: dict, mean: float) -> None:
    timeline = Timeline(topology({"rate": "100/s", **pattern}))
    for t_ns in (10**6, 10**9, 3600 * 10**9 + 7_000_000):
        # A period of 1.5 ms is cut at up to a third: what is left of its sine is below 1/2 ms.
        assert by(timeline, t_ns) == pytest.approx(100 * mean * t_ns / 10**9, abs=0.05)


def test_the_nodes_of_a_minute_are_bounded() -> None:
    fast = {"pattern": "bursty", "burst_interval": "1us", "burst_duration": "1ns"}
    overlay = {"rate": "1/s", "pattern": "diurnal", "period": "1ms"}
    timeline = Timeline(topology({"rate": "100/s", **fast, "overlay": overlay}))
    (block,) = timeline.blocks(5 * BLOCK_NS, 6 * BLOCK_NS)
    assert block.time_ns.size == BLOCK_NS // 10**6 + 1


@pytest.mark.parametrize("hours", [0, 1, 24])
def test_blocks_meet_exactly(hours: int) -> None:
    traffic = {"rate": "1000000/s", "pattern": "diurnal", "period": "1h"}
    timeline = Timeline(topology(traffic))
    start_ns = hours * 3600 * SECOND_NS
    blocks = list(timeline.blocks(start_ns, start_ns + 3 * BLOCK_NS))
    for left, right in pairwise(blocks):
        end = left.position(float(left.traces[-1]))
        assert end == right.position(float(right.traces[0]))
        assert left.time_ns[-1] == right.time_ns[0]


def test_a_great_number_of_traces_keeps_its_fraction() -> None:
    # 10**12 traces by then: a float64 alone would resolve no more than a ten-thousandth.
    timeline = Timeline(topology("1000000/s"))
    whole, part = timeline.position(1_000_000 * SECOND_NS + 250)
    assert whole == 10**12
    assert math.isclose(part, 0.25, rel_tol=1e-9)
