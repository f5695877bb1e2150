from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine import scenarios
from motel_locust.engine.columns import Choice, Columns, Constant, Numbered, Spelled
from motel_locust.engine.engine import MOST_GUARDED_TRACES, Engine
from tests.engine.topologies import topologies, topology
from tests.oracles.spelling import spelled
from tests.oracles.walk import ScalarSpan, ScalarWalk

if TYPE_CHECKING:
    from motel_locust.engine.columns import Attribute, Batch, ValueColumn
    from motel_locust.topology.model import Topology

EPOCH_NS = 1_700_000_000_000_000_000
TICK_NS = 10_000_000

# Random calls multiply: without a limit a few topologies would take all the time.
LIMIT = 100


def run(topology: Topology, steps: list[int], **options: Any) -> tuple[Engine, list[Batch]]:
    """Walk a user's first moments in the given *steps* of ns; return every batch."""
    options.setdefault("max_spans_per_trace", LIMIT)
    engine = Engine(topology, seed=7, epoch_ns=EPOCH_NS, **options)
    engine.join(0, 0)
    batches, until = [], 0
    for step in steps:
        until += step
        while engine.walked_ns < until:
            batches.append(engine.walk(until))
    return engine, batches


def values(
    attributes: tuple[Attribute, ...], columns: tuple[ValueColumn, ...], row: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute, column in zip(attributes, columns, strict=True):
        if isinstance(attribute, Constant):
            found[attribute.key] = attribute.value
        elif column is not None:
            value = column[row].item()
            if isinstance(attribute, Choice):
                value = attribute.options[value]
            if isinstance(attribute, Numbered):
                value = "{n}".join(attribute.parts)
            if isinstance(attribute, Spelled):
                value = spelled(attribute.key, value, attribute.length)
            found[attribute.key] = value
    return found


def spans(engine: Engine, batches: list[Batch]) -> list[tuple[Any, ...]]:
    """Every span with all its fields, in an order of its own."""
    found = []
    for batch in batches:
        numbers = [engine.number(trace_id.tobytes()) for trace_id in batch.trace_id]
        for columns in batch.columns:
            found += [row_of(columns, row, numbers) for row in range(columns.trace.size)]
    return sorted(found, key=repr)


def row_of(columns: Columns, row: int, numbers: list[int | None]) -> tuple[Any, ...]:
    shape = columns.shape
    links = []
    for link, found in zip(shape.links, columns.links, strict=True):
        for position in (found.chosen == row).nonzero()[0].tolist():
            key = int.from_bytes(found.trace_id[position].tobytes()[:8], "little")
            drawn = values(link.attributes, found.values, position)
            links.append((key, int(found.span_id[position]), drawn))
    start = int(columns.start_ns[row])
    return (
        numbers[int(columns.trace[row])],
        f"{shape.service}.{shape.name}",
        shape.kind.name,
        int(columns.span_id[row]),
        0 if columns.parent_id is None else int(columns.parent_id[row]),
        start,
        int(columns.end_ns[row]),
        bool(columns.failed[row]),
        values(shape.attributes, columns.values, row),
        [
            (event.name, start + event.delay_ns, values(event.attributes, drawn, row))
            for event, drawn in zip(shape.events, columns.events, strict=True)
        ],
        links,
        None if columns.resource is None else int(columns.resource[row]),
    )


def expected(span: ScalarSpan) -> tuple[Any, ...]:
    return (
        span.trace,
        span.ref,
        span.kind,
        span.span_id,
        span.parent_id,
        span.start,
        span.end,
        span.failed,
        span.attributes,
        span.events,
        span.links,
        span.resource,
    )


@settings(max_examples=150, deadline=None)
@given(topologies() | topologies(paired=True), st.sampled_from([3, 5, 12, 100]))
def test_the_columnar_walk_makes_the_spans_of_the_scalar_one(
    topology: Topology, limit: int
) -> None:
    engine, batches = run(topology, [400_000_000], max_spans_per_trace=limit)
    oracle = ScalarWalk(topology, seed=7, limit=limit, origin_ns=EPOCH_NS)
    arrivals = sorted(t for batch in batches for t in batch.arrival_ns.tolist())
    for number, arrival in enumerate(arrivals):
        oracle.trace(number, arrival, scenarios.active(topology, arrival - EPOCH_NS))
    assert len(arrivals) == 40
    assert spans(engine, batches) == sorted(map(expected, oracle.spans), key=repr)
    counts = [each for batch in batches for each in batch.counts]
    assert sum(each.traces for each in counts) == 40
    assert sum(each.spans for each in counts) == len(oracle.spans)
    assert sum(each.errors for each in counts) == sum(span.failed for span in oracle.spans)
    assert sum(each.failed_traces for each in counts) == oracle.counts.failed_traces
    assert sum(each.timeouts for each in counts) == oracle.counts.timeouts
    assert sum(each.retries for each in counts) == oracle.counts.retries
    assert sum(each.spans_bounded for each in counts) == oracle.counts.bounded


@settings(max_examples=120, deadline=None)
@given(
    st.one_of(
        topologies(),
        topologies(rate="1000/s", guarded=True),
        topologies(rate="1000/s", guarded=True, paired=True),
    ),
    st.lists(st.integers(1, 10), min_size=1, max_size=6),
    st.booleans(),
)
def test_the_spans_do_not_depend_on_the_steps_of_the_walk(
    topology: Topology, ticks: list[int], realtime: bool
) -> None:
    whole = sum(ticks) * TICK_NS
    first = run(topology, [whole], realtime=realtime)
    second = run(topology, [each * TICK_NS for each in ticks], realtime=realtime)
    assert spans(*first) == spans(*second)


@settings(max_examples=60, deadline=None)
@given(topologies(rate="1000/s", guarded=True, paired=True))
def test_every_trace_is_whole(topology: Topology) -> None:
    """One root, every parent present, no child before its parent."""
    _, batches = run(topology, [100_000_000])
    for batch in batches:
        starts: dict[tuple[int, int], int] = {}
        roots = dict.fromkeys(range(batch.trace_id.size), 0)
        children = []
        for columns in batch.columns:
            parents = columns.parent_id
            for row, trace in enumerate(columns.trace.tolist()):
                start = int(columns.start_ns[row])
                starts[trace, int(columns.span_id[row])] = start
                if parents is None:
                    roots[trace] += 1
                else:
                    children.append((trace, int(parents[row]), start))
        assert all(count == 1 for count in roots.values())
        assert all(starts[trace, parent] <= start for trace, parent, start in children)
        assert len(starts) == sum(each.spans for each in batch.counts)
        assert len(set(batch.trace_id.tolist())) == batch.trace_id.size


@settings(max_examples=60, deadline=None)
@given(topologies(), st.booleans())
def test_parts_hold_each_span_once_in_its_tick(topology: Topology, realtime: bool) -> None:
    _, batches = run(topology, [400_000_000], realtime=realtime)
    for batch in batches:
        assert (batch.edges_ns % TICK_NS == EPOCH_NS % TICK_NS).all()
        assert batch.rows.shape == (len(batch.columns), batch.edges_ns.size + 1)
        assert sum(each.traces for each in batch.counts) == batch.trace_id.size
        for columns, rows in zip(batch.columns, batch.rows, strict=True):
            assert rows[0] == 0
            assert rows[-1] == columns.trace.size
            arrivals = batch.arrival_ns[columns.trace]
            released = columns.end_ns if realtime else arrivals
            for part, edge in enumerate(batch.edges_ns):
                inside = released[rows[part] : rows[part + 1]]
                assert ((inside >= edge) & (inside < edge + TICK_NS)).all()


@pytest.mark.parametrize("at", [0, 5, 10, 49])
@settings(max_examples=20, deadline=None)
@given(topology=topologies())
def test_going_back_for_a_new_user_equals_having_known_it(topology: Topology, at: int) -> None:
    known = Engine(topology, seed=7, epoch_ns=EPOCH_NS, max_spans_per_trace=LIMIT)
    known.join(0, 0)
    known.join(1, at * TICK_NS)
    late = Engine(topology, seed=7, epoch_ns=EPOCH_NS, max_spans_per_trace=LIMIT)
    late.join(0, 0)
    while late.walked_ns < 50 * TICK_NS:
        late.walk(50 * TICK_NS)
    late.join(1, at * TICK_NS)
    assert late.walked_ns == at * TICK_NS
    while known.walked_ns < at * TICK_NS:
        known.walk(at * TICK_NS)
    walked = []
    for engine in (known, late):
        batches = []
        while engine.walked_ns < 80 * TICK_NS:
            batches.append(engine.walk(80 * TICK_NS))
        walked.append(spans(engine, batches))
    assert walked[0] == walked[1]


@given(topologies(guarded=True), st.booleans(), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_passing_over_a_time_equals_a_time_without_users(
    topology: Topology, realtime: bool, late: int
) -> None:
    at_ns, stop_ns = late * TICK_NS, (late + 20) * TICK_NS
    walked, entered = (
        Engine(topology, seed=7, epoch_ns=EPOCH_NS, max_spans_per_trace=LIMIT, realtime=realtime)
        for _ in range(2)
    )
    while walked.walked_ns < at_ns:
        walked.walk(at_ns)
    entered.pass_over(0, at_ns)
    found = []
    for engine in (walked, entered):
        engine.join(0, at_ns)
        batches = []
        while engine.walked_ns < stop_ns:
            batches.append(engine.walk(stop_ns))
        found.append(spans(engine, batches))
    assert found[0] == found[1]


def test_passing_over_hours_takes_no_walk_of_them() -> None:
    """Where operations keep state every tick is walked on its own: 360,000 an hour."""
    service = {"operations": {"get": {"duration": "5ms", "queue_depth": 3}}}
    engine = Engine(topology({"gate": service}), seed=7, epoch_ns=EPOCH_NS)
    engine.pass_over(0, 24 * 360_000 * TICK_NS)
    engine.join(0, 24 * 360_000 * TICK_NS)
    batch = engine.walk((24 * 360_000 + 5) * TICK_NS)
    assert engine.walked_ns == (24 * 360_000 + 1) * TICK_NS
    assert batch.trace_id.shape[0] == 1


def test_a_large_tick_with_state_is_walked_in_parts_that_depend_on_nothing_else() -> None:
    service = {"operations": {"get": {"duration": "5ms", "queue_depth": 9_000}}}
    known, late = (
        Engine(
            topology({"gate": service}, traffic={"rate": "2000000/s"}), seed=7, epoch_ns=EPOCH_NS
        )
        for _ in range(2)
    )
    for engine, user in ((known, 0), (known, 1), (late, 0)):
        engine.join(user, user * TICK_NS)
    while late.walked_ns < 3 * TICK_NS:
        late.walk(3 * TICK_NS)
    late.join(1, TICK_NS)
    while known.walked_ns < TICK_NS:
        known.walk(TICK_NS)

    found = []
    for engine, until in ((known, 2), (late, 100)):
        batches: list[Batch] = []
        while engine.walked_ns < 2 * TICK_NS:
            batches.append(engine.walk(until * TICK_NS))
        assert max(batch.trace_id.size for batch in batches) < 1.01 * MOST_GUARDED_TRACES
        found.append([batch.counts for batch in batches])
    assert found[0] == found[1]
    assert sum(counts.queue_rejections for (counts,) in found[0]) > 0
    assert sum(counts.traces for (counts,) in found[0]) == 40_000


def test_what_was_walked_ahead_of_a_pause_never_existed() -> None:
    service = {"operations": {"get": {"duration": "5ms"}}}
    paused, steady = (
        Engine(topology({"gate": service}), seed=7, epoch_ns=EPOCH_NS) for _ in range(2)
    )
    for engine in (paused, steady):
        engine.join(0, 0)
        engine.walk(50 * TICK_NS)
    paused.pass_over(20 * TICK_NS, 30 * TICK_NS)
    batch = paused.walk(50 * TICK_NS)
    expected = [EPOCH_NS + tick * TICK_NS for tick in range(30, 50)]
    assert sorted(batch.columns[0].start_ns.tolist()) == expected
    # Numbers go on where the last trace ended that was let out.
    numbers = sorted(paused.number(each.tobytes()) or 0 for each in batch.trace_id)
    assert numbers == list(range(20, 40))


def test_a_walk_pauses_after_every_visit_and_every_shape() -> None:
    calls = {"calls": [{"target": f"s.callee{index}", "count": 3} for index in range(4)]}
    operations = {"caller": {"duration": "1ms", **calls}}
    operations |= {f"callee{index}": {"duration": "1ms"} for index in range(4)}
    model = topology({"s": {"operations": operations}})
    engine, other = (Engine(model, seed=7, epoch_ns=EPOCH_NS) for _ in range(2))
    for each in (engine, other):
        each.join(0, 0)
    pauses: list[int] = []
    batch = engine.walk(1_000_000_000, lambda: pauses.append(engine.walked_ns))
    assert len(pauses) >= 13 + len(batch.columns)
    assert set(pauses) == {0}, "what is not yet handed out is not yet walked"
    assert spans(engine, [batch]) == spans(other, [other.walk(1_000_000_000)])
