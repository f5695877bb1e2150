from __future__ import annotations

import math
from collections import defaultdict

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.assembly import NOTHING
from motel_locust.engine.columns import Batch
from motel_locust.engine.statistics import (
    Durations,
    OperationCounts,
    Outgoing,
    Statistics,
    total_by_operation,
)
from tests.strategies import batches

OFF = 0.016
"""By how much of itself a quantile may be wrong."""

durations = st.lists(
    st.integers(0, 2**63 - 1)
    | st.integers(0, 70)
    | st.integers(0, 2**36)
    | st.sampled_from([2**power + step for power in range(63) for step in (-1, 0, 1)]),
    max_size=60,
)
shares = st.floats(0, 1) | st.sampled_from([0.5, 0.95, 0.99])


def counted(duration_ns: list[float], *, failed: int = 0) -> OperationCounts:
    """The counts of one operation whose first *failed* spans failed."""
    statistics = Statistics()
    statistics.add(
        "web.get", np.array(duration_ns, np.float32), np.arange(len(duration_ns)) < failed
    )
    return statistics.operations().get("web.get", OperationCounts())


@settings(deadline=None)
@given(durations, shares)
def test_a_quantile_is_the_span_of_that_rank_but_for_the_width_of_a_cell(found, share):
    quantile = counted(found).durations.quantile_ns(share)
    if not found:
        assert quantile is None
        return
    exact = sorted(found)[max(1, math.ceil(share * len(found))) - 1]
    assert quantile == pytest.approx(exact, rel=OFF, abs=0)


@settings(deadline=None)
@given(st.lists(durations, max_size=5), st.randoms())
def test_parts_add_up_to_the_whole_in_any_order(parts, random):
    whole = counted([each for part in parts for each in part])
    counts = [counted(part) for part in parts]
    random.shuffle(counts)
    assert sum(counts, OperationCounts()) == whole
    assert total_by_operation([{"web.get": each} for each in counts]) == (
        {"web.get": whole} if parts else {}
    )
    assert whole.spans == int(whole.durations.spans.sum()) == sum(map(len, parts))


@settings(deadline=None)
@given(durations, st.data())
def test_counts_travel_as_messages(found, data):
    counts = counted(found, failed=data.draw(st.integers(0, len(found))))
    message = msgpack.unpackb(msgpack.packb(counts.message()))
    assert OperationCounts.from_message(message) == counts


def test_an_ordinary_operation_takes_little_of_a_message():
    found = np.random.Generator(np.random.PCG64(7)).normal(30e6, 6e6, 1_000_000)
    counts = counted(found.tolist())
    assert len(msgpack.packb(counts.message())) < 300


def test_totals_are_by_operation_and_sorted():
    one, other = counted([1_000], failed=1), counted([2_000, 3_000])
    total = total_by_operation([{"web.put": one, "db.find": other}, {"web.put": other}])
    assert list(total.items()) == [("db.find", other), ("web.put", one + other)]
    assert (total["web.put"].spans, total["web.put"].errors) == (3, 1)


def test_many_small_stretches_count_like_a_large_one():
    found = list(range(1, 50_000, 7))
    statistics = Statistics()
    for start in range(0, len(found), 3):
        stretch = np.array(found[start : start + 3], np.float32)
        statistics.add("web.get", stretch, np.ones(stretch.size, bool))
    assert statistics.operations() == {"web.get": counted(found, failed=len(found))}


def spans_of(batch: Batch, parts: int) -> dict[str, tuple[int, int, list[int]]]:
    """Spans, errors and durations of the first *parts* of a batch, by operation."""
    found: dict[str, tuple[list[bool], list[int]]] = defaultdict(lambda: ([], []))
    for columns, edges in zip(batch.columns, batch.rows, strict=True):
        failed, taken = found[f"{columns.shape.service}.{columns.shape.name}"]
        rows = slice(edges[0], edges[parts])
        failed += columns.failed[rows].tolist()
        taken += (columns.end_ns - columns.start_ns)[rows].tolist()
    return {ref: (sum(failed), taken) for ref, (failed, taken) in found.items() if taken}


@settings(max_examples=80, deadline=None)
@given(st.booleans().flatmap(lambda in_order: batches(in_order=in_order)), st.data())
def test_only_parts_that_were_released_count_whenever_one_looks(batch, data):
    outgoing, statistics = Outgoing(batch), Statistics()
    released = data.draw(st.integers(0, len(batch.edges_ns)))
    for part, edge_ns in enumerate(batch.edges_ns[:released].tolist(), start=1):
        for _ in range(data.draw(st.integers(1, 2))):  # a part may leave in two parcels
            assert outgoing.release(edge_ns) == (part == len(batch.edges_ns))
        for _ in range(data.draw(st.integers(0, 2))):
            outgoing.count(statistics)
    outgoing.count(statistics)
    assert statistics.operations() == {
        ref: counted(taken, failed=failed)
        for ref, (failed, taken) in spans_of(batch, released).items()
    }


def test_nothing_counts_nothing():
    outgoing, statistics = Outgoing(NOTHING), Statistics()
    outgoing.count(statistics)
    assert statistics.operations() == {}
    assert Durations().quantile_ns(0.5) is None
    assert OperationCounts() + OperationCounts() == OperationCounts()
