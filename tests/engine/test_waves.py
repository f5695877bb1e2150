"""The walk in waves: the scalar walk's spans, and those of the walk site by site."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from motel_locust.engine import draws, scenarios
from motel_locust.engine.assembly import Assembly
from motel_locust.engine.columns import Counts
from motel_locust.engine.engine import Engine
from motel_locust.engine.instances import all_instances
from motel_locust.engine.plan import Plan
from motel_locust.engine.shapes import Shapes
from motel_locust.engine.spans import Traces
from motel_locust.engine.walk import Walk
from motel_locust.engine.waves import WaveWalk
from tests.engine.test_walk import expected, row_of
from tests.engine.topologies import layered, topologies, topology
from tests.oracles.walk import ScalarWalk

if TYPE_CHECKING:
    from motel_locust.engine.columns import Batch
    from motel_locust.topology.model import Topology

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_000
SEED = draws.key(7, "")
IDS = draws.TraceIds(SEED)

# Walks of random topologies take as long as their largest traces.
LIMIT = 300

unordered = st.one_of(
    topologies(linked=False), layered(), topologies(linked=False, paired=True), layered(paired=True)
)


class Numbering(dict[str, int]):
    """The most spans that a trace has of an operation, found when asked for."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, ref: str) -> int:
        return self._plan.most(ref)


class Bench:
    """Walks traces 0, 1, ... of a topology, 10 ms apart, by hand."""

    def __init__(self, model: Topology, active: tuple[int, ...] = (), limit: int = LIMIT) -> None:
        self.model, self.active, self.limit = model, active, limit
        shapes = Shapes(model, seed=SEED)
        self.plan = Plan(model, active, seed=SEED, shapes=shapes, label_scenarios=False)
        self.pauses = 0

    @property
    def unordered(self) -> bool:
        return self.plan.largest < self.limit

    def walk(
        self, first: int, stop: int, *, waves: bool, room: int = 1, realtime: bool = False
    ) -> Batch:
        number = np.arange(first, stop)
        traces = Traces(number, IDS.keys(number), EPOCH_NS + number * 10 * MS)
        walk: Walk | WaveWalk
        if waves:
            walk = WaveWalk(self.plan, traces, room=room, pause=self._pause)
        else:
            walk = Walk(
                self.plan, traces, limit=self.limit, ticks={}, origin_ns=0, pause=self._pause
            )
        instances = all_instances(self.model, seed=SEED, origin_ns=EPOCH_NS)
        assembly = Assembly(IDS, Numbering(self.plan), EPOCH_NS, realtime, self.limit, instances)
        return assembly.batch(traces, walk, number, {}, self._pause)

    def _pause(self) -> None:
        self.pauses += 1


def spans(*batches: Batch) -> list[tuple[Any, ...]]:
    """Every span with all its fields, in an order of its own."""
    found = []
    for batch in batches:
        numbers = [IDS.number(trace_id.tobytes()) for trace_id in batch.trace_id]
        for columns in batch.columns:
            found += [row_of(columns, row, numbers) for row in range(columns.trace.size)]
    return sorted(found, key=repr)


def counts(*batches: Batch) -> Counts:
    return sum((part for batch in batches for part in batch.counts), Counts())


def contents(*batches: Batch) -> dict[Any, list[tuple[Any, ...]]]:
    """By shape, the spans in the order in which they leave."""
    found = defaultdict(list)
    for batch in batches:
        numbers = [IDS.number(trace_id.tobytes()) for trace_id in batch.trace_id]
        for columns in batch.columns:
            drawn = [each for each in columns.values if each is not None]
            found[repr(columns.shape)] += [
                (*row_of(columns, row, numbers), *(each[row] for each in drawn))
                for row in range(columns.trace.size)
            ]
    return found


@settings(max_examples=100, deadline=None)
@given(unordered, st.sampled_from([1, 7, 24]))
def test_the_walk_in_waves_makes_the_spans_of_the_scalar_one(model: Topology, size: int) -> None:
    active = tuple(range(len(model.scenarios)))
    bench = Bench(model, active)
    assume(bench.unordered)
    batches = [bench.walk(at, min(at + size, 24), waves=True) for at in range(0, 24, size)]
    oracle = ScalarWalk(model, seed=7, limit=LIMIT, origin_ns=EPOCH_NS)
    for number in range(24):
        oracle.trace(number, EPOCH_NS + number * 10 * MS, active)
    assert spans(*batches) == sorted(map(expected, oracle.spans), key=repr)
    assert counts(*batches) == Counts(
        traces=24,
        spans=len(oracle.spans),
        errors=sum(span.failed for span in oracle.spans),
        failed_traces=oracle.counts.failed_traces,
        timeouts=oracle.counts.timeouts,
        retries=oracle.counts.retries,
    )


@settings(max_examples=100, deadline=None)
@given(unordered, st.booleans())
def test_both_walks_make_the_same_batch(model: Topology, realtime: bool) -> None:
    bench = Bench(model)
    assume(bench.unordered)
    one, other = (bench.walk(0, 40, waves=waves, realtime=realtime) for waves in (True, False))
    assert (one.counts, one.edges_ns.tolist()) == (other.counts, other.edges_ns.tolist())
    for first, second in ((one, other), (other, one)):
        mine, theirs = contents(first), contents(second)
        assert {key: sorted(rows, key=repr) for key, rows in mine.items()} == {
            key: sorted(rows, key=repr) for key, rows in theirs.items()
        }
    moments = "end_ns" if realtime else "trace"
    for batch in (one, other):
        for each in (each for each in batch.columns if each.resource is None):
            assert (np.diff(getattr(each, moments)) >= 0).all()


@settings(max_examples=80, deadline=None)
@given(unordered, st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 2_000))
def test_how_a_walk_is_cut_changes_no_byte_of_a_shape(
    model: Topology, sizes: list[int], room: int
) -> None:
    """The order of spans too: that of one trace does not depend on those it is walked with."""
    bench = Bench(model)
    assume(bench.unordered)
    stops = np.cumsum([0, *sizes]).tolist()
    whole = bench.walk(0, stops[-1], waves=True, room=room)
    parts = [bench.walk(*ends, waves=True) for ends in pairwise(stops)]
    assert contents(whole) == contents(*parts)


@settings(max_examples=20, deadline=None)
@given(layered(fewest_calls=2) | layered(fewest_calls=2, paired=True))
def test_an_engine_with_a_crowded_plan_agrees_with_the_scalar_walk(model: Topology) -> None:
    plans = [Bench(model, active, 2_000) for active in _windows(model)]
    assume(any(each.plan.crowded and each.unordered for each in plans))
    everything = scalar_spans(model)
    for steps in ([400], [10] * 40, [150, 30, 220]):
        assert spans(*walked(model, steps)) == everything


def scalar_spans(model: Topology) -> list[tuple[Any, ...]]:
    oracle = ScalarWalk(model, seed=7, limit=2_000, origin_ns=EPOCH_NS)
    for number in range(40):
        arrival = number * 10 * MS
        oracle.trace(number, EPOCH_NS + arrival, scenarios.active(model, arrival))
    return sorted(map(expected, oracle.spans), key=repr)


def walked(model: Topology, steps: list[int], *, realtime: bool = False) -> list[Batch]:
    """Let an engine walk the given *steps* of ms."""
    engine = Engine(model, seed=7, epoch_ns=EPOCH_NS, max_spans_per_trace=2_000, realtime=realtime)
    engine.join(0, 0)
    batches, until = [], 0
    for step in steps:
        until += step * MS
        while engine.walked_ns < until:
            batches.append(engine.walk(until))
    return batches


@pytest.mark.parametrize("realtime", [False, True])
def test_a_scenario_may_switch_from_one_walk_to_the_other(realtime: bool) -> None:
    numbered = {"attributes": {"id": {"sequence": "{n}"}}}
    operations = {
        f"o{index}": {
            "duration": "3ms +/- 2ms",
            "error_rate": "10%",
            "calls": [{"target": f"s.o{index + 1}", "retries": 1}] if index < 4 else [],
            **numbered,
        }
        for index in range(5)
    }
    more = {
        f"s.o{index}": {"add_calls": [{"target": f"s.o{index + 1}", "count": 2}]}
        for index in range(4)
    }
    window = {"name": "busy", "at": "100ms", "duration": "200ms", "override": more}
    model = topology({"s": {"operations": operations}}, scenarios=[window])
    assert [Bench(model, each).plan.crowded for each in ((), (0,))] == [False, True]
    batches = walked(model, [400], realtime=realtime)
    assert spans(*batches) == scalar_spans(model)
    numbers: dict[str, list[int]] = defaultdict(list)
    for each in (each for batch in batches for each in batch.columns):
        assert each.values[-1] is not None
        numbers[each.shape.name] += each.values[-1].tolist()
    assert all(len(set(each)) == len(each) for each in numbers.values())
    assert numbers["o0"] == list(range(1, 41)) or realtime


def _windows(model: Topology) -> set[tuple[int, ...]]:
    return {scenarios.active(model, at * 10 * MS) for at in range(40)}


def service(**operations: Any) -> Topology:
    return topology({"s": {"operations": operations}})


def names(batch: Batch) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for columns in batch.columns:
        found[columns.shape.name] += columns.trace.size
    return dict(found)


@pytest.mark.parametrize("style", ["parallel", "sequential"])
def test_a_ladder_may_be_thousands_of_calls_deep(style: str) -> None:
    depth = 3_000
    operations: dict[str, Any] = {
        f"o{index}": {"duration": "1ms", "call_style": style, "calls": [f"s.o{index + 1}"]}
        for index in range(depth)
    }
    operations[f"o{depth}"] = {"duration": "1ms", "error_rate": "100%"}
    bench = Bench(service(**operations), limit=10_000)
    batch = bench.walk(0, 3, waves=True)
    assert names(batch) == {f"o{index}": 3 for index in range(depth + 1)}
    assert counts(batch).errors == 3 * (depth + 1)
    ends = {each.shape.name: (each.end_ns - batch.arrival_ns).tolist() for each in batch.columns}
    assert ends[f"o{depth}"] == [depth * MS // 2 + MS] * 3
    assert ends["o0"] == [(depth + 1) * MS] * 3


def test_failures_at_every_level_are_retried_at_every_level() -> None:
    """Each call is made (1 + retries) times as often as the one above it."""
    depth, retries = 4, 2
    operations: dict[str, Any] = {
        f"o{index}": {
            "duration": "2ms",
            "calls": [{"target": f"s.o{index + 1}", "retries": retries, "retry_backoff": "1ms"}],
        }
        for index in range(depth)
    }
    operations[f"o{depth}"] = {"duration": "2ms", "error_rate": "100%"}
    bench = Bench(service(**operations))
    batch = bench.walk(0, 5, waves=True)
    assert bench.plan.largest == sum(3**level for level in range(depth + 1))
    assert names(batch) == {f"o{level}": 5 * 3**level for level in range(depth + 1)}
    assert counts(batch).retries == 5 * sum(2 * 3**level for level in range(depth))
    took = 2
    for _ in range(depth):
        took = 3 * took + 2 + 2
    root = next(each for each in batch.columns if each.shape.name == "o0")
    assert (root.end_ns - root.start_ns).tolist() == [took * MS] * 5
    assert spans(batch) == spans(bench.walk(0, 5, waves=False))


def test_a_call_may_be_made_thousands_of_times() -> None:
    bench = Bench(
        service(
            root={
                "duration": "2ms",
                "call_style": "sequential",
                "calls": [{"target": "s.a", "count": 5_000}],
            },
            a={"duration": "1ms", "attributes": {"id": {"sequence": "a-{n}"}}},
        ),
        limit=10_000,
    )
    batch = bench.walk(0, 4, waves=True)
    (numbers,) = (each.values[-1] for each in batch.columns if each.shape.name == "a")
    assert numbers is not None
    assert numbers.tolist() == list(range(1, 20_001))
    (root,) = (each for each in batch.columns if each.shape.name == "root")
    assert (root.end_ns - root.start_ns).tolist() == [5_002 * MS] * 4


def test_numbers_follow_from_the_trace_and_the_place_of_a_span() -> None:
    numbered = {"duration": "1ms", "attributes": {"id": {"sequence": "{n}"}}}
    bench = Bench(
        service(
            root={**numbered, "error_rate": "30%", "calls": ["s.a", "s.b", "s.a"]},
            a={"duration": "1ms", "calls": [{"target": "s.b", "retries": 2, "count": 2}]},
            b={**numbered, "error_rate": "50%"},
        )
    )
    batches = [bench.walk(at, at + 10, waves=True) for at in range(0, 50, 10)]
    found: dict[str, list[int]] = defaultdict(list)
    for each in (each for batch in batches for each in batch.columns):
        found[each.shape.name] += [] if each.values[-1] is None else each.values[-1].tolist()
    assert found["root"] == list(range(1, 51))
    assert len(set(found["b"])) == len(found["b"]) > 50 * 5
    assert set(found["b"]) <= set(range(1, 50 * bench.plan.most("s.b") + 1))


def test_an_operation_that_begins_traces_may_also_be_called() -> None:
    model = topology(
        {
            "s": {
                "operations": {
                    "outer": {"duration": "1ms", "calls": ["s.inner", "s.inner"]},
                    "inner": {"duration": "1ms", "calls": [{"target": "s.leaf", "count": 2}]},
                    "leaf": {"duration": "1ms"},
                }
            }
        },
        traffic={"rate": "100/s", "roots": {"s.outer": 1, "s.inner": 1, "s.leaf": 1}},
    )
    bench = Bench(model)
    batch = bench.walk(0, 60, waves=True)
    assert spans(batch) == spans(bench.walk(0, 60, waves=False))
    reached = {(each.shape.name, each.shape.has_parent) for each in batch.columns}
    assert reached == {
        ("outer", False),
        *((name, inside) for name in ("inner", "leaf") for inside in (False, True)),
    }


def test_nobody_waits_at_a_timeout_of_nothing() -> None:
    bench = Bench(
        service(
            root={
                "duration": "2ms",
                "call_style": "sequential",
                "calls": [
                    {"target": "s.a", "timeout": "1ns", "retries": 1},
                    {"target": "s.b", "async": True},
                    "s.c",
                ],
            },
            a={"duration": "1s"},
            b={"duration": "1s", "error_rate": "100%"},
            c={"duration": "1ns"},
        )
    )
    batch = bench.walk(0, 1, waves=True)
    total = counts(batch)
    assert (total.timeouts, total.retries, total.failed_traces, total.errors) == (2, 1, 1, 2)
    starts = {
        each.shape.name: (each.start_ns - batch.arrival_ns[0]).tolist() for each in batch.columns
    }
    assert starts == {"root": [0], "a": [MS, MS + 1], "b": [MS + 2], "c": [MS + 2]}
    assert spans(batch) == spans(bench.walk(0, 1, waves=False))


def test_a_walk_pauses_in_every_generation() -> None:
    operations = {
        f"o{index}": {"duration": "1ms", "calls": [f"s.o{index + 1}"]} for index in range(9)
    }
    bench = Bench(service(**operations, o9={"duration": "1ms"}))
    bench.walk(0, 5, waves=True)
    assert bench.pauses >= 10 * 3 + 10
