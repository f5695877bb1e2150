"""Variants: which are chosen, how often, and what they change; shares within 4 sigma."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

import pytest

from motel_locust.engine.columns import Choice, Constant
from motel_locust.engine.engine import Engine
from tests.engine.topologies import topology

MS = 1_000_000
SECOND = 1_000 * MS
EPOCH_NS = 1_700_000_000 * SECOND


class Seen(NamedTuple):
    """A span: where it is in its trace, what it is, and what came of it."""

    trace: int
    span_id: int
    parent_id: int
    variant: str | None
    took_ms: float
    failed: bool
    attributes: dict[str, Any]


Spans = dict[str, list[Seen]]


def walked(operations: dict[str, Any], *, traces: int = 2_000, **rest: Any) -> Spans:
    """Return the spans of a service's operations, by name, in order of trace and id."""
    service = {"operations": operations, **rest.pop("service", {})}
    rest.setdefault("traffic", {"rate": "1000/s"})
    engine = Engine(topology({"s": service}, **rest), seed=3, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    found: dict[str, list[Seen]] = defaultdict(list)
    while engine.walked_ns < traces * MS:
        batch = engine.walk(traces * MS)
        numbers = [engine.number(each.tobytes()) or 0 for each in batch.trace_id]
        for columns in batch.columns:
            for row, trace in enumerate(columns.trace.tolist()):
                attributes: dict[str, Any] = {}
                for each, values in zip(columns.shape.attributes, columns.values, strict=True):
                    if isinstance(each, Constant):
                        attributes[each.key] = each.value
                    elif isinstance(each, Choice) and values is not None:
                        attributes[each.key] = each.options[int(values[row])]
                parents = columns.parent_id
                found[columns.shape.name].append(
                    Seen(
                        trace=numbers[trace],
                        span_id=int(columns.span_id[row]),
                        parent_id=0 if parents is None else int(parents[row]),
                        variant=attributes.get("synth.variant"),
                        took_ms=int(columns.end_ns[row] - columns.start_ns[row]) / MS,
                        failed=bool(columns.failed[row]),
                        attributes=attributes,
                    )
                )
    return {name: sorted(spans, key=lambda span: span[:2]) for name, spans in found.items()}


def shares(spans: list[Seen]) -> dict[str | None, float]:
    return {name: n / len(spans) for name, n in Counter(each.variant for each in spans).items()}


def within(share: float, spans: int) -> Any:
    return pytest.approx(share, abs=4 * (share * (1 - share) / spans) ** 0.5)


def test_variants_are_chosen_by_weight() -> None:
    variants = {"v1": {"weight": 6}, "v2": {"weight": 3.5}, "v3": {"weight": 0.5}, "v4": None}
    variants["v5"] = {"weight": 0}
    found = walked({"get": {"duration": "1ms", "variants": variants}}, traces=20_000)["get"]
    assert shares(found) == {
        name: within(weight / 11, 20_000)
        for name, weight in (("v1", 6), ("v2", 3.5), ("v3", 0.5), ("v4", 1))
    }


def test_what_a_variant_does_not_name_stays_the_operations() -> None:
    plain = {
        "duration": "9ms +/- 2ms",
        "error_rate": "30%",
        "attributes": {"size": {"values": {"s": 1, "m": 2}}, "shop": {"value": "north"}},
    }
    slow = {"duration": "90ms", "attributes": {"shop": {"value": "south"}}}
    variants = {"same": {}, "bad": {"error_rate": "100%"}, "good": {"error_rate": 0}, "slow": slow}
    without = walked({"get": plain})["get"]
    found = walked({"get": {**plain, "variants": variants}})["get"]
    assert {each.variant for each in found} == set(variants)
    for one, other in zip(found, without, strict=True):
        assert one.span_id == other.span_id
        assert one.took_ms == (90 if one.variant == "slow" else other.took_ms)
        assert one.failed == {"bad": True, "good": False}.get(one.variant or "", other.failed)
        shop = "south" if one.variant == "slow" else "north"
        wanted = {**other.attributes, "shop": shop, "synth.variant": one.variant}
        assert one.attributes == wanted


REGIONS = {"us": {"weight": 3, "baggage": {"region": "us"}}, "eu": {"baggage": {"region": "eu"}}}
FAR = {"far": {"when": {"region": "eu"}, "duration": "80ms"}}


@pytest.mark.parametrize("width", [1, 4])
def test_a_slow_region_is_slow_all_the_way_down(width: int) -> None:
    """Also below operations that know nothing of regions, and whichever walk it is."""
    several = [{"target": "s.load", "count": width}]
    found = walked(
        {
            "get": {"duration": "2ms", "variants": REGIONS, "calls": several},
            "load": {"duration": "4ms", "calls": [{"target": "s.read", "count": width}]},
            "read": {"duration": "10ms", "variants": FAR, "calls": ["s.seek", "s.tell"]},
            "seek": {"duration": "20ms", "variants": FAR},
            "tell": {"duration": "1ms", "calls": [{"target": "s.note", "async": True}]},
            "note": {"duration": "1ms", "variants": FAR},
        },
    )
    eu = {each.trace for each in found["get"] if each.variant == "eu"}
    assert len(eu) / len(found["get"]) == within(0.25, 2_000)
    for name in ("read", "seek", "note"):
        assert len(found[name]) == 2_000 * width**2
        assert {each.trace for each in found[name] if each.variant == "far"} == eu
        assert {each.variant for each in found[name] if each.trace not in eu} == {None}
    assert {each.took_ms for each in found["seek"] if each.trace in eu} == {80}
    assert {each.took_ms for each in found["get"] if each.trace in eu} == {2 + 4 + 80 + 80}
    assert {each.took_ms for each in found["get"] if each.trace not in eu} == {2 + 4 + 10 + 20}


def test_variants_whose_when_fits_come_before_those_without() -> None:
    variants = {
        "a": {"when": {"region": "eu"}},
        "b": {"when": {"region": "eu", "tier": "gold"}, "weight": 3},
        "c": {"weight": 9},
        "d": {},
    }
    found = walked(
        {
            "get": {"duration": "1ms", "variants": REGIONS, "calls": ["s.rate"]},
            "rate": {
                "duration": "1ms",
                "variants": {"g": {"baggage": {"tier": "gold"}}, "n": {}},
                "calls": ["s.load"],
            },
            "load": {"duration": "1ms", "variants": variants},
        },
        traces=8_000,
    )
    region = {each.trace: each.variant for each in found["get"]}
    tier = {each.span_id: each.variant for each in found["rate"]}
    by = defaultdict(list)
    for each in found["load"]:
        by[region[each.trace], tier[each.parent_id]].append(each)
    assert shares(by["eu", "n"]) == {"a": 1}
    gold = by["eu", "g"]
    assert shares(gold) == {"a": within(0.25, len(gold)), "b": within(0.75, len(gold))}
    others = by["us", "g"] + by["us", "n"]
    assert shares(others) == {"c": within(0.9, len(others)), "d": within(0.1, len(others))}


def test_when_asks_for_what_the_request_brings_not_for_what_the_operation_adds() -> None:
    found = walked(
        {
            "get": {"duration": "1ms", "variants": FAR, "calls": ["s.load"]},
            "load": {
                "duration": "1ms",
                "baggage": {"region": "us"},
                "baggage_as_attributes": True,
                "variants": {"far": {**FAR["far"], "baggage": {"from": "afar"}}},
            },
        },
        service={"baggage": {"region": "eu"}},
    )
    assert {each.variant for each in found["get"]} == {None}
    assert {each.variant for each in found["load"]} == {"far"}
    shown = {"baggage.region": "us", "baggage.from": "afar"}
    assert all(shown.items() <= each.attributes.items() for each in found["load"])


def test_every_attempt_and_repetition_chooses_anew() -> None:
    found = walked(
        {
            "get": {"duration": "1ms", "calls": [{"target": "s.load", "count": 2, "retries": 1}]},
            "load": {
                "duration": "1ms",
                "variants": {"good": {"weight": 3}, "bad": {"error_rate": 1}},
            },
        },
    )
    assert shares(found["load"])["bad"] == within(0.25, len(found["load"]))
    assert len(found["load"]) / 4_000 - 1 == within(0.25, 4_000)
    failed = sum(each.failed for each in found["get"]) / 2_000
    assert failed == within(1 - (1 - 0.25**2) ** 2, 2_000)


def canary(override: dict[str, Any]) -> Spans:
    operation = {
        "duration": "5ms",
        "variants": {"old": {"weight": 95}, "new": {"weight": 5, "error_rate": "50%"}},
    }
    window = {"at": "1s", "duration": "1m", "override": {"s.get": override}}
    return walked({"get": operation}, scenarios=[window])


def late(found: Spans) -> list[Seen]:
    return [each for each in found["get"] if each.trace >= 1_000]


def test_a_scenario_raises_the_weight_of_a_canary() -> None:
    before = walked({"get": {"duration": "5ms"}})["get"]
    found = canary({"variants": {"new": {"weight": 95}}})
    early = [each for each in found["get"] if each.trace < 1_000]
    assert shares(early)["new"] == within(0.05, 1_000)
    assert shares(late(found))["new"] == within(0.5, 1_000)
    assert [each.span_id for each in found["get"]] == [each.span_id for each in before]
    # Those who had the new one keep it.
    small = {each.span_id for each in canary({})["get"] if each.variant == "new"}
    assert small <= {each.span_id for each in found["get"] if each.variant == "new"}


def test_a_weight_of_0_takes_a_variant_out() -> None:
    assert shares(late(canary({"variants": {"old": {"weight": 0}}}))) == {"new": 1}
    both = {"variants": {"old": {"weight": 0}, "new": {"weight": 0}}}
    assert shares(late(canary(both))) == {None: 1}


def test_an_override_of_the_operation_changes_what_variants_leave_to_it() -> None:
    found = late(canary({"duration": "8ms", "error_rate": 0}))
    assert {each.took_ms for each in found} == {8}
    new = [each for each in found if each.variant == "new"]
    assert sum(each.failed for each in new) / len(new) == within(0.5, len(new))
    assert not any(each.failed for each in found if each.variant == "old")


def test_an_override_of_a_variant_wins_over_all() -> None:
    note = {"attributes": {"note": {"value": "worse"}}}
    change = {"duration": "70ms", "error_rate": "100%", **note}
    found = late(canary({"duration": "8ms", "variants": {"new": change}}))
    for each in found:
        new = each.variant == "new"
        assert (each.took_ms, each.failed) == ((70, True) if new else (8, False))
        assert each.attributes.get("note") == ("worse" if new else None)


def test_state_is_the_operations_and_a_rejected_request_has_no_variant() -> None:
    breaker = {"failure_threshold": 40, "window": "1m", "cooldown": "1m"}
    found = walked(
        {
            "get": {
                "duration": "5ms",
                "variants": {"good": {}, "bad": {"error_rate": 1}, "worse": {"error_rate": 1}},
                "circuit_breaker": breaker,
            }
        },
    )["get"]
    served = [each for each in found if "synth.rejected" not in each.attributes]
    assert 40 <= sum(each.failed for each in served) < 60, "of both variants that fail"
    assert {each.variant for each in served} == {"good", "bad", "worse"}
    rejected = [each for each in found if "synth.rejected" in each.attributes]
    assert {each.variant for each in rejected} == {None}
    assert len(served) + len(rejected) == 2_000


def test_backpressure_slows_every_variant() -> None:
    found = walked(
        {
            "get": {
                "duration": "5ms",
                "variants": {"quick": {}, "slow": {"duration": "20ms"}},
                "backpressure": {"latency_threshold": "1ms", "duration_multiplier": 3},
            }
        },
    )["get"]
    took = defaultdict(set)
    for each in found:
        took[each.variant].add(each.took_ms)
    assert took == {"quick": {5, 15}, "slow": {20, 60}}


def test_visits_do_not_multiply_with_variants_on_the_way_down() -> None:
    """Twelve operations, of which each may go in three ways: not half a million visits."""
    variants = {"a": {}, "b": {"duration": "2ms"}, "c": {"error_rate": "1%"}}
    links = {"links": ["s.o3"]}
    operations: dict[str, Any] = {
        f"o{index}": {"duration": "1ms", "variants": variants, "calls": [f"s.o{index + 1}"]}
        for index in range(12)
    }
    operations["o12"] = {"duration": "1ms", **links}
    engine = Engine(topology({"s": {"operations": operations}}), seed=3, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    pauses: list[int] = []
    batch = engine.walk(SECOND, lambda: pauses.append(0))
    assert sum(each.trace.size for each in batch.columns) == 13 * batch.trace_id.size
    assert len(pauses) <= 2 * (12 * 3 + 1)
