"""Chance as a real Collector has it: the shares that were asked for, and seeds that repeat them."""

from __future__ import annotations

from collections import Counter
from math import sqrt

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.child import ROOT
from tests.integration.collected import CollectedSpan
from tests.integration.played import Play, arrival_ns, failed, root_of, service
from tests.oracles.contents import plain

SHOP = ROOT / "topologies" / "shop.yaml"


def test_probabilities_and_cascades(play: Play) -> None:
    collected = play(
        {
            "services": {
                "s": service(
                    root={
                        "duration": "1ms",
                        "error_rate": "2%",
                        "attributes": {
                            "code": {"values": {"ok": 90, "missing": 7, "error": 3}},
                            "hit": {"probability": 0.8},
                        },
                        "calls": [
                            {"target": "s.some", "probability": 0.3},
                            {"target": "s.weak", "retries": 1},
                        ],
                    },
                    some={"duration": "1ms"},
                    weak={"duration": "1ms", "error_rate": "20%"},
                ),
            },
            "traffic": {"rate": "8000/s"},
        },
        seconds=4,
    )

    traces = len(collected.traces)
    assert traces >= 20_000
    roots = [root_of(trace).span for trace in collected.traces]
    values = [plain(root.attributes) for root in roots]
    calls = Counter(each.span.name for trace in collected.traces for each in trace)
    weak = [failed(e) for trace in collected.traces for e in trace if e.span.name == "weak"]
    shares = {
        "some": (calls["some"], traces, 0.3),
        "second attempts": (calls["weak"] - traces, traces, 0.2),
        "weak": (sum(weak), len(weak), 0.2),
        "failed traces": (sum(root.status.code == 2 for root in roots), traces, 1 - 0.98 * 0.96),
        "hit": (sum(each["hit"] for each in values), traces, 0.8),
        **{
            f"code {code}": (sum(each["code"] == code for each in values), traces, p)
            for code, p in (("ok", 0.9), ("missing", 0.07), ("error", 0.03))
        },
    }
    for what, (found, of, p) in shares.items():
        assert abs(found / of - p) <= 4 * sqrt(p * (1 - p) / of), what


def test_the_same_seed_makes_the_same_traces(play: Play) -> None:
    first = play(SHOP, "--seed", "7", "--rate", "200/s")
    second = play(SHOP, "--seed", "7", "--rate", "200/s")

    count = min(len(first.traces), len(second.traces))
    assert count > 100
    for left, right in zip(first.traces, second.traces, strict=False):
        assert from_arrival(left) == from_arrival(right)
    assert first.finished.simulation["seed"] == 7


def from_arrival(trace: list[CollectedSpan]) -> list[tuple[bytes, ...]]:
    """Return everything of a trace, byte for byte, with times counted from its arrival."""
    zero_ns = arrival_ns(trace)
    contents = []
    for each in trace:
        span = Span()
        span.CopyFrom(each.span)
        span.start_time_unix_nano -= zero_ns
        span.end_time_unix_nano -= zero_ns
        for event in span.events:
            event.time_unix_nano -= zero_ns
        parts = (each.resource, each.scope, span)
        contents.append(tuple(part.SerializeToString(deterministic=True) for part in parts))
    return sorted(contents)
