from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine.released import Released, TraceIds
from motel_locust.engine.reservoir import Reservoir

SLOTS = 3
offers = st.lists(
    st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 2**64 - 2)), max_size=60),
    max_size=4,
)


def released(span_id: list[int]) -> Released:
    """Spans whose times and trace ids follow from their ids."""
    ids = np.array(span_id, np.uint64)
    end_ns = (ids >> np.uint64(1)).astype(np.int64)
    trace_id = np.repeat(ids, 2).view("V16")
    traces = TraceIds(ids.size, np.arange(ids.size), trace_id)
    return Released(end_ns - 1, end_ns, np.zeros(ids.size, np.bool_), ids, None, None, (traces,))


def filled(batches: list[list[tuple[int, int]]], width: int) -> Reservoir:
    reservoir = Reservoir(SLOTS, width=width)
    for batch in batches:
        spans = released([span_id for _, span_id in batch])
        slots = [slot for slot, _ in batch]
        slot = slots[0] if len(set(slots)) == 1 else np.array(slots, np.int64)
        reservoir.offer(slot, (spans.span_id % np.uint64(1000)).astype(np.int64), spans)
    return reservoir


def shown(reservoir: Reservoir) -> list[list[int]]:
    """The ids of each slot, in order of its cells; all columns tell of the same spans."""
    cells = reservoir.cells
    ids = reservoir.span_id[cells]
    assert (reservoir.time_ns[cells] == (ids >> np.uint64(1)).astype(np.int64)).all()
    assert (reservoir.steps[cells] == (ids % np.uint64(1000)).astype(np.int64)).all()
    assert reservoir.trace_id[cells].tobytes() == np.repeat(ids, 2).tobytes()
    found: list[list[int]] = [[] for _ in range(SLOTS)]
    for cell, span_id in zip(cells.tolist(), ids.tolist(), strict=True):
        found[cell // reservoir.width].append(span_id)
    return found


def least(batches: list[list[tuple[int, int]]], width: int) -> list[list[int]]:
    of_slot: list[list[int]] = [[] for _ in range(SLOTS)]
    for batch in batches:
        for slot, span_id in batch:
            of_slot[slot].append(span_id)
    return [sorted(found)[:width] for found in of_slot]


@settings(max_examples=60, deadline=None)
@given(offers, st.sampled_from([1, 2, 20]))
def test_each_slot_has_the_spans_with_the_least_ids(
    batches: list[list[tuple[int, int]]], width: int
) -> None:
    assert shown(filled(batches, width)) == least(batches, width)


@settings(max_examples=40, deadline=None)
@given(offers, st.sampled_from([1, 2, 20]))
def test_what_is_folded_is_considered_for_another(
    batches: list[list[tuple[int, int]]], width: int
) -> None:
    reservoir = filled(batches, width)
    reservoir.fold(np.array([1, 2]), 0)
    as_one = [[(0, span_id) for _, span_id in batch] for batch in batches]
    assert shown(reservoir) == least(as_one, width)


def test_of_very_many_at_once_the_least_are_found() -> None:
    ids = np.random.Generator(np.random.PCG64(1)).integers(1, 2**63, 5_000, np.uint64).tolist()
    batch = [(place % SLOTS, span_id) for place, span_id in enumerate(ids)]
    assert shown(filled([batch], 20)) == least([batch], 20)


def test_after_it_was_cleared_nothing_is_left() -> None:
    reservoir = filled([[(0, 5), (1, 6)]], 2)
    reservoir.clear()
    assert shown(reservoir) == [[], [], []]
