from __future__ import annotations

from pathlib import Path

import pytest

from motel_locust.commands.checking import speed
from motel_locust.commands.checking.outlook import look
from motel_locust.commands.checking.sampling import Draw, engine_of, tell_nobody
from motel_locust.commands.checking.sets import hold, scenario_set
from motel_locust.commands.checking.volume import estimate
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.topology.model import Topology
from motel_locust.topology.reading import read_topology
from tests.engine.topologies import topology

FOLDER = Path(__file__).parents[3] / "topologies"
DRAW = Draw(2, "", 10_000)


def example(name: str) -> Topology:
    return read_topology(str(FOLDER / f"{name}.yaml")).topology


def test_bytes_are_those_of_the_bodies_that_a_run_sends() -> None:
    shop, traces = example("shop"), 2000
    volume = estimate(shop, scenario_set(shop, ()), DRAW, traces=traces)
    engine = engine_of(hold(shop, ()), DRAW)
    heads = Heads({name: each.resource_attributes for name, each in shop.services.items()}, {})
    encoder, body, size = BatchEncoder(SpanEncoder), BodyBuilder(heads), 0
    while engine.walked_ns < traces * 1000:
        for parcel in encoder.encode(engine.walk(traces * 1000)):
            body.add(parcel)
            size += parcel.size
    assert volume.size * traces == pytest.approx(size, rel=0.05)
    # Resources and scopes come once a body, and matter little in a full one.
    assert len(body.build()) == pytest.approx(size, rel=0.01)


def test_services_add_up_to_the_whole() -> None:
    shop = example("shop")
    volume = estimate(shop, scenario_set(shop, (0,)), DRAW, traces=200)
    parts = volume.by_service()
    assert set(parts) == set(shop.services)
    assert sum(spans for spans, _ in parts.values()) == pytest.approx(volume.spans)
    assert sum(size for _, size in parts.values()) == pytest.approx(volume.size)


def test_an_operation_that_was_not_sampled_has_bytes_of_its_likes() -> None:
    leaf = {"duration": "1ms"}
    operations = {
        "top": {
            "duration": "1ms",
            "calls": [{"target": "s.rare", "probability": 1e-9}, "other.leaf"],
        },
        "rare": leaf,
    }
    made = topology({"s": {"operations": operations}, "other": {"operations": {"leaf": leaf}}})
    shares = estimate(made, scenario_set(made, ()), DRAW, traces=50).shares
    assert shares["s.rare"].size == shares["s.top"].size != shares["other.leaf"].size
    assert shares["s.rare"].latency is None
    assert shares["s.rare"].spans.value == pytest.approx(1e-9)


def test_where_traces_reach_the_limit_everything_is_sampled() -> None:
    operations = {
        "top": {"duration": "1ms", "calls": [{"target": "s.leaf", "count": 100}]},
        "leaf": {"duration": "1ms"},
    }
    made = topology({"s": {"operations": operations}})
    volume = estimate(made, scenario_set(made, ()), Draw(1, "", 11), traces=10)
    assert volume.spans == 11
    assert not volume.exact
    assert volume.calls["s.top", "s.leaf"].value == 10


def test_the_peak_is_that_of_spans_not_of_traces() -> None:
    operations = {"top": {"duration": "1ms"}, "leaf": {"duration": "1ms"}}
    calls = [{"target": "s.leaf", "count": 9}]
    made = topology(
        {"s": {"operations": operations}},
        traffic={"rate": "10/s", "roots": {"s.top": 1}},
        scenarios=[
            {"name": "many", "at": "1m", "duration": "1m", "traffic": {"rate": "50/s"}},
            {
                "name": "large",
                "at": "3m",
                "duration": "1m",
                "override": {"s.top": {"add_calls": calls}},
            },
        ],
    )
    outlook = look(made, DRAW, samples=20, strategy="random", advance=tell_nobody)
    peak = outlook.peak(made, factor=2.0)
    assert (peak.t_ns, peak.traces_per_s, peak.spans_per_s) == (180_000_000_000, 20, 200)
    assert peak.volume.scenarios.names == ("large",)


def test_bounds_alone_need_no_samples() -> None:
    outlook = look(example("scenarios"), DRAW, samples=0, strategy="random", advance=tell_nobody)
    assert len(outlook.findings) == 6
    assert outlook.volumes == ()
    assert all(each.sizes is None for each in outlook.findings)


class Clock:
    """Goes on by a tenth of a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.1
        return self.now_s


@pytest.mark.parametrize("name", ["shop", "hello"])
def test_the_speed_is_spans_by_time(name: str) -> None:
    made = example(name)
    volume = estimate(made, scenario_set(made, ()), DRAW, traces=50)
    first = speed.measure_speed(made, volume, DRAW, clock=Clock())
    assert first == speed.measure_speed(made, volume, DRAW, clock=Clock())
    assert first > 1000


def test_workers_are_planned_with_room_to_send() -> None:
    assert speed.workers(1, 1e6) == 1
    assert speed.workers(250_000, 1e6) == 1
    assert speed.workers(250_001, 1e6) == 2
    assert speed.workers(10e6, 1e6) == 40
