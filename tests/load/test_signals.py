"""All signals of a feed: let out together, counted apart, and only of what was released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.load.bench import EPOCH_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.load.bench import Bench

ALL = ("traces", "metrics", "logs")
ROOT = "get"


def roots(bench: Bench) -> list[Any]:
    return [span for span in bench.endpoint.spans() if span.name == ROOT]


def drain(bench: Bench) -> None:
    """End the run, with time to do so."""
    bench.clock.limit_ns += 10**10
    bench.pump.drain()


@pytest.mark.parametrize("realtime", [False, True])
@pytest.mark.parametrize("duration", ["5ms", "80ms +/- 40ms"])
def test_every_signal_tells_of_the_spans_that_were_released(
    bench: Callable[..., Bench], realtime: bool, duration: str
) -> None:
    """Users come and go, which undoes what was walked; nobody may have told of it."""
    made = bench(rate="200/s", duration=duration, realtime=realtime, signals=ALL)
    made.join("ann")
    for step in range(1, 25):
        made.run_until(step * 0.0937)
        made.join(f"user {step}")
        if step % 2:
            made.pump.leave(f"user {step}")
    drain(made)
    spans = {(span.trace_id, span.span_id): span for span in roots(made)}
    records = made.endpoints["logs"].records()
    assert len(spans) == len(records) > 500
    for record in records:
        span = spans[record.trace_id, record.span_id]
        assert record.time_unix_nano == span.end_time_unix_nano
    points = made.endpoints["metrics"].points()
    assert points[-1].as_int == len(spans)
    figures = made.pump.figures()
    assert figures.counts.spans == len(made.endpoint.spans())
    assert figures.generated("metrics") == len(points)
    for signal in ALL:
        counts = figures.ledger[signal]
        assert counts.generated == counts.accepted
    assert figures.ledger["logs"].accepted == len(records)


def test_metrics_are_collected_on_the_interval_and_at_the_end(bench: Callable[..., Bench]) -> None:
    made = bench(rate="50/s", signals=ALL, collection_s=0.4)
    made.join("ann")
    made.run_until(1.3)
    drain(made)
    points = made.endpoints["metrics"].points()
    *earlier, last = [point.time_unix_nano - EPOCH_NS for point in points]
    assert earlier == [400_000_000, 800_000_000, 1_200_000_000]
    assert last >= 1_290_000_000
    for point in points[:-1]:
        # Each span is counted when it has ended, and never before.
        assert point.as_int == sum(
            span.end_time_unix_nano <= point.time_unix_nano for span in roots(made)
        )


def test_one_signal_alone_counts_what_was_simulated(bench: Callable[..., Bench]) -> None:
    made = bench(rate="100/s", signals=("logs",))
    made.join("ann")
    made.run_until(1.0)
    drain(made)
    figures = made.pump.figures()
    assert list(figures.ledger) == ["logs"]
    assert figures.counts.spans == 2 * figures.ledger["logs"].accepted > 100
    assert figures.operations["front.get"].spans == figures.ledger["logs"].accepted


def test_a_signal_whose_endpoint_stands_still_holds_up_no_other(
    bench: Callable[..., Bench],
) -> None:
    made = bench(rate="100/s", signals=ALL)
    made.endpoints["logs"].gate.clear()
    made.join("ann")
    made.run_until(2.0)
    assert made.endpoint.spans()
    assert made.endpoints["metrics"].points()
    assert not made.endpoints["logs"].records()
    drain(made)
    ledger = made.pump.figures().ledger
    assert ledger["traces"].accepted == ledger["traces"].generated
    assert ledger["logs"].failed == ledger["logs"].generated > 100


def test_a_pause_lets_everything_out_and_then_measures_on(bench: Callable[..., Bench]) -> None:
    made = bench(rate="100/s", signals=ALL, duration="30ms")
    made.join("ann")
    made.run_until(0.5)
    made.pump.hold()
    made.run_until(2.5)
    made.pump.resume()
    made.run_until(3.2)
    drain(made)
    released = len(roots(made))
    assert 110 <= released <= 125
    assert made.endpoints["metrics"].points()[-1].as_int == released
    assert len(made.endpoints["logs"].records()) == released
