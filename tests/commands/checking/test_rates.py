from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.checking.rates import full_cycle_ns, preview_ns, rate_at, rates
from motel_locust.engine.traffic import Timeline
from motel_locust.topology.model import Topology
from tests.engine.topologies import topology

SECOND_NS = 1_000_000_000
ONE = {"s": {"operations": {"top": {"duration": "1ms"}}}}


def made(traffic: dict[str, Any], *scenarios: dict[str, Any]) -> Topology:
    return topology(ONE, traffic=traffic, scenarios=list(scenarios))


BURSTY = {"pattern": "bursty", "burst_multiplier": 4, "burst_interval": "20s"}
patterns = st.sampled_from(
    [
        {"rate": "10/s"},
        {"rate": "10/s", **BURSTY, "burst_duration": "100ms"},
        {"rate": "10/s", "pattern": "diurnal", "period": "90s"},
        {"rate": "1/s", "pattern": "custom", "segments": [{"until": "7s", "rate": "20/s"}]},
    ]
)
overlays = st.sampled_from([None, {"rate": "3/s", **BURSTY, "burst_duration": "1s"}])
windows = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from(["0s", "5s", "12s", "31.5s"]),
            "duration": st.sampled_from(["1ns", "3s", "40s"]),
            "traffic": st.none() | patterns,
        }
    ),
    max_size=3,
)


@settings(max_examples=50, deadline=None)
@given(patterns, overlays, windows, st.integers(1, 100) | st.just(60))
def test_the_rate_is_the_runs_own(
    traffic: dict[str, Any], overlay: Any, scenarios: list[dict[str, Any]], seconds: int
) -> None:
    drawn = made({**traffic, "overlay": overlay}, *scenarios)
    timeline = Timeline(drawn, rate_per_s=None)
    found = rates(drawn, seconds * SECOND_NS, factor=2.0)
    for stretch in found:
        some = range(0, stretch.t_ns.size, 37)
        for index in some:
            rate = 2 * timeline.rate(int(stretch.t_ns[index]))
            assert stretch.per_s[index] == pytest.approx(rate)
    assert [each.start_ns for each in found[1:]] == [each.stop_ns for each in found[:-1]]
    t_ns = np.concatenate([each.t_ns for each in found])
    assert t_ns[0] == 0
    assert t_ns[-1] == seconds * SECOND_NS - 1
    assert (np.diff(t_ns) > 0).all()


def test_bursts_shorter_than_a_step_are_seen() -> None:
    drawn = made({"rate": "10/s", **BURSTY, "burst_duration": "1ms"})
    [stretch] = rates(drawn, 60 * SECOND_NS, step_ns=SECOND_NS)
    assert stretch.per_s.max() == 40
    burst = stretch.t_ns[stretch.per_s > 10]
    assert set((burst // SECOND_NS).tolist()) == {0, 20, 40}
    assert {20 * SECOND_NS - 1, 20 * SECOND_NS, 20 * SECOND_NS + 1_000_000} <= set(
        stretch.t_ns.tolist()
    )


def test_of_endless_bursts_some_are_looked_at() -> None:
    drawn = made({"rate": "1/s", **BURSTY, "burst_interval": "10us", "burst_duration": "1us"})
    [stretch] = rates(drawn, 3600 * SECOND_NS)
    assert stretch.t_ns.size < 5000
    assert stretch.per_s.max() == 4


def test_the_peak_of_a_wave_is_looked_at_exactly() -> None:
    drawn = made({"rate": "8/s", "pattern": "diurnal", "peak_multiplier": 3, "period": "77s"})
    [stretch] = rates(drawn, 77 * SECOND_NS)
    assert stretch.per_s.max() == pytest.approx(24)
    assert 38_500_000_000 in stretch.t_ns


def test_a_rate_at_an_instant_knows_the_scenarios() -> None:
    drawn = made({"rate": "8/s"}, {"at": "1s", "duration": "1s", "traffic": {"rate": "3/s"}})
    found = [rate_at(drawn, t_ns) for t_ns in (0, SECOND_NS, 2 * SECOND_NS - 1, 2 * SECOND_NS)]
    assert found == [8, 3, 3, 8]


def test_a_preview_shows_all_scenarios_and_a_tenth_more() -> None:
    assert preview_ns(made({"rate": "1/s"})) == 300 * SECOND_NS
    window = {"at": "30s", "duration": "10s"}
    assert preview_ns(made({"rate": "1/s"}, window)) == 44 * SECOND_NS
    endless = {"at": "2562047h", "duration": "2562047h"}
    assert preview_ns(made({"rate": "1/s"}, endless)) == 1 << 62


@pytest.mark.parametrize(
    ("traffic", "seconds"),
    [
        ({"rate": "1/s"}, 300),
        ({"rate": "1/s", "pattern": "diurnal"}, 86_400),
        ({"rate": "1/s", **BURSTY, "burst_duration": "1s"}, 300),
        (
            {"rate": "1/s", "pattern": "custom", "segments": [{"until": "10m", "rate": "1/s"}]},
            660,
        ),
        ({"rate": "1/s", "overlay": {"rate": "1/s", "pattern": "diurnal", "period": "1h"}}, 3600),
    ],
)
def test_a_cycle_shows_everything_that_the_traffic_does(
    traffic: dict[str, Any], seconds: int
) -> None:
    assert full_cycle_ns(made(traffic)) == seconds * SECOND_NS
