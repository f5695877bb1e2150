from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from motel_locust.topology import model
from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.explaining import explain
from motel_locust.topology.model import (
    Call,
    Chance,
    Choice,
    Constant,
    DurationDistribution,
    Generator,
    Link,
    Log,
    Metric,
    Normal,
    NumberDistribution,
    Operation,
    Range,
    Scenario,
    Sequence,
    Topology,
    Traffic,
)

S = 1_000_000_000


def mistakes(part: Any, written: dict[str, Any]) -> list[Mistake]:
    with pytest.raises(ValidationError) as caught:
        part.model_validate(written)
    return list(explain(caught.value))


def test_a_topology_can_be_built_from_plain_values() -> None:
    topology = Topology.model_validate(
        {
            "version": 1,
            "services": {"web": {"operations": {"get": {"duration": "10ms", "error_rate": 0.01}}}},
            "traffic": {"rate": "10/s"},
        }
    )
    operation = topology.services["web"].operations["get"]
    assert operation.duration == DurationDistribution(10_000_000)
    assert operation.error_rate == 0.01
    assert topology.traffic is not None
    assert topology.traffic.rate.per_s == 10.0


def test_an_operation_has_defaults() -> None:
    operation = Operation.model_validate({"duration": "1ms"})
    assert operation.error_rate == 0.0
    assert operation.call_style == "parallel"
    assert operation.queue_depth == 0
    assert operation.baggage_as_attributes is None
    assert (operation.calls, operation.events, operation.links) == ((), (), ())
    assert (operation.backpressure, operation.circuit_breaker, operation.domain) == (None,) * 3


def test_a_call_has_defaults_and_zero_is_unset() -> None:
    bare = Call.model_validate("db.query")
    assert bare == Call.model_validate({"target": "db.query", "probability": 0, "count": 0})
    assert (bare.probability, bare.count, bare.timeout, bare.retries) == (1.0, 1, None, 0)
    assert Call.model_validate({"target": "a.b", "async": True}).detached


def test_a_call_is_made_with_the_keys_of_the_language_only() -> None:
    [mistake] = mistakes(Call, {"target": "a.b", "detached": True})
    assert mistake.code == "unknown-key"


def test_links_may_be_bare() -> None:
    assert Link.model_validate("a.b") == Link(ref="a.b")


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ({"value": "GET"}, Constant(value="GET")),
        ({"value": 0}, Constant(value=0)),
        ({"value": False}, Constant(value=False)),
        ({"value": ""}, Constant(value="")),
        ({"values": {200: 3, "200": 1}}, Choice(values=((200, 3), ("200", 1)))),
        ({"sequence": "a-{n}"}, Sequence(sequence="a-{n}")),
        ({"probability": 0}, Chance(probability=0.0)),
        ({"range": [1, 6]}, Range(low=1, high=6)),
        ({"distribution": {"mean": 2, "stddev": 0.5}}, Normal(mean=2.0, stddev=0.5)),
        ({"distribution": {}}, Normal()),
        ({"value": None, "sequence": "a"}, Sequence(sequence="a")),
        ({"range": [], "values": {}, "probability": 1}, Chance(probability=1.0)),
    ],
)
def test_a_generator_is_told_by_its_key(written: dict[str, Any], made: Generator) -> None:
    operation = Operation.model_validate({"duration": "1ms", "attributes": {"key": written}})
    assert operation.attributes == {"key": made}


def test_the_whole_range_of_64_bits_can_be_had() -> None:
    made = Range(low=-(2**63), high=2**63 - 1)
    assert made.high - made.low == 2**64 - 1


def test_traffic_fills_in_its_defaults() -> None:
    traffic = Traffic.model_validate({"rate": "10/s"})
    assert traffic.pattern == "uniform"
    assert (traffic.burst_multiplier, traffic.burst_interval) == (5.0, 300 * S)
    assert traffic.burst_duration == 30 * S
    assert (traffic.peak_multiplier, traffic.trough_multiplier) == (1.5, 0.5)
    assert traffic.period == 86_400 * S
    assert (traffic.segments, traffic.overlay, traffic.roots, traffic.arrivals) == (
        (),
        None,
        None,
        None,
    )


def test_a_multiplier_of_zero_is_unset() -> None:
    bursty = Traffic.model_validate({"rate": "1/s", "pattern": "bursty", "burst_multiplier": 0})
    assert bursty.burst_multiplier == 5.0
    Traffic.model_validate({"rate": "1/s", "burst_multiplier": 0, "segments": [], "period": ""})


def test_a_pattern_refuses_the_fields_of_the_others_even_at_their_default() -> None:
    written = {"rate": "1/s", "burst_multiplier": 5.0, "period": "24h", "peak_multiplier": 1.5}
    assert [mistake.code for mistake in mistakes(Traffic, written)] == ["conflicting-keys"] * 3


def test_segments_are_sorted_by_their_end() -> None:
    written = [{"until": "2m", "rate": "2/s"}, {"until": "1m", "rate": "1/s"}]
    traffic = Traffic.model_validate({"rate": "3/s", "pattern": "custom", "segments": written})
    assert [segment.until for segment in traffic.segments] == [60 * S, 120 * S]


@pytest.mark.parametrize(
    ("at", "at_ns"), [("+5m", 300 * S), ("30s", 30 * S), ("0", 0), (" +1s ", S), ("++5s", 5 * S)]
)
def test_a_scenario_begins_at_an_offset(at: str, at_ns: int) -> None:
    scenario = Scenario.model_validate({"at": at, "duration": "1m", "priority": -3})
    assert (scenario.at, scenario.duration, scenario.priority) == (at_ns, 60 * S, -3)


def test_an_explicit_error_rate_of_zero_overrides() -> None:
    override = {"error_rate": "0", "duration": "", "remove_calls": ["a.b", {"target": "a.c"}]}
    made = Scenario.model_validate({"at": "0", "duration": "1m", "override": {"a.a": override}})
    assert made.override["a.a"].error_rate == 0.0
    assert made.override["a.a"].duration is None
    assert made.override["a.a"].remove_calls == ("a.b", "a.c")


def test_severities_are_read_in_any_case() -> None:
    log = Log.model_validate({"severity": "warn", "body": " "})
    assert (log.severity, log.body, log.probability, log.at) == ("WARN", " ", 1.0, "start")
    assert Log.model_validate({"severity": "INFO", "body": "b", "probability": 0}).probability == 0


def test_a_gauge_may_walk_between_bounds() -> None:
    written = {"name": "g", "type": "gauge", "value": "1 ± 2", "walk": "5s", "min": 0, "max": 1}
    metric = Metric.model_validate(written)
    assert metric.value == NumberDistribution(1.0, 2.0)
    assert (metric.walk, metric.min, metric.max) == (5 * S, 0.0, 1.0)


def test_fields_that_exclude_each_other_are_found_beside_other_mistakes() -> None:
    written = {"target": "a.b", "async": True, "retries": 1, "timeout": "1s", "count": -1}
    codes = [mistake.code for mistake in mistakes(Call, written)]
    assert sorted(codes) == ["conflicting-keys", "conflicting-keys", "out-of-range"]


def test_a_mistake_hides_what_follows_from_it() -> None:
    assert len(mistakes(Traffic, {"rate": "1/s", "pattern": "burst", "burst_interval": "5s"})) == 1
    assert len(mistakes(Call, {"target": "a.b", "retries": "x", "retry_backoff": "5s"})) == 1
    assert len(mistakes(Metric, {"name": "m", "type": "gauge", "value": "x", "walk": "1s"})) == 1


def test_models_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Call.model_validate("a.b").retries = 3  # type: ignore[misc]


def test_every_field_says_what_it_is() -> None:
    schema = Topology.model_json_schema()
    for name, part in schema["$defs"].items():
        for field, described in part.get("properties", {}).items():
            assert "description" in described, f"{name}.{field}"


def test_every_name_of_the_language_can_be_imported_from_one_place() -> None:
    assert all(hasattr(model, name) for name in model.__all__)
