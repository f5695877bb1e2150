from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine import engine as engines
from motel_locust.engine.engine import Engine
from tests.engine.test_walk import EPOCH_NS, LIMIT, TICK_NS, run, spans
from tests.engine.topologies import topologies, topology

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.columns import Batch
    from motel_locust.topology.model import Topology

UNTIL_NS = 40 * TICK_NS


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SPANS_OF_A_PIECE", 5)


def one_service(rate: str = "1000/s") -> Topology:
    service = {"operations": {"get": {"duration": "5ms"}}}
    return topology({"gate": service}, traffic={"rate": rate})


def handed_out(engine: Engine, until_ns: int) -> Iterator[Batch]:
    while engine.walked_ns < until_ns:
        yield engine.walk(until_ns)


@settings(max_examples=60, deadline=None)
@given(
    topologies() | topologies(paired=True) | topologies(guarded=True),
    st.integers(1, 60),
    st.booleans(),
)
def test_a_walk_in_pieces_hands_out_the_same_spans(
    topology: Topology, most: int, realtime: bool
) -> None:
    whole, batches = run(topology, [UNTIL_NS], realtime=realtime)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "SPANS_OF_A_PIECE", most)
        _, pieces = run(topology, [UNTIL_NS], realtime=realtime)
    assert spans(whole, pieces) == spans(whole, batches)
    counted, expected = (
        [counts for batch in made for counts in batch.counts] for made in (pieces, batches)
    )
    assert sum(counted[1:], counted[0]) == sum(expected[1:], expected[0])


@settings(max_examples=40, deadline=None)
@given(topologies(), st.integers(1, 60))
def test_a_piece_is_a_batch(topology: Topology, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "SPANS_OF_A_PIECE", most)
        _, batches = run(topology, [UNTIL_NS])
    for batch in batches:
        sizes = [each.trace.size for each in batch.columns]
        assert all(sizes)
        assert batch.trace_id.size or not batch.edges_ns.size
        assert batch.rows.shape == (len(sizes), len(batch.edges_ns) + 1)
        assert batch.rows[:, 0].tolist() == [0] * len(sizes)
        assert batch.rows[:, -1].tolist() == sizes
        assert sum(each.spans for each in batch.counts) == sum(sizes)
        assert sum(each.traces for each in batch.counts) == len(batch.trace_id)
        assert len(batch.arrival_ns) == len(batch.trace_id)
        for columns, rows in zip(batch.columns, batch.rows, strict=True):
            part = np.repeat(np.arange(len(batch.edges_ns)), np.diff(rows))
            since_ns = batch.arrival_ns[columns.trace] - batch.edges_ns[part]
            assert ((since_ns >= 0) & (since_ns < TICK_NS)).all()


@pytest.mark.usefixtures("small_pieces")
def test_pieces_end_with_ticks_and_have_at_most_so_many_spans_or_one_tick() -> None:
    slow = Engine(one_service("250/s"), seed=7, epoch_ns=EPOCH_NS)
    fast = Engine(one_service("1000/s"), seed=7, epoch_ns=EPOCH_NS)
    for engine, ticks in ((slow, 2), (fast, 1)):
        engine.join(0, 0)
        ends = []
        for batch in handed_out(engine, 20 * TICK_NS):
            ends.append(engine.walked_ns)
            assert len(batch.edges_ns) <= ticks
        assert ends == list(range(ticks * TICK_NS, 20 * TICK_NS + 1, ticks * TICK_NS))


@pytest.mark.usefixtures("small_pieces")
def test_a_piece_that_goes_too_far_is_walked_again_up_to_where_it_may() -> None:
    engine = Engine(one_service("250/s"), seed=7, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    batches = [engine.walk(20 * TICK_NS)]
    assert engine.walked_ns == 2 * TICK_NS
    batches.append(engine.walk(3 * TICK_NS))
    assert engine.walked_ns == 3 * TICK_NS
    batches += handed_out(engine, 20 * TICK_NS)
    _, expected = run(one_service("250/s"), [20 * TICK_NS])
    assert spans(engine, batches) == spans(engine, expected)


@settings(max_examples=40, deadline=None)
@given(topologies(), st.integers(1, 60), st.integers(0, 39), st.integers(0, 39))
def test_users_that_come_throw_away_pieces_that_were_not_handed_out(
    topology: Topology, most: int, handed: int, late: int
) -> None:
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "SPANS_OF_A_PIECE", most)
        for early in (False, True):
            engine = Engine(topology, seed=7, epoch_ns=EPOCH_NS, max_spans_per_trace=LIMIT)
            engine.join(0, 0)
            if not early:
                while engine.walked_ns < handed * TICK_NS:
                    engine.walk(UNTIL_NS)
            at_ns = late * TICK_NS
            if engine.walked_ns > at_ns:
                engine.join(1, at_ns)
                assert engine.walked_ns == at_ns
            else:
                list(handed_out(engine, at_ns))
                engine.join(1, at_ns)
            found.append(spans(engine, list(handed_out(engine, UNTIL_NS))))
    assert found[0] == found[1]
