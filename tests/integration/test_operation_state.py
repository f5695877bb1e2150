"""Queues, breakers and backpressure by numbers, from the YAML file to a real Collector.

Requests of one user come at even distances and durations are fixed, so what the state of an
operation makes of them follows by hand.
"""

from __future__ import annotations

from collections import Counter

from tests.integration.played import MS, Play, durations_ms, failed, service
from tests.oracles.contents import plain


def test_a_breaker_refuses_and_probes(play: Play) -> None:
    breaker = {"failure_threshold": 3, "window": "250ms", "cooldown": "150ms"}
    collected = play(
        {
            "services": {
                "s": service(
                    op={"duration": "1ms", "error_rate": "100%", "circuit_breaker": breaker}
                )
            },
            "traffic": {"rate": "10/s"},
        },
        seconds=3,
    )

    refused = [
        plain(only.span.attributes).get("synth.rejection_reason", "")
        for (only,) in collected.traces
    ]
    assert len(refused) >= 15
    # Three failures open it; at 10 traces/s each second one finds the cooldown over, and fails.
    expected = ["", "", "", *["circuit_open", ""] * len(refused)]
    assert refused == expected[: len(refused)]
    assert collected.finished.simulation["circuit_breaker_trips"] == refused.count("circuit_open")


def test_backpressure_follows_the_average_latency(play: Play) -> None:
    pressure = {"latency_threshold": "15ms", "duration_multiplier": 1.2}
    collected = play(
        {
            "services": {"s": service(op={"duration": "10ms", "backpressure": pressure})},
            "traffic": {"rate": "10/s"},
            "scenarios": [
                {
                    "name": "slow",
                    "at": "+500ms",
                    "duration": "100ms",
                    "override": {"s.op": {"duration": "40ms"}},
                }
            ],
        },
        seconds=3,
    )

    observed = [durations_ms(trace)[0] for trace in collected.traces]
    slow = observed.index(40)
    # Averages: 10, then 19, 16.9, 15.43, 14.401. Above 15 the next one takes 12 instead of 10.
    expected = [*[10] * slow, 40, 12, 12, 12, *[10] * (len(observed) - slow - 4)]
    assert observed == expected
    assert len(observed) > slow + 6


def test_a_full_queue_rejects(play: Play) -> None:
    collected = play(
        {
            "services": {"s": service(op={"duration": "100ms", "queue_depth": 2})},
            "traffic": {"rate": "50/s"},
        },
        seconds=3,
    )

    spans = [only for (only,) in collected.traces]
    taken = [each for each in spans if not failed(each)]
    lengths = Counter(durations_ms(spans))
    assert lengths.keys() == {1, 100}
    assert (
        collected.finished.simulation["queue_rejections"] == lengths[1] == len(spans) - len(taken)
    )
    # Never more than two at a time, and no place stays empty while requests come each 20 ms.
    starts = [each.span.start_time_unix_nano / MS for each in taken]
    assert all(
        100 <= third - first <= 140 for first, third in zip(starts, starts[2:], strict=False)
    )
