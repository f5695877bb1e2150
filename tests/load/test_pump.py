from __future__ import annotations

import gevent
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.engine.schedule import TICK_NS
from motel_locust.load.feed import MOST_BYTES_AHEAD
from tests.load.bench import EPOCH_NS

TRACE = 2  # spans of a trace on the bench


def arrivals(bench) -> list[int]:
    """Return when each trace began, in ns since the epoch."""
    return sorted(
        span.start_time_unix_nano - EPOCH_NS
        for span in bench.endpoint.spans()
        if not span.parent_span_id
    )


def spans_of(content: bytes) -> list[tuple[int, int]]:
    """Return when each span of a body begins and ends, in ns since the epoch."""
    return [
        (span.start_time_unix_nano - EPOCH_NS, span.end_time_unix_nano - EPOCH_NS)
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_ticks_leave_when_they_are_due(bench) -> None:
    bench = bench(flush_interval_s=0.0)
    bench.join("ann")
    bench.run_until(2.0)
    for sent_s, _ in bench.endpoint.bodies:
        assert sent_s % 0.01 == pytest.approx(0, abs=1e-6) or sent_s % 0.01 > 0.00999
    assert len(bench.endpoint.bodies) == pytest.approx(200, abs=2)
    assert bench.pump.figures().lag_max_ns == 0


def test_a_body_leaves_the_flush_interval_after_its_first_tick(bench) -> None:
    bench = bench(rate="30/s", flush_interval_s=0.25)
    bench.join("ann")
    bench.run_until(3.0)
    assert len(bench.endpoint.bodies) > 8
    for sent_s, content in bench.endpoint.bodies:
        first_ns = min(begin_ns for begin_ns, _ in spans_of(content))
        over_ns = (first_ns // TICK_NS + 1) * TICK_NS
        assert sent_s == pytest.approx(over_ns / 1e9 + 0.25, abs=1e-6)


def test_the_pump_wakes_for_bodies_and_not_for_ticks(bench) -> None:
    bench = bench(rate="100/s")
    bench.join("ann")
    bench.run_until(1.0)
    waits = bench.clock.waits
    bench.run_until(6.0)
    bodies = [sent_s for sent_s, _ in bench.endpoint.bodies if sent_s > 1.0]
    assert bench.clock.waits - waits == pytest.approx(len(bodies), abs=6)
    assert bench.pump.figures().lag_max_ns == 0


def test_of_a_tick_too_large_for_the_memory_only_a_part_is_walked_ahead(bench) -> None:
    bench = bench(rate="20000000/s")
    bench.join("ann")
    bench.run_until(0.009)
    assert bench.feed.full
    assert bench.feed._filed_bytes < 3 * MOST_BYTES_AHEAD  # the tick takes ten times as much


def test_what_was_due_at_the_end_is_let_out(bench) -> None:
    bench = bench(rate="1000/s", flush_interval_s=1.0)
    bench.join("ann")
    bench.run_until(2.55)
    bench.pump.drain()
    assert bench.pump.figures().simulated_ns == 2_550_000_000
    assert len(arrivals(bench)) == pytest.approx(2550, abs=1)


def test_what_was_let_out_is_in_the_ledger_wherever_it_waits(bench) -> None:
    """A worker may die with it, and then it is missed."""
    bench = bench(rate="1000/s", flush_interval_s=1.0)
    held = 0
    for step in range(1, 12):
        bench.join(f"user {step}")  # which ends the pump's sleep, in the midst of a body
        bench.run_until(step / 7)
        figures = bench.pump.figures()
        assert figures.ledger["traces"].generated == figures.counts.spans
        held = max(held, figures.counts.spans - bench.ledger["traces"].generated)
    assert held > 0
    bench.pump.drain()
    figures = bench.pump.figures()
    assert figures.ledger.as_dict() == bench.ledger.as_dict()
    assert figures.ledger["traces"].accepted == figures.counts.spans


def test_arrivals_are_the_integral_of_the_rate(bench) -> None:
    bench = bench(rate="137/s")
    bench.join("ann", "bob", "eve")
    bench.run_until(5.0)
    bench.pump.drain()
    assert len(arrivals(bench)) == pytest.approx(3 * 137 * 5, abs=3 * 2)


def test_who_joins_later_takes_part_at_once_and_changes_nobody_else(bench) -> None:
    alone = bench()
    alone.join("ann")
    alone.run_until(3.0)
    joined = bench()
    joined.join("ann")
    joined.run_until(1.5)  # walked ahead by up to a second by now
    joined.join("bob")
    joined.run_until(3.0)
    alone.pump.drain()
    joined.pump.drain()
    before = [at for at in arrivals(joined) if at < 1_500_000_000]
    assert before == [at for at in arrivals(alone) if at < 1_500_000_000]
    after = [at for at in arrivals(joined) if at >= 1_510_000_000]
    assert len(after) == pytest.approx(2 * 149, abs=4)


def test_what_was_thrown_away_is_never_counted(bench) -> None:
    bench = bench()
    bench.join("ann")
    for step in range(1, 20):
        bench.run_until(step / 7)
        bench.join(f"user {step}")
        if step % 2:
            bench.pump.leave(f"user {step}")
    bench.pump.drain()
    figures, traces = bench.pump.figures(), bench.endpoint.traces()
    assert figures.counts.traces == len(traces)
    assert figures.counts.spans == len(bench.endpoint.spans()) == TRACE * len(traces)
    assert all(len(spans) == TRACE for spans in traces.values())
    assert bench.ledger["traces"].accepted == figures.counts.spans
    assert bench.ledger.pending == 0


def test_nobody_left_means_nothing_made(bench) -> None:
    bench = bench()
    bench.join("ann")
    bench.run_until(1.0)
    bench.pump.leave("ann")
    bench.pump.leave("ann")  # leaving twice is harmless
    bench.pump.leave("a stranger")
    bench.run_until(1.2)
    made = bench.pump.figures().counts.traces
    bench.run_until(4.0)
    assert bench.pump.figures().counts.traces == made
    assert bench.pump.figures().users == 0


def test_ten_thousand_users_join_in_one_step(bench) -> None:
    bench = bench(rate="1/m")
    bench.join(*map(str, range(10_000)))
    bench.run_until(6.0)
    bench.pump.drain()
    assert len(arrivals(bench)) == pytest.approx(1000, abs=2)
    # Spread over the time, not all at once.
    first_second = [at for at in arrivals(bench) if at < 1_000_000_000]
    assert len(first_second) == pytest.approx(1000 / 6, abs=3)


def test_at_the_end_no_trace_begins(bench) -> None:
    bench = bench(flush_interval_s=10.0)
    bench.join("ann")
    bench.run_until(1.0)
    bench.pump.drain()
    assert max(arrivals(bench)) <= 1_010_000_000
    assert all(len(spans) == TRACE for spans in bench.endpoint.traces().values())
    bench.pump.drain()  # draining twice changes nothing
    assert bench.ledger["traces"].accepted == len(bench.endpoint.spans())


def test_in_real_time_spans_leave_when_they_end(bench) -> None:
    bench = bench(realtime=True, duration="300ms", flush_interval_s=0.0)
    bench.join("ann")
    bench.run_until(2.0)
    for sent_s, _ in bench.endpoint.bodies:
        assert sent_s > 0.29
    ended = [span.end_time_unix_nano - EPOCH_NS for span in bench.endpoint.spans()]
    assert max(ended) <= 2_020_000_000


def test_in_real_time_begun_traces_end_whole(bench) -> None:
    bench = bench(realtime=True, duration="300ms")
    bench.join("ann")
    bench.run_until(2.0)
    bench.pump.drain()
    traces = bench.endpoint.traces()
    assert len(traces) == pytest.approx(200, abs=2)
    assert all(len(spans) == TRACE for spans in traces.values())
    assert bench.pump.figures().counts.spans == TRACE * len(traces)


def test_a_full_queue_drops_the_newest_and_keeps_the_schedule(bench) -> None:
    bench = bench(rate="1000/s", queue_bytes=100_000)
    bench.endpoint.gate.clear()
    bench.join("ann")
    bench.run_until(3.0)
    assert bench.pump.figures().lag_ns == 0
    bench.endpoint.gate.set()
    bench.pump.drain()
    counts = bench.ledger["traces"]
    assert counts.generated == pytest.approx(TRACE * 3000, abs=TRACE * 12)
    assert counts.dropped > 0
    assert counts.accepted == len(bench.endpoint.spans())


def test_where_asked_to_a_full_queue_holds_the_schedule(bench) -> None:
    bench = bench(rate="1000/s", queue_bytes=100_000, wait_on_full=True)
    bench.endpoint.gate.clear()
    bench.join("ann")
    bench.run_until(3.0)
    held = bench.pump.figures()
    assert held.lag_ns > 2_000_000_000
    assert held.counts.traces < 1000
    bench.endpoint.gate.set()
    gevent.sleep(0)
    bench.run_until(4.0)
    assert bench.pump.figures().lag_ns < 100_000_000  # caught up, nothing left out
    bench.pump.drain()
    counts = bench.ledger["traces"]
    assert counts.dropped == 0
    assert counts.generated == counts.accepted == pytest.approx(TRACE * 4000, abs=TRACE * 120)


def test_what_is_late_leaves_while_the_rest_is_caught_up(bench) -> None:
    bench = bench()
    bench.join("ann")
    bench.run_until(1.0)
    bench.clock.now_ns += 5_000_000_000  # somebody held the process up
    bench.run_until(6.5)
    bench.pump.drain()
    assert bench.pump.figures().lag_max_ns > 4_000_000_000
    assert len(arrivals(bench)) == pytest.approx(650, abs=2)
    for _, content in bench.endpoint.bodies:
        begun_ns = [begin_ns for begin_ns, _ in spans_of(content)]
        assert max(begun_ns) - min(begun_ns) < 150_000_000


def test_a_process_that_comes_late_enters_at_the_present(bench) -> None:
    bench = bench()
    bench.clock.now_ns += 60_000_000_000
    bench.join("ann")
    bench.run_until(61.0)
    bench.pump.drain()
    assert min(arrivals(bench)) >= 60_000_000_000
    assert len(arrivals(bench)) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("realtime", [False, True])
@pytest.mark.parametrize("paused_s", [0.1, 5.0])
def test_a_held_pump_generates_nothing_and_goes_on_at_the_present(
    bench, paused_s: float, realtime: bool
) -> None:
    bench = bench(realtime=realtime, duration="300ms")
    bench.join("ann")
    bench.run_until(1.0)
    bench.pump.hold()
    bench.run_until(1.01)
    begun = bench.pump.figures().counts.traces
    bench.run_until(1.0 + paused_s)
    assert bench.pump.figures().counts.traces == begun
    assert bench.pump.figures().lag_ns == 0
    bench.pump.resume()
    bench.run_until(2.0 + paused_s)
    figures = bench.pump.figures()
    bench.pump.drain()

    at_s = [at / 1e9 for at in arrivals(bench)]
    assert not [at for at in at_s if 1.02 < at < 1.0 + paused_s]
    assert len(at_s) == pytest.approx(200, abs=4)
    assert all(len(spans) == TRACE for spans in bench.endpoint.traces().values())
    assert len(bench.endpoint.traces()) == len(at_s)
    assert figures.lag_max_ns == 0
    assert figures.simulated_ns / 1e9 == pytest.approx(2.0, abs=0.25)
    assert bench.ledger["traces"].accepted == TRACE * len(at_s)


def test_a_held_pump_can_be_drained(bench) -> None:
    bench = bench()
    bench.join("ann")
    bench.run_until(1.0)
    bench.pump.hold()
    bench.run_until(3.0)
    bench.pump.drain()
    assert max(arrivals(bench)) < 1_020_000_000
    assert bench.ledger["traces"].pending == 0


def test_the_whole_cluster_can_share_one_rate(bench) -> None:
    bench = bench(rate="100/s")
    bench.join("ann", "bob")
    bench.pump.share({"Shopper": 4})
    bench.run_until(2.0)
    assert bench.pump.figures().asked_per_s == pytest.approx(50)
    bench.pump.drain()
    assert len(arrivals(bench)) == pytest.approx(100, abs=3)
