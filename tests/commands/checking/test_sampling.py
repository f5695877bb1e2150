from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.checking.bounds import bounds
from motel_locust.commands.checking.sampling import (
    Draw,
    Sample,
    late_share,
    run_name,
    sample,
    tell_nobody,
)
from motel_locust.commands.checking.sets import hold, scenario_sets, wire
from motel_locust.commands.checking.sizes import spread
from motel_locust.engine.engine import Engine
from motel_locust.topology.model import DurationDistribution, Topology
from motel_locust.topology.reading import read_topology
from tests.engine.topologies import topologies, topology
from tests.oracles.walk import ScalarSpan, ScalarWalk

EXAMPLES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))


def sizes_of(spans: list[ScalarSpan]) -> tuple[int, int, int, int]:
    """Return spans, depth, fan-out and latency of one trace."""
    by_id = {span.span_id: span for span in spans}
    depth, children = 0, defaultdict(int)
    for span in spans:
        steps, above = 0, span
        while above.parent_id:
            steps, above = steps + 1, by_id[above.parent_id]
        depth = max(depth, steps)
        children[span.parent_id] += span.parent_id != 0
    [root] = [span for span in spans if not span.parent_id]
    return len(spans), depth, max(children.values()), root.end - root.start


def rows(found: Sample) -> list[tuple[int, int, int, int]]:
    sizes = found.sizes
    columns = (sizes.spans, sizes.depth, sizes.fan_out, sizes.latency_ns)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=30, deadline=None)
@given(topologies() | topologies(paired=True), st.sampled_from([3, 10_000]))
def test_sample_i_is_trace_number_i_of_the_seed(made: Topology, limit: int) -> None:
    draw = Draw(7, "any name", limit)
    for scenarios in scenario_sets(made):
        found = sample(made, scenarios.active, draw, traces=20)
        expected = []
        for number in range(20):
            walk = ScalarWalk(made, seed=7, name="any name", limit=limit)
            walk.trace(number, 0, scenarios.active)
            expected.append(sizes_of(walk.spans))
        assert rows(found) == expected


@pytest.mark.parametrize("name", ["shop", "fan-out", "scenarios"])
def test_a_run_draws_the_same_traces(name: str) -> None:
    path = next(path for path in EXAMPLES if path.stem == name)
    reading = read_topology(str(path))
    made = hold(reading.topology, ())
    running = made.model_copy(update={"scenarios": (), "traffic": reading.topology.traffic})
    engine = Engine(running, seed=3, name=run_name(reading.source.sha256), epoch_ns=0)
    engine.join(0, 0)
    spans: list[int] = []
    while len(spans) < 40:
        batch = engine.walk(engine.walked_ns + 1_000_000_000)
        counts = np.zeros(batch.trace_id.size, np.int64)
        for columns in batch.columns:
            counts += np.bincount(columns.trace, minlength=counts.size)
        spans += counts.tolist()
    draw = Draw(3, run_name(reading.source.sha256), 10_000)
    found = sample(reading.topology, (), draw, traces=40)
    assert found.sizes.spans.tolist() == spans[:40]


@settings(max_examples=30, deadline=None)
@given(topologies(paired=True))
def test_no_sample_is_beyond_the_bounds(made: Topology) -> None:
    for scenarios in scenario_sets(made):
        found = sample(made, scenarios.active, Draw(1, "", 10_000), traces=100)
        bound = bounds(wire(made, scenarios.active))
        assert found.sizes.depth.max() <= bound.depth
        assert found.sizes.fan_out.max() <= bound.fan_out
        assert found.sizes.spans.max() <= bound.spans


def test_a_trace_stops_at_its_limit() -> None:
    operations = {
        "top": {"duration": "1ms", "calls": [{"target": "s.leaf", "count": 50}]},
        "leaf": {"duration": "1ms"},
    }
    made = topology({"s": {"operations": operations}})
    found = sample(made, (), Draw(1, "", 12), traces=5)
    assert found.sizes.spans.tolist() == [12] * 5


def test_progress_is_told_in_traces() -> None:
    told: list[float] = []
    made = topology({"s": {"operations": {"top": {"duration": "1ms"}}}})
    found = sample(made, (), Draw(1, "", 10), traces=30_000, advance=told.append)
    assert sum(told) == 30_000 == found.sizes.spans.size
    tell_nobody(1)


def test_what_was_seen_of_operations_adds_up() -> None:
    shop = read_topology(str(next(path for path in EXAMPLES if path.stem == "shop"))).topology
    found = sample(shop, (), Draw(1, "", 10_000), traces=500)
    seen = found.seen.values()
    assert sum(each.spans for each in seen) == found.sizes.spans.sum()
    assert all(sum(map(len, each.took_ns)) == each.spans for each in seen)
    assert all(each.errors <= each.spans for each in seen)
    assert all(100 < each.size / each.spans < 1000 for each in seen)


def test_a_slow_success_is_late_and_a_slow_failure_is_none() -> None:
    operations = {
        "top": {"duration": "10ms", "calls": ["s.leaf"]},
        "leaf": {"duration": "20ms", "error_rate": "25%"},
    }
    made = topology({"s": {"operations": operations}})
    draw, traces = Draw(1, "", 10_000), 4000

    def late(timeout_ns: int, mean_ns: int = 0, deviation_ns: int = 0) -> float:
        return late_share(
            made,
            (),
            draw,
            ref="s.top",
            baggage={},
            timeout_ns=timeout_ns,
            traces=traces,
            network=DurationDistribution(mean_ns, deviation_ns),
        )

    well = pytest.approx(0.75, abs=4 * (0.25 * 0.75 / traces) ** 0.5)
    assert late(30_000_000) == 0
    assert late(29_999_999) == well
    assert late(31_999_999, 2_000_000) == well
    assert late(32_000_000, 2_000_000) == 0
    halved = pytest.approx(0.375, abs=4 * (0.25 * 0.75 / traces) ** 0.5)
    assert late(32_000_000, 2_000_000, 1_000) == halved


def test_what_a_request_brings_decides_on_what_lies_below() -> None:
    far = {"far": {"when": {"region": "eu"}, "duration": "50ms"}}
    operations = {
        "get": {"duration": "1ms", "baggage": {"region": "eu"}, "calls": ["s.top"]},
        "top": {"duration": "10ms", "calls": ["s.leaf"]},
        "leaf": {"duration": "20ms", "variants": far},
    }
    made, draw = topology({"s": {"operations": operations}}), Draw(1, "", 10_000)
    late = {
        region: late_share(
            made,
            (),
            draw,
            ref="s.top",
            baggage={"region": region},
            timeout_ns=40_000_000,
            traces=500,
            network=DurationDistribution(0),
        )
        for region in ("eu", "us")
    }
    assert late == {"eu": 1.0, "us": 0.0}


def test_percentiles_are_by_nearest_rank() -> None:
    for count in (1, 2, 19, 20, 100, 101):
        found = spread(np.arange(count)[::-1])
        ranks = [-(-percent * count // 100) - 1 for percent in (50, 95, 99)]
        assert [found.p50, found.p95, found.p99, found.greatest] == [*ranks, count - 1]
