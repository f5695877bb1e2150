from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.engine import Engine
from motel_locust.engine.metrics import Metrics
from motel_locust.engine.points import Buckets, ExponentialBuckets
from motel_locust.topology.model import Topology
from tests.engine.recorded import (
    EPOCH_NS,
    SECOND_NS,
    SEED,
    TICK_NS,
    Recorded,
    one_operation,
    plain,
    record,
    spans_of,
    values_of,
)
from tests.engine.topologies import attributes as drawn_attributes
from tests.engine.topologies import calls, durations, guards, instances, shares, topology
from tests.oracles.metrics import Key, ScalarMetrics, ScalarPoint, typed

if TYPE_CHECKING:
    from motel_locust.engine.points import MetricPoints, PointColumns

MS = 1_000_000
units = st.sampled_from(["", "s", "ms", "us", "ns", "By", "{thing}"])
amounts = st.sampled_from(["4", "0.1", "4 +/- 2", "-1 +/- 3", "1000000 +/- 1", "0 +/- 0.001"])


@st.composite
def metrics(draw: st.DrawFn, prefix: str) -> list[dict[str, Any]]:
    """Up to three metrics of a service or an operation."""
    found = []
    for index in range(draw(st.integers(0, 3))):
        kind = draw(
            st.sampled_from(
                ["counter", "updowncounter", "histogram", "exponential_histogram", "gauge"]
            )
        )
        metric: dict[str, Any] = {"name": f"{prefix}.m{index}", "type": kind, "unit": draw(units)}
        if kind == "gauge" or draw(st.booleans()):
            metric["value"] = draw(amounts)
        if kind == "gauge" and draw(st.booleans()):
            metric |= {"walk": "1s", "min": -1.5}
        elif "value" in metric and kind != "gauge" and draw(st.sampled_from([0, 0, 1])):
            metric["interval"] = draw(st.sampled_from(["30ms", "50ms", "1s"]))
        elif kind == "counter":
            metric["errors_only"] = draw(st.booleans())
        if kind == "exponential_histogram":
            # What is drawn is rounded, by too little to matter but to the finest of buckets.
            limits = [{"max_scale": 8}, {"max_size": 2, "max_scale": 8}, {"max_scale": -1}]
            further = [] if "value" in metric else [{}, {"max_size": 20}]
            metric |= draw(st.sampled_from([*limits, *further]))
        if kind == "updowncounter" and "value" not in metric:
            metric["attributes"] = draw(st.sampled_from([{}, {"a": {"value": 1}}]))
        else:
            metric["attributes"] = draw(drawn_attributes)
            if draw(st.sampled_from([0, 0, 0, 1])):
                metric["attributes"]["operation.name"] = {"values": {"x": 1, "y": 2}}
        found.append(metric)
    return found


@st.composite
def measured(draw: st.DrawFn) -> Topology:
    """A topology of up to four operations with metrics, and scenarios that change their values."""
    refs = [f"s{index % 2}.op{index}" for index in range(draw(st.integers(1, 4)))]
    services: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for index, ref in enumerate(refs):
        service, name = ref.split(".")
        operation: dict[str, Any] = {"duration": draw(durations), "error_rate": draw(shares)}
        operation["metrics"] = draw(metrics(name))
        if draw(st.sampled_from([0, 0, 0, 1])):
            operation |= draw(guards())
        if later := refs[index + 1 :]:
            operation["calls"] = draw(st.lists(calls(later), max_size=2))
        if service not in services:
            services[service] = {
                "operations": {},
                "metrics": draw(metrics(service)),
                "instances": draw(instances),
            }
        services[service]["operations"][name] = operation
        for scope, owner in ((ref, operation), (service, services[service])):
            valued = {each["name"] for each in owner["metrics"] if "value" in each}
            if valued:
                overrides[scope] = {name: {"value": draw(amounts)} for name in sorted(valued)}
    scenarios = [
        {
            "name": f"s{number}",
            "at": draw(st.sampled_from(["0s", "105ms", "150ms"])),
            "duration": draw(st.sampled_from(["60ms", "2s"])),
            "priority": draw(st.integers(-1, 1)),
            "override": {scope: {"metrics": overrides[scope]}},
        }
        for number, scope in enumerate(overrides)
        if draw(st.booleans())
    ]
    return topology(services, scenarios=scenarios)


def assert_like(points: MetricPoints, expected: dict[Key, ScalarPoint]) -> None:
    """All points but those of gauges are the expected ones."""
    found = {}
    for columns in points.columns:
        if columns.shape.kind == "gauge":
            continue
        for row, each in enumerate(columns.attributes):
            attributes = typed(dict(each.attributes))
            key = (columns.shape.service, columns.shape.name, attributes, columns.resource)
            assert key not in found
            found[key] = columns, row
    assert found.keys() == expected.keys()
    for key, (columns, row) in found.items():
        assert_point(columns, row, expected[key])


def assert_point(columns: PointColumns, row: int, expected: ScalarPoint) -> None:
    shape, values = columns.shape, expected.values
    assert (shape.kind, shape.monotonic) == (expected.kind, expected.monotonic)
    assert shape.temporality == ("delta" if expected.delta else "cumulative")
    assert columns.start_ns == expected.start_ns
    assert columns.value[row] == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-6)
    if columns.buckets is not None:
        assert_buckets(columns.buckets, row, expected)
        assert shape.bounds == expected.bounds
        assert columns.buckets.least[row] == pytest.approx(min(values), rel=1e-9, abs=1e-9)
        assert columns.buckets.greatest[row] == pytest.approx(max(values), rel=1e-9, abs=1e-9)
    shown = [] if columns.exemplars is None else exemplars_of(columns, row)
    wanted = expected.exemplars
    wanted.sort(key=lambda each: each[1].span_id)
    for found, (value, span) in zip(sorted(shown, key=itemgetter(2)), wanted, strict=True):
        assert found[0] == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert found[1:] == (span.end_ns, span.span_id, span.trace_id)


def assert_buckets(buckets: Buckets | ExponentialBuckets, row: int, expected: ScalarPoint) -> None:
    if isinstance(buckets, Buckets):
        assert expected.kind == "histogram"
        assert buckets.count[row].tolist() == expected.buckets
        return
    assert expected.kind == "exponential_histogram"
    assert buckets.total[row] == len(expected.values)
    assert buckets.zeros[row] == expected.values.count(0)
    assert buckets.scale[row] == expected.scale
    for sign, side in ((1, buckets.positive), (-1, buckets.negative)):
        start, stop = side.count_offset[row : row + 2]
        found = dict(enumerate(side.count[start:stop].tolist(), int(side.first[row])))
        assert {index: count for index, count in found.items() if count} == expected.indexes(sign)


def exemplars_of(columns: PointColumns, row: int) -> list[tuple[float, int, int, bytes]]:
    found = columns.exemplars
    assert found is not None
    return [
        (
            found.value[place].item(),
            int(found.time_ns[place]),
            int(found.span_id[place]),
            found.trace_id[place].tobytes(),
        )
        for place in (found.point == row).nonzero()[0].tolist()
    ]


def oracle(run: Recorded, of: Topology, **options: Any) -> ScalarMetrics:
    return ScalarMetrics(of, run.spans, EPOCH_NS, seed=SEED, **options)


@settings(max_examples=40, deadline=None)
@given(measured(), st.booleans(), st.booleans(), st.sampled_from([100 * MS, 35 * MS, 5 * MS]))
def test_every_point_is_that_of_one_measurement_after_the_other(
    of: Topology, realtime: bool, delta: bool, interval_ns: int
) -> None:
    run = record(
        of,
        until_ns=250 * MS,
        interval_ns=interval_ns,
        realtime=realtime,
        temporality="delta" if delta else "cumulative",
        offset_ns=-3 * SECOND_NS,
    )
    scalar = oracle(run, of, delta=delta, offset_ns=-3 * SECOND_NS)
    after_ns = 0
    for at_ns, points in run.collections:
        final = at_ns == 250 * MS
        assert_like(points, scalar.collect(after_ns=after_ns, at_ns=at_ns, final=final))
        after_ns = at_ns


@settings(max_examples=40, deadline=None)
@given(
    measured(),
    st.lists(st.sampled_from([10 * MS, 30 * MS, 170 * MS]), min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from(["cumulative", "delta"]),
    st.sampled_from([2, 2_000]),
)
def test_neither_batches_nor_parts_leave_a_trace(
    of: Topology, steps_ns: list[int], parts: int, temporality: str, most_series: int
) -> None:
    options: dict[str, Any] = {
        "until_ns": 250 * MS,
        "users": 3,
        "temporality": temporality,
        "most_series": most_series,
    }
    whole = record(of, **options)
    pieces = record(of, steps_ns=steps_ns, parts=parts, **options)
    assert len(whole.collections) == len(pieces.collections) == 3
    for (_, points), (_, others) in zip(whole.collections, pieces.collections, strict=True):
        assert plain(points) == plain(others)
    assert whole.metrics.overflowed() == pieces.metrics.overflowed()


COUNTER = {"name": "requests", "type": "counter"}
ACTIVE = {"name": "active", "type": "updowncounter"}
DURATIONS = {"name": "took", "type": "histogram", "unit": "s"}
SPREAD = {"name": "spread", "type": "exponential_histogram", "unit": "s"}


def test_a_span_counts_when_it_has_ended_and_the_last_points_have_all() -> None:
    run = record(one_operation([COUNTER, ACTIVE]), until_ns=300 * MS)
    # One every 10 ms, of 20 ms each: the last two before a collection are still going on.
    assert values_of(run, "requests") == [[8], [18], [30]]
    assert values_of(run, "active") == [[2], [2], [0]]
    assert [points.time_ns - EPOCH_NS for _, points in run.collections] == [
        100 * MS,
        200 * MS,
        310 * MS,
    ]


def test_in_real_time_a_span_is_going_on_before_it_is_released() -> None:
    run = record(one_operation([COUNTER, ACTIVE]), until_ns=300 * MS, realtime=True)
    assert values_of(run, "requests") == [[8], [18], [30]]
    assert values_of(run, "active") == [[2], [2], [0]]


def test_deltas_add_up_to_the_cumulative_points() -> None:
    metrics = [
        {**COUNTER, "attributes": {"way": {"values": {"a": 3, "b": 1}}}},
        {**DURATIONS, "value": "0.02 +/- 0.01"},
    ]
    found = {
        temporality: record(one_operation(metrics), until_ns=SECOND_NS, temporality=temporality)
        for temporality in ("cumulative", "delta")
    }
    deltas = found["delta"].collections
    assert len(deltas) == 10
    for columns in found["cumulative"].last.columns:
        parts = [
            (each, row)
            for _, points in deltas
            for each in points.columns
            if each.shape.name == columns.shape.name
            for row in range(len(each.attributes))
        ]
        for row, attributes in enumerate(columns.attributes):
            same = [
                (each, place)
                for each, place in parts
                if each.attributes[place].attributes == attributes.attributes
            ]
            total = math.fsum(each.value[place] for each, place in same)
            assert columns.value[row] == pytest.approx(total, rel=1e-12)
            if columns.buckets is not None:
                counts = [each.buckets.count[place] for each, place in same if each.buckets]
                assert columns.buckets.count[row].tolist() == sum(counts).tolist()
        starts = [each.start_ns for each, _ in parts]
        ends = [each.time_ns for each, _ in parts]
        assert sorted(set(starts))[1:] == sorted(set(ends))[:-1]


def test_what_was_walked_and_taken_back_is_not_recorded() -> None:
    of = one_operation([COUNTER, DURATIONS])
    engine = Engine(of, seed=SEED, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    metrics = Metrics(of, seed=SEED, epoch_ns=EPOCH_NS, interval_ns=SECOND_NS)
    ahead = engine.walk(500 * MS)
    metrics.record(ahead, slice(0, 20), ())
    engine.join(1, 20 * TICK_NS)
    rest = engine.walk(SECOND_NS)
    metrics.record(rest, slice(None), ())
    spans = spans_of(ahead, slice(0, 20), ())
    spans += spans_of(rest, slice(0, rest.edges_ns.size), ())
    points = metrics.collect(SECOND_NS, final=True)
    scalar = ScalarMetrics(of, spans, EPOCH_NS, seed=SEED)
    assert_like(points, scalar.collect(after_ns=0, at_ns=SECOND_NS, final=True))
    assert len(spans) == 20 + 80 + 80


def test_others_get_their_turn_while_spans_are_recorded_and_collected() -> None:
    of = one_operation([COUNTER, DURATIONS])
    engine = Engine(of, seed=SEED, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    metrics = Metrics(of, seed=SEED, epoch_ns=EPOCH_NS, interval_ns=SECOND_NS)
    paused: list[str] = []
    metrics.record(engine.walk(100 * MS), slice(None), (), lambda: paused.append("record"))
    metrics.collect(100 * MS, final=True, pause=lambda: paused.append("collect"))
    # After the only operation is settled, and after each instrument.
    assert paused == ["record"] + ["collect"] * 3


def test_parts_may_be_recorded_one_by_one() -> None:
    of = one_operation([COUNTER])
    engine = Engine(of, seed=SEED, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    metrics = Metrics(of, seed=SEED, epoch_ns=EPOCH_NS, interval_ns=SECOND_NS)
    batch = engine.walk(100 * MS)
    for part in range(7):
        metrics.record(batch, part, ())
    (counter,) = metrics.collect(100 * MS, final=True).columns
    assert counter.value.tolist() == [7]


def test_values_are_those_of_the_scenarios_that_a_trace_met() -> None:
    scenario = {
        "at": "100ms",
        "duration": "100ms",
        "override": {"web.get": {"metrics": {"pages": {"value": "1000"}}}},
    }
    pages = {"name": "pages", "type": "counter", "value": 1}
    run = record(one_operation([pages], scenarios=[scenario]), until_ns=300 * MS)
    # The traces of the last two ticks of the scenario end after it.
    assert values_of(run, "pages") == [[8], [10 + 8 * 1000], [20 + 10 * 1000]]


def test_points_may_come_without_exemplars() -> None:
    run = record(one_operation([COUNTER, DURATIONS]), until_ns=100 * MS, exemplars=False)
    assert [columns.exemplars for columns in run.last.columns] == [None, None]


def test_a_histogram_of_seconds_has_the_bounds_of_the_conventions() -> None:
    run = record(one_operation([DURATIONS], duration="50ms"), until_ns=100 * MS)
    (histogram,) = run.last.columns
    assert histogram.shape.bounds[:6] == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1)
    assert histogram.buckets is not None
    # A bound belongs to the bucket below it.
    assert histogram.buckets.count[0].tolist()[:5] == [0, 0, 0, 10, 0]
    assert histogram.value.tolist() == [0.5]


def test_a_value_that_does_not_vary_is_shown_as_it_was_written() -> None:
    metrics = [{**DURATIONS, "value": 0.1}]
    (histogram,) = record(one_operation(metrics), until_ns=100 * MS).last.columns
    assert histogram.buckets is not None
    assert histogram.exemplars is not None
    shown = (histogram.buckets.least, histogram.buckets.greatest, histogram.exemplars.value)
    assert [values.tolist() for values in shown] == [[0.1], [0.1], [0.1]]
    assert histogram.buckets.count[0].tolist()[5] == 10


def test_the_scale_of_a_series_falls_and_that_of_deltas_begins_anew() -> None:
    metrics = [{**SPREAD, "value": "1.5"}]
    scenario = {
        "at": "100ms",
        "duration": "100ms",
        "override": {"web.get": {"metrics": {"spread": {"value": "1000"}}}},
    }
    of = one_operation(metrics, scenarios=[scenario])
    found = {}
    for temporality in ("cumulative", "delta"):
        run = record(of, until_ns=400 * MS, temporality=temporality)
        found[temporality] = [
            columns.buckets.scale.tolist()
            for _, points in run.collections
            for columns in points.columns
            if isinstance(columns.buckets, ExponentialBuckets)
        ]
    # 9.4 octaves lie between 1.5 and 1000, so 160 buckets are 16 to an octave.
    assert found["cumulative"] == [[20], [4], [4], [4]]
    assert found["delta"] == [[20], [4], [4], [20]]


def test_points_show_no_more_examples_than_an_sdk_would() -> None:
    metrics = [SPREAD, {**SPREAD, "name": "narrow", "max_size": 3}, DURATIONS]
    run = record(one_operation(metrics, duration="20ms +/- 5ms"), until_ns=SECOND_NS)
    for _, points in run.collections[1:]:
        shown = [
            0 if columns.exemplars is None else columns.exemplars.point.size
            for columns in points.columns
        ]
        # Ten spans an interval, which lie in three or four buckets of the conventions' bounds.
        assert shown[0] >= 9
        assert shown[1:] == [3, shown[2]]
        assert shown[2] <= 5
    run = record(one_operation([SPREAD]), until_ns=SECOND_NS, interval_ns=SECOND_NS)
    (columns,) = run.last.columns
    assert columns.exemplars is not None
    assert columns.exemplars.point.tolist() == [0] * 20


def test_sums_stay_exact_where_they_are_large() -> None:
    # 2**62 ns each: 146 years, ten of which no int64 can hold.
    of = one_operation([{**DURATIONS, "unit": "ns"}], duration="4611686018427387904ns")
    engine = Engine(of, seed=SEED, epoch_ns=0)
    engine.join(0, 0)
    metrics = Metrics(of, seed=SEED, epoch_ns=0, interval_ns=SECOND_NS)
    metrics.record(engine.walk(100 * MS), slice(None), ())
    (histogram,) = metrics.collect(100 * MS, final=True).columns
    assert histogram.value.tolist() == [10 * 2.0**62]
