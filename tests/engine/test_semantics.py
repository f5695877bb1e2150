"""What topologies with known numbers give: times to the nanosecond, shares within 4 sigma."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from motel_locust.engine.columns import Batch, Counts
from motel_locust.engine.engine import Engine
from tests.engine.topologies import topology

MS = 1_000_000
SECOND = 1_000 * MS
EPOCH_NS = 1_700_000_000 * SECOND


def batches(services: dict[str, Any], *, seconds: float, **rest: Any) -> list[Batch]:
    options = rest.pop("options", {})
    engine = Engine(topology(services, **rest), seed=3, epoch_ns=EPOCH_NS, **options)
    engine.join(0, 0)
    until, found = int(seconds * SECOND), []
    while engine.walked_ns < until:
        found.append(engine.walk(until))
    return found


def counts(found: list[Batch]) -> Counts:
    return sum((part for batch in found for part in batch.counts), Counts())


def traces(found: list[Batch]) -> list[list[tuple[str, float, float, bool]]]:
    """Per trace, in order of arrival, its spans: name, start and end in ms of the trace, error."""
    everything = []
    for batch in found:
        spans = defaultdict(list)
        for columns in batch.columns:
            name = columns.shape.name
            if columns.shape.message != "synthetic error":
                name = columns.shape.message
            for trace, start, end, failed in zip(
                columns.trace.tolist(),
                columns.start_ns.tolist(),
                columns.end_ns.tolist(),
                columns.failed.tolist(),
                strict=True,
            ):
                origin = int(batch.arrival_ns[trace])
                spans[trace].append((name, (start - origin) / MS, (end - origin) / MS, failed))
        everything += [sorted(spans[trace], key=lambda span: span[1:]) for trace in sorted(spans)]
    return everything


def service(**operations: Any) -> dict[str, Any]:
    return {"s": {"operations": operations}}


def test_retries_start_after_the_backoff_and_the_last_outcome_counts() -> None:
    found = batches(
        service(
            root={
                "duration": "10ms",
                "calls": [
                    {"target": "s.q", "retries": 2, "retry_backoff": "7ms", "timeout": "20ms"},
                    {"target": "s.ok", "timeout": "20ms"},
                ],
            },
            q={"duration": "20ms", "error_rate": "100%"},
            ok={"duration": "20ms"},
        ),
        seconds=0.005,
    )
    assert traces(found) == [
        [
            ("root", 0, 84, True),
            ("ok", 5, 25, False),
            ("q", 5, 25, True),
            ("q", 32, 52, True),
            ("q", 59, 79, True),
        ]
    ]
    assert counts(found) == Counts(traces=1, spans=5, errors=4, failed_traces=1, retries=2)


def test_a_timeout_ends_the_callers_wait_not_the_callee() -> None:
    found = batches(
        service(
            root={
                "duration": "40ms",
                "call_style": "sequential",
                "calls": [
                    {"target": "s.b", "count": 2},
                    {"target": "s.c", "async": True},
                    "s.d",
                    {"target": "s.b", "timeout": "10ms"},
                ],
            },
            b={"duration": "20ms"},
            c={"duration": "300ms"},
            d={"duration": "10ms", "error_rate": "100%", "calls": ["s.e"]},
            e={"duration": "5ms"},
        ),
        seconds=0.005,
    )
    assert traces(found) == [
        [
            ("root", 0, 105, True),
            ("b", 20, 40, False),
            ("b", 40, 60, False),
            ("d", 60, 75, True),
            ("c", 60, 360, False),
            ("e", 65, 70, False),
            ("b", 75, 95, False),
        ]
    ]
    assert counts(found).timeouts == 1
    kinds = {each.shape.name: each.shape.kind.name for each in found[0].columns}
    assert kinds == {
        "root": "SERVER",
        "b": "INTERNAL",
        "c": "CONSUMER",
        "d": "INTERNAL",
        "e": "INTERNAL",
    }


def test_parallel_counts_start_together_and_half_a_nanosecond_is_cut() -> None:
    found = batches(
        service(
            root={
                "duration": "3ns",
                "calls": [{"target": "s.q", "count": 2}, {"target": "s.r", "count": 2}],
            },
            q={"duration": "20ms", "calls": [{"target": "s.y", "async": True}]},
            r={
                "duration": "30ms",
                "call_style": "sequential",
                "calls": [{"target": "s.y", "count": 3}],
            },
            y={"duration": "1ms"},
        ),
        seconds=0.005,
    )
    (spans,) = traces(found)
    shifted = [
        (name, round((start * MS - 1) / MS, 6), round((end * MS - 1) / MS, 6))
        for name, start, end, _ in spans
    ]
    assert len(spans) == 13
    assert spans[0] == ("root", 0, (33 * MS + 3) / MS, False)
    assert shifted.count(("q", 0, 20)) == 2
    assert shifted.count(("r", 0, 33)) == 2
    assert shifted.count(("y", 10, 11)) == 2
    assert [shifted.count(("y", at, at + 1)) for at in (15, 16, 17)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("limit", "spans", "bounded", "cut"), [(4, 4, 1, 0), (3, 3, 1, 1), (5, 4, 0, 0)]
)
def test_a_trace_stops_at_its_limit(limit: int, spans: int, bounded: int, cut: int) -> None:
    found = counts(
        batches(
            service(
                root={"duration": "1ms", "calls": [{"target": "s.b", "count": 3}]},
                b={"duration": "1ms"},
            ),
            seconds=0.005,
            options={"max_spans_per_trace": limit},
        )
    )
    assert (found.spans, found.spans_bounded, found.spans_cut) == (spans, bounded, cut)


def test_endless_counts_end_at_the_limit() -> None:
    found = counts(
        batches(
            service(
                root={"duration": "1ms", "calls": [{"target": "s.a", "count": 1_000_000}]},
                a={"duration": "1ms", "calls": [{"target": "s.b", "count": 1_000_000}]},
                b={"duration": "1ms"},
            ),
            seconds=0.005,
            options={"max_spans_per_trace": 50},
        )
    )
    assert (found.spans, found.spans_bounded) == (50, 1)


def test_selection_is_drawn_once_from_the_callers_own_error() -> None:
    found = traces(
        batches(
            service(
                root={
                    "duration": "1ms",
                    "error_rate": "50%",
                    "calls": [
                        {"target": "s.b", "count": 5, "probability": 0.5},
                        {"target": "s.c", "probability": 0},
                        {"target": "s.d", "condition": "on-error"},
                        {"target": "s.d", "condition": "on-success"},
                    ],
                },
                b={"duration": "1ms"},
                c={"duration": "1ms"},
                d={"duration": "1ms"},
            ),
            seconds=20,
        )
    )
    names = [[name for name, *_ in spans] for spans in found]
    assert len(names) == 2_000
    assert {each.count("c") for each in names} == {1}
    assert {each.count("d") for each in names} == {1}
    assert {each.count("b") for each in names} == {0, 5}


def test_baggage_goes_down_and_the_nearest_declaration_wins() -> None:
    found = batches(
        {
            "gw": {
                "baggage": {"t": "svc", "u": "svc"},
                "baggage_as_attributes": True,
                "operations": {
                    "root": {
                        "duration": "1ms",
                        "baggage": {"t": "op"},
                        "calls": ["b.x", "c.y"],
                    }
                },
            },
            "b": {
                "baggage": {"u": "b"},
                "operations": {"x": {"duration": "1ms", "calls": ["c.y"]}},
            },
            "c": {"baggage_as_attributes": True, "operations": {"y": {"duration": "1ms"}}},
        },
        seconds=0.005,
    )
    seen = sorted(
        (
            each.shape.name,
            sorted((a.key, a.value) for a in each.shape.attributes if a.key.startswith("baggage.")),
        )
        for each in found[0].columns
    )
    assert seen == [
        ("root", [("baggage.t", "op"), ("baggage.u", "svc")]),
        ("x", []),
        ("y", [("baggage.t", "op"), ("baggage.u", "b")]),
        ("y", [("baggage.t", "op"), ("baggage.u", "svc")]),
    ]


def test_two_scenarios_merge_by_priority() -> None:
    found = batches(
        service(root={"duration": "1ms", "attributes": {"mine": {"value": "own"}}}),
        seconds=0.05,
        traffic={"rate": "10/s"},
        scenarios=[
            {
                "name": "low",
                "at": "0s",
                "duration": "1m",
                "priority": 1,
                "override": {
                    "s.root": {
                        "duration": "5ms",
                        "attributes": {"shared": {"value": "low"}, "a": {"value": 1}},
                    }
                },
                "traffic": {"rate": "100/s"},
            },
            {
                "name": "high",
                "at": "0s",
                "duration": "1m",
                "override": {
                    "s.root": {
                        "duration": "9ms",
                        "error_rate": "100%",
                        "attributes": {"shared": {"value": "high"}, "b": {"value": 2}},
                    }
                },
                "traffic": {"rate": "1000/s"},
            },
        ],
        options={"label_scenarios": True},
    )
    assert traces(found) == [[("root", 0, 5, True)]] * 5
    values = {each.key: each.value for each in found[0].columns[0].shape.attributes}
    assert values == {
        "synth.service": "s",
        "synth.operation": "root",
        "synth.scenarios": ("high", "low"),
        "mine": "own",
        "shared": "low",
        "a": 1,
        "b": 2,
    }


def test_a_scenario_changes_only_what_it_says() -> None:
    services = {
        "s": {
            "operations": {
                "root": {
                    "duration": "5ms +/- 1ms",
                    "error_rate": "20%",
                    "calls": [{"target": "s.a", "probability": 0.5}, "s.b"],
                    "attributes": {"x": {"range": [0, 9]}, "y": {"range": [0, 9]}},
                },
                "a": {"duration": "5ms +/- 1ms"},
                "b": {"duration": "5ms +/- 1ms", "attributes": {"z": {"range": [0, 9]}}},
                "new": {"duration": "1ms"},
            }
        }
    }
    override = {"attributes": {"x": {"value": 1}}, "add_calls": ["s.new"], "remove_calls": ["s.a"]}
    window = {"name": "n", "at": "0s", "duration": "1h", "override": {"s.root": override}}
    traffic = {"rate": "1000/s", "roots": {"s.root": 1}}
    plain = batches(services, seconds=1, traffic=traffic)
    changed = batches(services, seconds=1, traffic=traffic, scenarios=[window])

    def columns(found: list[Batch], name: str) -> list[np.ndarray]:
        each = [each for batch in found for each in batch.columns if each.shape.name == name]
        (y_or_z,) = {i for i, a in enumerate(each[0].shape.attributes) if a.key in "yz"}
        drawn = [np.concatenate([part.values[y_or_z] for part in each])]
        for field in ("span_id", "failed"):
            drawn += [np.concatenate([getattr(part, field) for part in each])]
        return drawn

    for name in ("root", "b"):
        for before, after in zip(columns(plain, name), columns(changed, name), strict=True):
            assert (before == after).all()
    assert "a" not in {each.shape.name for batch in changed for each in batch.columns}


def test_rates_and_cascades_come_out_within_four_standard_errors() -> None:
    found = batches(
        service(
            root={
                "duration": "10ms +/- 2ms",
                "error_rate": "2%",
                "calls": [
                    {"target": "s.likely", "probability": 0.8},
                    {"target": "s.retried", "retries": 1},
                    {"target": "s.lost", "async": True},
                ],
            },
            likely={"duration": "1ms +/- 2ms", "error_rate": "5%"},
            retried={"duration": "1ms", "error_rate": 0.2},
            lost={"duration": "1ms", "error_rate": "50%"},
        ),
        seconds=4,
        traffic={"rate": "10000/s"},
    )
    spans = {name: [] for name in ("root", "likely", "retried", "lost")}
    for each in (each for batch in found for each in batch.columns):
        spans[each.shape.name].append((each.failed, each.end_ns - each.start_ns))
    failed = {name: np.concatenate([f for f, _ in each]) for name, each in spans.items()}
    took = {name: np.concatenate([d for _, d in each]) for name, each in spans.items()}
    n = failed["root"].size
    assert n == 40_000

    def close(seen: float, share: float, size: int) -> bool:
        return abs(seen - share) < 4 * math.sqrt(share * (1 - share) / size)

    assert close(failed["likely"].size / n, 0.8, n)
    assert close((failed["retried"].size - n) / n, 0.2, n)
    assert close(failed["likely"].mean(), 0.05, failed["likely"].size)
    assert close(failed["lost"].mean(), 0.5, n)
    assert close(failed["root"].mean(), 1 - 0.98 * (1 - 0.8 * 0.05) * (1 - 0.2**2), n)
    # a normal of 1 ms and deviation 2 ms, cut at 0: Phi(-0.5) of it is 0
    below = 0.5 * math.erfc(0.5 / math.sqrt(2))
    assert close((took["likely"] == 0).mean(), below, took["likely"].size)


def test_weighted_roots_get_their_shares() -> None:
    found = batches(
        service(
            a={"duration": "1ms"}, b={"duration": "1ms"}, c={"duration": "1ms", "calls": ["s.a"]}
        ),
        seconds=4,
        traffic={"rate": "10000/s", "roots": {"s.a": 1, "s.c": 3}},
    )
    roots = [each for batch in found for each in batch.columns if not each.shape.has_parent]
    seen = {name: sum(e.trace.size for e in roots if e.shape.name == name) for name in "abc"}
    assert seen["b"] == 0
    assert seen["a"] + seen["c"] == 40_000
    assert abs(seen["a"] / 40_000 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 40_000)
    kinds = {
        (e.shape.name, e.shape.has_parent): e.shape.kind.name for b in found for e in b.columns
    }
    assert kinds == {("a", False): "SERVER", ("a", True): "SERVER", ("c", False): "SERVER"}


def test_numbers_have_no_gaps_where_an_operation_is_visited_once_a_trace() -> None:
    found = batches(
        service(
            root={
                "duration": "1ms",
                "attributes": {"id": {"sequence": "r-{n}"}},
                "calls": [{"target": "s.b", "count": 3}],
            },
            b={"duration": "1ms", "attributes": {"id": {"sequence": "b-{n}"}}},
        ),
        seconds=2,
    )
    numbers: dict[str, list[int]] = defaultdict(list)
    for each in (each for batch in found for each in batch.columns):
        numbers[each.shape.name] += each.values[-1].tolist()
    assert numbers["root"] == list(range(1, 201))
    assert sorted(numbers["b"]) == list(range(1, 601))
    assert all(before < after for before, after in pairwise(numbers["root"]))


def test_a_queue_rejects_what_is_too_much_in_simulated_time() -> None:
    found = batches(
        service(root={"duration": "100ms", "queue_depth": 3}),
        seconds=1,
    )
    # 100/s of 100 ms each would be ten at once; three may be
    total = counts(found)
    assert total.traces == 100
    assert total.queue_rejections == total.errors > 50
    rejected = [span for spans in traces(found) for span in spans if span[0] == "queue_full"]
    assert {end - start for _, start, end, _ in rejected} == {1}


def test_an_open_breaker_refuses_until_a_probe_succeeds() -> None:
    # A failure counts at the end of its span, 1 ms into the 200 ms to the request after next.
    found = batches(
        service(
            root={
                "duration": "1ms",
                "error_rate": "100%",
                "circuit_breaker": {"failure_threshold": 3, "window": "10s", "cooldown": "199ms"},
            }
        ),
        seconds=1,
        traffic={"rate": "10/s"},
    )
    names = ["".join(name for name, *_ in spans) for spans in traces(found)]
    assert names == [
        *["root"] * 3,
        "circuit_open",
        "root",
        "circuit_open",
        "root",
        "circuit_open",
        "root",
        "circuit_open",
    ]
    total = counts(found)
    assert total.circuit_breaker_trips == 4
    assert total.circuit_breaker_opens == 4


def test_backpressure_slows_what_is_slow() -> None:
    found = batches(
        service(
            root={
                "duration": "10ms",
                "backpressure": {"latency_threshold": "15ms", "duration_multiplier": 1.2},
            }
        ),
        seconds=1.2,
        traffic={"rate": "10/s"},
        scenarios=[
            {
                "name": "slow",
                "at": "450ms",
                "duration": "100ms",
                "override": {"s.root": {"duration": "40ms"}},
            }
        ],
    )
    lengths = [spans[0][2] for spans in traces(found)]
    assert lengths == [10, 10, 10, 10, 10, 40, 12, 12, 12, 10, 10, 10]


def test_realtime_releases_a_span_at_its_end() -> None:
    services = service(
        root={"duration": "100ms", "calls": [{"target": "s.late", "async": True}]},
        late={"duration": "1s"},
    )
    (first, *_) = batches(services, seconds=0.01, options={"realtime": True})
    assert first.edges_ns.tolist() == [EPOCH_NS + tick * 10 * MS for tick in (0, 10, 105)]
    assert [part.spans for part in first.counts] == [0, 1, 1]
    assert [part.traces for part in first.counts] == [1, 0, 0]


def test_an_offset_moves_times_and_not_the_schedule() -> None:
    services = service(root={"duration": "10ms"})
    plain = batches(services, seconds=0.05)
    moved = batches(services, seconds=0.05, options={"time_offset_ns": -3600 * SECOND})
    for before, after in zip(plain, moved, strict=True):
        assert (before.edges_ns == after.edges_ns).all()
        assert (before.arrival_ns - 3600 * SECOND == after.arrival_ns).all()
        for one, other in zip(before.columns, after.columns, strict=True):
            assert (one.start_ns - 3600 * SECOND == other.start_ns).all()
            assert (one.end_ns - 3600 * SECOND == other.end_ns).all()


def test_a_chain_of_calls_may_be_longer_than_pythons_own_stack() -> None:
    length = 1_500
    operations: dict[str, Any] = {
        f"o{index}": {"duration": "1ms", "calls": [f"s.o{index + 1}"]} for index in range(length)
    }
    operations[f"o{length}"] = {"duration": "1ms"}
    ((*_, deepest),) = traces(batches(service(**operations), seconds=0.005))
    assert deepest == (f"o{length}", length / 2, length / 2 + 1, False)


def test_workers_never_share_a_trace_id() -> None:
    plain = topology(service(root={"duration": "1ms"}), traffic={"rate": "1000/s"})
    ids: set[bytes] = set()
    for name in ("Shop", "Bank"):
        for worker in range(3):
            engine = Engine(plain, seed=3, name=name, worker=worker, stride=4, epoch_ns=EPOCH_NS)
            engine.join(worker, 0)
            while engine.walked_ns < SECOND:
                ids |= {each.tobytes() for each in engine.walk(SECOND).trace_id}
    assert len(ids) == 6 * 1000
