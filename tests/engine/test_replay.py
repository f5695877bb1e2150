from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine import replay
from motel_locust.engine.replay import Replay
from motel_locust.engine.schedule import PHASE, TICK_NS
from motel_locust.engine.tape import Tape
from motel_locust.otlp.taping import TapeBuilder
from tests.recorded import START_NS, checkout

EPOCH_NS = 1_800_000_000_000_000_000
MS = 1_000_000


def tape_of(*starts_ms: float, preserve_ids: bool = False) -> Tape:
    """Traces of four spans that start so long after the first; the last lasts 9 ms and 1 ns."""
    builder = TapeBuilder(preserve_ids=preserve_ids)
    for nth, start_ms in enumerate(starts_ms):
        builder.add(checkout(nth, start_ns=START_NS + round(start_ms * MS)))
    return builder.build()


TAPE = tape_of(0, 3, 3, 40, 100)
PERIOD_NS = 100 * MS + 9_000_001


def make(tape: Tape = TAPE, **options: Any) -> Replay:
    return Replay(tape, seed=7, epoch_ns=EPOCH_NS, **options)


def walked(replayed: Replay, *untils_ns: int) -> list[tuple[int, str, int]]:
    """What is walked in these steps: each trace's tick, id and first start."""
    found = []
    for until_ns in untils_ns:
        while replayed.walked_ns < until_ns:
            batch = replayed.walk(until_ns)
            starts: dict[int, int] = {}
            for columns in batch.columns:
                for trace, start_ns in zip(
                    columns.trace.tolist(), columns.start_ns.tolist(), strict=True
                ):
                    starts[trace] = min(start_ns, starts.get(trace, start_ns))
            ids = [each.tobytes().hex() for each in batch.trace_id]
            ticks = (batch.arrival_ns - EPOCH_NS).tolist()
            found += [(ticks[i], ids[i], starts[i] - EPOCH_NS) for i in range(len(ids))]
            assert sum(part.traces for part in batch.counts) == len(ids)
            assert sum(part.spans for part in batch.counts) == 4 * len(ids)
            assert sum(part.errors for part in batch.counts) == len(ids)
    return found


def due_ns(user: int, joined_ns: int, *, loops: int = 1, speed: float = 1.0) -> list[int]:
    """When a user's traces are due, in plain Python."""
    after_ns = [int(each / speed) for each in (TAPE.start_ns - START_NS).tolist()]
    period_ns = int(PERIOD_NS / speed)
    phase_ns = int(user * PHASE % 1 * period_ns / len(after_ns))
    return [
        joined_ns + phase_ns + loop * period_ns + after
        for loop in range(loops)
        for after in after_ns
    ]


def test_a_user_replays_the_tape_from_when_it_joins() -> None:
    replayed = make()
    replayed.join(0, 50 * MS)
    found = walked(replayed, 1_000 * MS)
    assert [start_ns for _, _, start_ns in found] == due_ns(0, 50 * MS)
    assert [tick_ns for tick_ns, _, _ in found] == [
        each // TICK_NS * TICK_NS for each in due_ns(0, 50 * MS)
    ]
    assert len({trace_id for _, trace_id, _ in found}) == 5


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=6, unique_by=lambda u: u[0]
    ),
    st.integers(1, 3),
    st.sampled_from([0.5, 1.0, 3.0, 1000.0]),
    st.lists(st.integers(1, 700 * MS), max_size=5),
)
def test_every_user_replays_all_of_it_at_any_speed_and_in_any_pieces(
    users: list[tuple[int, int]], loops: int, speed: float, steps_ns: list[int]
) -> None:
    replayed, expected = make(loops=loops, speed=speed), []
    for user, tick in users:
        replayed.join(user, tick * TICK_NS)
        expected += due_ns(user, tick * TICK_NS, loops=loops, speed=speed)
    found = walked(replayed, *sorted(steps_ns), 2_000 * MS)
    assert sorted(start_ns for _, _, start_ns in found) == sorted(expected)
    assert len({trace_id for _, trace_id, _ in found}) == len(expected)
    whole = make(loops=loops, speed=speed)
    for user, tick in users:
        whole.join(user, tick * TICK_NS)
    assert sorted(walked(whole, 2_000 * MS)) == sorted(found)


def test_the_tape_goes_on_for_ever_if_asked_to() -> None:
    replayed = make(loops=0)
    replayed.join(0, 0)
    found = walked(replayed, *range(10**9, 11 * 10**9, 10**9))
    expected = due_ns(0, 0, loops=200)
    assert [start_ns for _, _, start_ns in found] == [each for each in expected if each < 10**10]


def test_who_leaves_starts_nothing_more() -> None:
    replayed = make()
    replayed.join(0, 0)
    replayed.join(1, 0)
    before = walked(replayed, 60 * MS)
    replayed.leave(0, 40 * MS)
    assert replayed.walked_ns == 40 * MS
    kept = [each for each in before if each[0] < 40 * MS]
    found = kept + walked(replayed, 1_000 * MS)
    assert sorted(start_ns for _, _, start_ns in found) == sorted(
        [each for each in due_ns(0, 0) if each < 40 * MS] + due_ns(1, 0)
    )
    replayed.join(0, 1_000 * MS)  # and may come back, as if new
    starts = [start_ns for _, _, start_ns in walked(replayed, 2_000 * MS)]
    assert starts == due_ns(0, 1_000 * MS)


def test_going_back_changes_nothing_for_the_others() -> None:
    replayed, other = make(), make()
    for each in (replayed, other):
        each.join(0, 0)
    before = [each for each in walked(replayed, 100 * MS) if each[0] < 20 * MS]
    replayed.join(1, 20 * MS)
    replayed.leave(1, 20 * MS)
    assert before + walked(replayed, 1_000 * MS) == walked(other, 1_000 * MS)


def test_what_is_passed_over_is_never_sent() -> None:
    replayed = make()
    replayed.join(0, 0)
    replayed.pass_over(0, 40 * MS)
    assert replayed.walked_ns == 40 * MS
    assert [start_ns for _, _, start_ns in walked(replayed, 1_000 * MS)] == due_ns(0, 0)[3:]


def test_the_seed_and_the_name_make_the_ids() -> None:
    def ids(**options: Any) -> list[str]:
        replayed = Replay(TAPE, **{"seed": 7, "epoch_ns": EPOCH_NS, **options})
        replayed.join(0, 0)
        return [trace_id for _, trace_id, _ in walked(replayed, 1_000 * MS)]

    assert ids() == ids()
    assert set(ids()).isdisjoint(ids(seed=8))
    assert set(ids()).isdisjoint(ids(name="Other"))


def test_ids_and_times_can_stay_as_they_were() -> None:
    replayed = make(tape_of(0, 3, preserve_ids=True), verbatim=True, time_offset_ns=5)
    replayed.join(3, 0)
    found = walked(replayed, 1_000 * MS)
    assert [trace_id for _, trace_id, _ in found] == [f"{nth:032x}" for nth in (1, 2)]
    starts = [EPOCH_NS + start_ns - START_NS for _, _, start_ns in found]
    assert starts == [0, 3 * MS]


def test_times_can_be_moved() -> None:
    replayed = make(time_offset_ns=-3_600 * 10**9)
    replayed.join(0, 0)
    assert walked(replayed, 1_000 * MS)[0][2] == -3_600 * 10**9


def test_the_rate_is_what_is_due_in_the_next_second() -> None:
    replayed = make(loops=0)
    for user in range(10):
        replayed.join(user, 0)
    assert replayed.rate(0) == pytest.approx(10 * 5 / (PERIOD_NS / 1e9), rel=0.1)
    assert make().rate(0) == 0
    assert replayed.scenarios(0) == ()
    assert replayed.could_go_back(0)
    replayed.share(5, 0)
    assert replayed.walked_ns == 0


def test_many_spans_are_walked_in_several_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST_SPANS", 8)
    replayed, pauses = make(tape_of(*range(0, 1000, 10))), []
    replayed.join(0, 0)
    steps = 0
    while replayed.walked_ns < 10**9:
        before = replayed.walked_ns
        batch = replayed.walk(10**9, lambda: pauses.append(1))
        assert replayed.walked_ns > before
        assert sum(part.spans for part in batch.counts) <= 8
        steps += 1
    assert steps >= 50
    assert pauses


def test_a_tape_of_one_trace_repeats_when_it_has_ended() -> None:
    replayed = make(tape_of(0), loops=3)
    replayed.join(0, 0)
    # Not below a tick, however short it is.
    assert [start_ns for _, _, start_ns in walked(replayed, 10**9)] == [0, TICK_NS, 2 * TICK_NS]


def test_ten_thousand_users_differ() -> None:
    replayed = make()
    for user in range(10_000):
        replayed.join(user, 0)
    batch = replayed.walk(TICK_NS)
    assert len({each.tobytes() for each in batch.trace_id}) == batch.trace_id.size
    assert np.unique(batch.arrival_ns).size == 1
    assert batch.trace_id.size > 10_000 / 5 / 3
