from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from motel_locust.engine.engine import carry_on
from tests.load.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.engine.statistics import OperationCounts

TRACE = 2  # spans of a trace on the bench
REFS = {"get": "front.get", "find": "back.find"}


def let_out(bench: Bench) -> dict[str, list[Span]]:
    """The spans that the endpoint has got, by operation."""
    found: dict[str, list[Span]] = {}
    for span in bench.endpoint.spans():
        found.setdefault(REFS[span.name], []).append(span)
    return found


def assert_like(counts: OperationCounts, spans: list[Span]) -> None:
    assert counts.spans == len(spans)
    assert counts.errors == sum(span.status.code == Status.STATUS_CODE_ERROR for span in spans)
    taken = sorted(span.end_time_unix_nano - span.start_time_unix_nano for span in spans)
    for share in (0.5, 0.95, 0.99):
        exact = taken[math.ceil(share * len(taken)) - 1]
        assert counts.durations.quantile_ns(share) == pytest.approx(exact, rel=0.016)


def assert_operations_are_what_was_let_out(bench: Bench) -> Mapping[str, OperationCounts]:
    spans, operations = let_out(bench), bench.pump.figures().operations
    assert operations.keys() == spans.keys()
    for ref, counts in operations.items():
        assert_like(counts, spans[ref])
    return operations


@pytest.mark.parametrize("realtime", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_operations_count_what_was_let_out_while_users_come_and_go(
    bench: Callable[..., Bench], realtime: bool, watched: bool
) -> None:
    bench = bench(rate="300/s", duration="60ms +/- 20ms", errors="10%", realtime=realtime)
    bench.join("ann")
    for step in range(1, 30):
        bench.run_until(step * 0.0937)
        bench.join(f"user {step}")
        if step % 2:
            bench.pump.leave(f"user {step}")
        if watched:
            counts = bench.pump.figures()
            assert sum(each.spans for each in counts.operations.values()) == counts.counts.spans
            assert sum(each.errors for each in counts.operations.values()) == counts.counts.errors
    bench.pump.drain()
    operations = assert_operations_are_what_was_let_out(bench)
    assert operations["back.find"].errors > 0


def test_operations_are_those_let_out_so_far(bench: Callable[..., Bench]) -> None:
    bench = bench(rate="500/s", flush_interval_s=0.0)
    bench.join("ann")
    for step in range(1, 12):
        bench.run_until(step / 3)  # walked ahead of this by up to a second
        assert_operations_are_what_was_let_out(bench)


def test_in_real_time_traces_stay_whole_when_users_come_and_go(
    bench: Callable[..., Bench],
) -> None:
    bench = bench(rate="500/s", duration="300ms", realtime=True)
    bench.join("ann")
    for step in range(20):
        bench.run_until(1 + step * 0.0137)
        bench.join(f"user {step}")
    bench.run_until(2.0)
    bench.pump.drain()
    sizes = Counter(map(len, bench.endpoint.traces().values()))
    assert sizes == {TRACE: bench.pump.figures().counts.traces}


def test_operations_do_not_keep_the_batches(bench: Callable[..., Bench]) -> None:
    bench = bench(rate="500/s")
    bench.join("ann")
    bench.run_until(4.0)
    assert len(bench.feed._departing) <= 3


@pytest.mark.parametrize("realtime", [False, True])
def test_many_ticks_let_out_together_leave_as_they_would_one_by_one(realtime: bool) -> None:
    signals = ("traces", "metrics", "logs")
    left = []
    for ticks_at_once in (1, 7, 60):
        feed = Bench(
            rate="300/s", duration="20ms", signals=signals, realtime=realtime, collection_s=0.1
        ).feed
        feed.join([0], 0)
        for last in range(ticks_at_once - 1, 420, ticks_at_once):
            while feed.walk(last, carry_on):
                pass
            feed.release(last, lambda tick: tick / 100, 0.0)
        feed.end(420, 0.0)
        bodies = [
            [(body.content, body.released_s) for body in outlet.ready] for outlet in feed.outlets
        ]
        left.append((bodies, feed.counts, feed.operations()))
    assert left[0] == left[1] == left[2]
    assert left[0][1].traces == pytest.approx(1260, abs=1)


@pytest.mark.parametrize(
    ("at_s", "active"), [(0.5, ()), (1.5, ("slow",)), (2.5, ("slow", "scenario 2")), (3.5, ())]
)
def test_the_active_scenarios_are_known_by_name(
    bench: Callable[..., Bench], at_s: float, active: tuple[str, ...]
) -> None:
    override = {"back.find": {"duration": "20ms"}}
    bench = bench(
        scenarios=[
            {"name": "slow", "at": "+1s", "duration": "2s", "override": override},
            {"at": "+2s", "duration": "1s", "override": override},
        ]
    )
    bench.join("ann")
    bench.run_until(at_s)
    assert bench.pump.figures().scenarios == active
    bench.pump.drain()
    assert bench.pump.figures().scenarios == ()


def test_others_get_a_turn_between_the_bodies_of_one_tick(bench: Callable[..., Bench]) -> None:
    feed = bench(rate="1000000/s").feed
    feed.join([0], 0)
    while feed.walk(0, carry_on):
        pass
    (outlet,) = feed.outlets
    ready: list[int] = []

    def look() -> None:
        ready.append(len(outlet.ready))
        assert feed.counts.spans >= outlet.items, "generated before it was simulated"

    feed.release(0, lambda _: 0.0, 0.0, look)
    assert sorted(set(ready)) == list(range(1, len(outlet.ready) + 1))
    assert len(outlet.ready) > 1
    assert feed.counts.traces == 10_000
