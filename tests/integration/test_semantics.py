"""The rules of the simulation by numbers, from the YAML file to what a real Collector has.

Durations are fixed, so the times of every span follow by hand; they are written here in
milliseconds after the root's start.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.played import (
    MS,
    Play,
    Row,
    arrival_ns,
    durations_ms,
    failed,
    root_of,
    rows,
    service,
)
from tests.oracles.contents import plain

if TYPE_CHECKING:
    from tests.integration.collected import CollectedSpan

NS = 1e-6
INTERNAL, SERVER = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER
CLIENT, CONSUMER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CONSUMER

RETRIES = {
    "first": service(
        root={
            "duration": "10ms",
            "calls": [
                {
                    "target": "first.q",
                    "retries": 2,
                    "retry_backoff": "7ms",
                    "timeout": "20ms",
                },
                {"target": "first.ok", "timeout": "20ms"},
            ],
        },
        q={"duration": "20ms", "error_rate": "100%"},
        ok={"duration": "20ms"},
    )
}
SEQUENTIAL = {
    "second": service(
        root={
            "duration": "40ms",
            "call_style": "sequential",
            "calls": [
                {"target": "workers.b", "count": 2},
                {"target": "workers.c", "async": True},
                "workers.d",
                {"target": "workers.b", "timeout": "10ms"},
            ],
        }
    ),
    "workers": service(
        b={"duration": "20ms"},
        c={"duration": "300ms"},
        d={"duration": "10ms", "error_rate": "100%", "calls": ["leaf.e"]},
    ),
    "leaf": service(e={"duration": "5ms"}),
}
COUNTS = {
    "third": service(
        root={
            "duration": "3ns",
            "calls": [
                {"target": "left.q", "count": 2},
                {"target": "right.r", "count": 2},
            ],
        }
    ),
    "left": service(q={"duration": "20ms", "calls": [{"target": "end.y", "async": True}]}),
    "right": service(
        r={
            "duration": "30ms",
            "call_style": "sequential",
            "calls": [{"target": "end.y", "count": 3}],
        }
    ),
    "end": service(y={"duration": "1ms"}),
}
BY_HAND: dict[str, list[Row]] = {
    "first.root": [
        ("first.ok", 5, 25, INTERNAL, False),  # as long as its timeout: no timeout
        ("first.q", 5, 25, INTERNAL, True),
        ("first.q", 32, 52, INTERNAL, True),
        ("first.q", 59, 79, INTERNAL, True),
        ("first.root", 0, 84, SERVER, True),
    ],
    "second.root": [
        ("leaf.e", 65, 70, CLIENT, False),
        ("second.root", 0, 105, SERVER, True),
        ("workers.b", 20, 40, CLIENT, False),
        ("workers.b", 40, 60, CLIENT, False),
        ("workers.b", 75, 95, CLIENT, False),  # given up at 85, and it ends by itself
        ("workers.c", 60, 360, CONSUMER, False),
        ("workers.d", 60, 75, CLIENT, True),
    ],
    "third.root": sorted(
        [
            ("third.root", 0, 33 + 3 * NS, SERVER, False),
            *[("left.q", NS, 20 + NS, CLIENT, False)] * 2,
            *[("end.y", 10 + NS, 11 + NS, CONSUMER, False)] * 2,
            *[("right.r", NS, 33 + NS, CLIENT, False)] * 2,
            *[("end.y", 15 + NS, 16 + NS, CLIENT, False)] * 2,
            *[("end.y", 16 + NS, 17 + NS, CLIENT, False)] * 2,
            *[("end.y", 17 + NS, 18 + NS, CLIENT, False)] * 2,
        ]
    ),
}


def test_fixed_durations_give_the_times_computed_by_hand(play: Play) -> None:
    collected = play(
        {"services": {**RETRIES, **SEQUENTIAL, **COUNTS}, "traffic": {"rate": "250/s"}}
    )

    arrivals = [arrival_ns(trace) for trace in collected.traces]
    assert {second - first for first, second in pairwise(arrivals)} == {4 * MS}
    for root, by_hand in BY_HAND.items():
        traces = collected.beginning_at(root)
        assert len(traces) > 50
        assert all(rows(trace) == by_hand for trace in traces)
    first, second = (len(collected.beginning_at(root)) for root in ("first.root", "second.root"))
    counted = collected.finished.simulation
    assert (counted["retries"], counted["timeouts"]) == (2 * first, second)
    assert counted["failed_traces"] == first + second
    assert counted["errors"] == 4 * first + 2 * second


def test_conditions_follow_the_operations_own_error(play: Play) -> None:
    once = {"duration": "1ms"}
    calls = [
        {"target": "s.b", "count": 5, "probability": 0.5},
        {"target": "s.c", "probability": 0},  # unset, so always
        {"target": "s.d", "condition": "on-error"},
        {"target": "s.e", "condition": "on-success"},
    ]
    collected = play(
        {
            "services": {
                "s": service(
                    op={"duration": "4ms", "error_rate": "50%", "calls": calls},
                    b=once,
                    c=once,
                    d=once,
                    e=once,
                )
            },
            "traffic": {"rate": "300/s"},
        }
    )

    for trace in collected.traces:
        names = Counter(each.span.name for each in trace)
        wrong = failed(root_of(trace))
        assert (names["c"], names["d"], names["e"]) == (1, wrong, not wrong)
        assert names["b"] in (0, 5)


def test_baggage_travels_with_the_trace(play: Play) -> None:
    shown = {"duration": "1ms", "baggage_as_attributes": True}
    collected = play(
        {
            "services": {
                "gw": {
                    "baggage": {"t": "svc", "u": "svc"},
                    **service(root={**shown, "baggage": {"t": "op"}, "calls": ["b.x", "c.y"]}),
                },
                "b": {
                    "baggage": {"u": "b"},
                    **service(x={"duration": "1ms", "calls": ["c.y"]}),
                },
                "c": service(y=shown),
            },
            "traffic": {"rate": "50/s"},
        }
    )

    def seen(each: CollectedSpan) -> tuple[str, ...]:
        attributes = plain(each.span.attributes)
        return (each.span.name, *(attributes.get(f"baggage.{key}", "") for key in "tu"))

    for trace in collected.traces:
        assert sorted(map(seen, trace)) == [
            ("root", "op", "svc"),
            ("x", "", ""),
            ("y", "op", "b"),
            ("y", "op", "svc"),
        ]


def test_scenarios_merge_by_priority_and_change_at_their_second(play: Play) -> None:
    window = {"at": "+500ms", "duration": "1s"}
    own = {"kept": {"value": "own"}, "shared": {"value": "own"}}
    override = {
        "low": {
            "duration": "2ms",
            "attributes": {"low": {"value": 1}, "shared": {"value": "low"}},
        },
        "high": {
            "duration": "9ms",
            "error_rate": "100%",
            "attributes": {"high": {"value": 1}, "shared": {"value": "high"}},
        },
    }
    collected = play(
        {
            "services": {"s": service(op={"duration": "10ms", "attributes": own})},
            "traffic": {"rate": "100/s"},
            "scenarios": [
                {
                    "name": name,
                    "priority": priority,
                    **window,
                    "override": {"s.op": override[name]},
                    "traffic": {"rate": rate},
                }
                # The names mislead on purpose: "low" is the later one in the order of merging.
                for name, priority, rate in (("low", 1, "400/s"), ("high", 0, "7/s"))
            ],
        },
        "--label-scenarios",
        seconds=3,
    )

    epoch_ns = collected.finished.epoch_ns
    plainly = {"synth.service": "s", "synth.operation": "op"}
    before = {**plainly, "synth.scenarios": (), "kept": "own", "shared": "own"}
    during = {
        **plainly,
        "synth.scenarios": ("high", "low"),
        "kept": "own",
        "shared": "low",
        "low": 1,
        "high": 1,
    }
    inside = 0
    for trace in collected.traces:
        (only,) = trace
        at_ms = (only.span.start_time_unix_nano - epoch_ns) / MS
        active = 500 <= at_ms < 1500
        if min(abs(at_ms - 500), abs(at_ms - 1500)) < 0.001:
            continue  # the epoch is known to 256 ns only
        inside += active
        assert plain(only.span.attributes) == (during if active else before), at_ms
        assert durations_ms(trace) == [2 if active else 10]
        assert failed(only) == active
    assert abs(inside - 400) <= 1  # its traffic is that of "low" as well


@pytest.mark.parametrize(
    ("limit", "kept", "bounded", "cut"), [(3, 3, True, 1), (4, 4, True, 0), (5, 4, False, 0)]
)
def test_a_trace_is_bounded(play: Play, limit: int, kept: int, bounded: bool, cut: int) -> None:
    calls = [{"target": "s.b", "count": 3}]
    collected = play(
        {
            "services": {
                "s": service(a={"duration": "2ms", "calls": calls}, b={"duration": "1ms"})
            },
            "traffic": {"rate": "100/s"},
        },
        "--max-spans-per-trace",
        str(limit),
    )

    traces, counted = len(collected.traces), collected.finished.simulation
    assert {len(trace) for trace in collected.traces} == {kept}
    assert (counted["spans_bounded"], counted["spans_cut"]) == (traces * bounded, traces * cut)
