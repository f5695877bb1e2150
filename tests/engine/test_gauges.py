"""What is recorded by time: gauges, and metrics with an interval."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from motel_locust.engine.metrics import Metrics
from tests.engine.recorded import EPOCH_NS, SECOND_NS, SEED, one_operation, record, values_of

MS = 1_000_000


@pytest.mark.parametrize("steps_ns", [(SECOND_NS,), (10 * MS,)])
def test_interval_metrics_and_gauges_tick_without_traffic(steps_ns: tuple[int, ...]) -> None:
    scenario = {
        "at": "100ms",
        "duration": "100ms",
        "override": {"web.get": {"metrics": {"ticks": {"value": "100"}, "level": {"value": 8}}}},
    }
    metrics = [
        {"name": "ticks", "type": "counter", "value": 1, "interval": "30ms"},
        {"name": "level", "type": "gauge", "value": 7},
    ]
    of = one_operation(metrics, scenarios=[scenario], traffic={"rate": "1/h"})
    run = record(of, until_ns=290 * MS, steps_ns=steps_ns, users=0)
    assert run.spans == []
    # 30, 60 and 90 ms; 120, 150 and 180; 210, 240 and 270.
    assert values_of(run, "ticks") == [[3], [303], [306]]
    assert values_of(run, "level") == [[8], [7], [7]]


def test_nothing_is_recorded_by_time_where_time_was_passed_over() -> None:
    metrics = [{"name": "ticks", "type": "counter", "value": 1, "interval": "10ms"}]
    late = Metrics(one_operation(metrics), seed=SEED, epoch_ns=EPOCH_NS, interval_ns=100 * MS)
    late.pass_over(0, 250 * MS)
    (ticks,) = late.collect(300 * MS).columns
    assert ticks.value.tolist() == [5]
    assert ticks.start_ns == EPOCH_NS + 250 * MS
    late.pass_over(320 * MS, 380 * MS)
    (ticks,) = late.collect(400 * MS).columns
    assert ticks.value.tolist() == [5 + 2 + 2]
    assert ticks.start_ns == EPOCH_NS + 250 * MS


def test_gauges_stay_within_their_bounds_and_spread_as_they_should() -> None:
    metrics = [
        {"name": "free", "type": "gauge", "value": "10 +/- 2"},
        {"name": "walking", "type": "gauge", "value": "10 +/- 2", "walk": "30ms"},
        {"name": "bound", "type": "gauge", "value": "10 +/- 2", "walk": "1s", "min": 9, "max": 11},
    ]
    count = 4_000
    run = record(
        one_operation(metrics, traffic={"rate": "1/h"}),
        until_ns=count * 10 * MS,
        interval_ns=10 * MS,
        users=0,
    )
    free, walking, bound = (
        [value for (value,) in values_of(run, name)] for name in ("free", "walking", "bound")
    )
    assert len(free) == count
    assert (min(bound), max(bound)) == (9, 11)
    # Steps of 10 ms on a scale of 30 ms: as much is known from one to the next as from so many.
    kept = math.exp(-1 / 3)
    independent = count * (1 - kept) / (1 + kept)
    for values, each in ((free, count), (walking, independent)):
        mean = math.fsum(values) / count
        assert mean == pytest.approx(10, abs=4 * 2 / math.sqrt(each))
        variance = math.fsum((value - mean) ** 2 for value in values) / count
        assert variance == pytest.approx(4, rel=4 * math.sqrt(2 / each))
    assert correlation(free) == pytest.approx(0, abs=4 / math.sqrt(count))
    spread = math.sqrt((1 - kept * kept) / count)
    assert correlation(walking) == pytest.approx(kept, abs=4 * spread)


def correlation(values: list[float]) -> float:
    """How much of a value's distance from the mean of 10 the next one has, by least squares."""
    products = math.fsum((value - 10) * (other - 10) for value, other in pairwise(values))
    return products / math.fsum((value - 10) ** 2 for value in values[:-1])


def test_workers_have_gauges_and_samples_of_their_own_and_the_same_values_on_spans() -> None:
    metrics = [
        {"name": "level", "type": "gauge", "value": "7 +/- 1"},
        {"name": "ticks", "type": "counter", "value": "7 +/- 1", "interval": "10ms"},
        {"name": "pages", "type": "counter", "value": "7 +/- 1"},
    ]
    first, second = (
        record(one_operation(metrics), until_ns=100 * MS, worker=n).last for n in (0, 1)
    )
    equal = {
        each.shape.name: each.value.tolist() == other.value.tolist()
        for each, other in zip(first.columns, second.columns, strict=True)
    }
    assert equal == {"level": False, "ticks": False, "pages": True}
