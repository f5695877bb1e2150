from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from motel_locust.commands.checking.expectation import Estimate, Expectation, expect
from motel_locust.commands.checking.sampling import Draw, Sample, late_share, sample
from motel_locust.commands.checking.sets import Wiring, scenario_sets, wire
from motel_locust.engine.scenarios import Active
from motel_locust.topology import linking
from motel_locust.topology.model import Topology
from motel_locust.topology.reading import read_topology
from tests.commands.checking.trees import FullTree, Outcomes
from tests.engine.topologies import topologies, topology

if TYPE_CHECKING:
    from motel_locust.commands.checking.expectation import Durations

EXAMPLES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
DRAW = Draw(11, "", 10_000)


def never_late(ref: str, baggage: Mapping[str, str], timeout_ns: int, network: Durations) -> float:
    raise AssertionError(f"{ref} has a closed form for {timeout_ns} and {network}")


def without_timeouts(made: Topology) -> Topology:
    services = {}
    for name, service in made.services.items():
        operations = {
            ref: operation.model_copy(
                update={
                    "calls": tuple(
                        call.model_copy(update={"timeout": None}) for call in operation.calls
                    )
                }
            )
            for ref, operation in service.operations.items()
        }
        services[name] = service.model_copy(update={"operations": operations})
    return made.model_copy(update={"services": services})


@settings(max_examples=40, deadline=None)
@given(topologies(linked=False) | topologies(linked=False, paired=True))
def test_without_timeouts_it_is_the_mean_of_all_possible_traces(drawn: Topology) -> None:
    made = without_timeouts(drawn)
    wiring = wire(made, ())
    # Larger trees have too many outcomes to count one by one.
    assume(max(FullTree.of(made, ref).spans for ref in wiring.roots) <= 14)
    counted = set(map(wiring.counted_as, wiring.operations))
    found = expect(wiring, never_late)
    outcomes = Outcomes(made)
    spans: defaultdict[str, Fraction] = defaultdict(Fraction)
    for root, weight in wiring.roots.items():
        for (_, counts), chance in outcomes.of(root).items():
            for ref, count in counts:
                spans[ref] += Fraction(weight) * chance * count
    assert found.spans.keys() == found.errors.keys() == counted
    for ref in counted:
        assert found.spans[ref].value == pytest.approx(float(spans[ref]), abs=1e-12)
        assert found.spans[ref].exact
    asking = any(each.when for all_ in wiring.operations.values() for each in all_.variants)
    for ref in linking.operations(made):
        if asking and ref not in wiring.roots:
            continue  # the mean is over what all callers bring, and how often
        failing = sum(chance for (failed, _), chance in outcomes.of(ref).items() if failed)
        assert found.errors[ref].value == pytest.approx(float(failing), abs=1e-12)


def sampled(made: Topology, active: Active, traces: int) -> tuple[Expectation, Sample]:
    def late(ref: str, baggage: Mapping[str, str], timeout_ns: int, network: Durations) -> float:
        return late_share(
            made,
            active,
            DRAW,
            ref=ref,
            baggage=baggage,
            timeout_ns=timeout_ns,
            traces=traces,
            network=network,
        )

    return expect(wire(made, active), late), sample(made, active, DRAW, traces=traces)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_samples_of_the_examples_agree(path: Path) -> None:
    made, traces = read_topology(str(path)).topology, 4000
    for scenarios in scenario_sets(made):
        expected, found = sampled(made, scenarios.active, traces)
        for ref, each in expected.spans.items():
            seen = found.seen.get(ref)
            if seen is None:
                # Of so few expected, none may come; more would be a miracle.
                assert each.value * traces < 20
                continue
            # Spans of one trace depend on one another, so a trace counts as one throw of a few.
            most = max(1.0, each.value)
            assert abs(seen.spans / traces - each.value) < 5 * (most * each.value / traces) ** 0.5
            rate = expected.errors[ref].value
            spread = (max(rate * (1 - rate), 1 / seen.spans) / seen.spans) ** 0.5
            assert abs(seen.errors / seen.spans - rate) < 5 * spread


def two(call: dict[str, Any], callee: dict[str, Any]) -> Expectation:
    """Return what is expected where one operation calls another so."""
    operations = {
        "top": {"duration": "1ms", "calls": [{"target": "s.leaf", **call}]},
        "leaf": {"duration": "10ms", **callee},
    }
    return expect(wire(topology({"s": {"operations": operations}}), ()), never_late)


def test_each_attempt_is_made_where_those_before_failed() -> None:
    found = two({"retries": 2}, {"error_rate": "20%"})
    assert found.spans["s.leaf"].value == pytest.approx(1 + 0.2 + 0.04)
    assert found.errors["s.top"].value == pytest.approx(0.008)
    assert found.calls["s.top", "s.leaf"] == found.spans["s.leaf"]


def test_attempts_that_always_fail_are_all_made() -> None:
    found = two({"retries": 1_000_000}, {"error_rate": 1})
    assert found.spans["s.leaf"].value == 1_000_001


def test_a_leaf_is_late_as_its_normal_duration_says() -> None:
    found = two({"timeout": "12ms"}, {"duration": "10ms +/- 2ms", "error_rate": "10%"})
    assert found.errors["s.top"].exact
    # One standard deviation above the mean.
    assert found.errors["s.top"].value == pytest.approx(1 - 0.9 * 0.841345, abs=1e-5)
    assert found.errors["s.leaf"].value == pytest.approx(0.1)


@pytest.mark.parametrize(("timeout", "share"), [("10ms", 0.0), ("9.999999ms", 1.0)])
def test_a_steady_leaf_is_late_or_not(timeout: str, share: float) -> None:
    assert two({"timeout": timeout}, {}).errors["s.top"].value == share


def test_where_the_callee_waits_lateness_is_sampled_and_said_so() -> None:
    operations = {
        "top": {"duration": "1ms", "calls": [{"target": "s.mid", "timeout": "5ms", "retries": 1}]},
        "mid": {"duration": "1ms", "calls": ["s.leaf"]},
        "leaf": {"duration": "10ms"},
    }
    asked = []

    def half(ref: str, baggage: Mapping[str, str], timeout_ns: int, network: Durations) -> float:
        asked.append((ref, dict(baggage), timeout_ns, network.mean_ns))
        return 0.5

    found = expect(wire(topology({"s": {"operations": operations}}), ()), half)
    assert asked == [("s.mid", {}, 5_000_000, 0)]
    assert {ref for ref, each in found.spans.items() if not each.exact} == {"s.mid", "s.leaf"}
    assert found.spans["s.leaf"].value == 1.5
    assert (found.errors["s.top"].value, found.errors["s.top"].exact) == (0.25, False)


@pytest.mark.parametrize(("network", "exact"), [("2ms", True), ("2ms +/- 1ns", False)])
def test_the_callers_side_is_late_when_callee_and_network_are(network: str, exact: bool) -> None:
    top = {"duration": "1ms", "calls": [{"target": "b.leaf", "timeout": "14ms"}]}
    leaf = {"duration": "10ms +/- 2ms", "error_rate": "10%"}
    made = topology(
        {"a": {"operations": {"top": top}}, "b": {"operations": {"leaf": leaf}}},
        spans="paired",
        network=network,
    )
    expected, found = sampled(made, (), 4000)
    # One standard deviation above the mean, for what is left of the timeout.
    share = 1 - 0.9 * 0.841345
    off = 1e-5 if exact else 4 * (share * (1 - share) / 4000) ** 0.5
    assert expected.errors["a -> b.leaf"].value == pytest.approx(share, abs=off)
    assert expected.errors["a -> b.leaf"].exact == exact
    assert expected.errors["a.top"].value == pytest.approx(expected.errors["a -> b.leaf"].value)
    assert expected.errors["b.leaf"].value == pytest.approx(0.1)
    seen = found.seen["a -> b.leaf"]
    assert seen.errors / seen.spans == pytest.approx(share, abs=4 * (share / 4000) ** 0.5)
    assert expected.calls == {("a.top", "b.leaf"): Estimate(1.0)}


REGIONS = {"us": {"weight": 3, "baggage": {"region": "us"}}, "eu": {"baggage": {"region": "eu"}}}


def regions(load: dict[str, Any], read: dict[str, Any]) -> Wiring:
    """Return an operation that chooses between two regions, and two others below it."""
    operations = {
        "get": {"duration": "1ms", "variants": REGIONS, "calls": [{"target": "s.load", **load}]},
        "load": {"duration": "1ms", "calls": [{"target": "s.read", "timeout": "20ms"}]},
        "read": {"duration": "9ms +/- 1ms", **read},
    }
    return wire(topology({"s": {"operations": operations}}), ())


def test_what_a_variant_changes_counts_as_often_as_it_is_chosen() -> None:
    far = {"when": {"region": "eu"}, "duration": "20ms +/- 1ms", "error_rate": "10%"}
    found = expect(regions({"retries": 1}, {"variants": {"far": far}}), never_late)
    fails = 1 - 0.9 * 0.5
    loads = 0.75 + 0.25 * (1 + fails)
    assert found.spans["s.load"].value == pytest.approx(loads)
    assert found.calls["s.get", "s.load"].value == pytest.approx(loads)
    # Retries follow failures, so the slow region has more than its share of what lies below.
    assert found.errors["s.read"].value == pytest.approx(0.25 * (1 + fails) * 0.1 / loads)
    assert found.errors["s.load"].value == pytest.approx(0.25 * (1 + fails) * fails / loads)
    assert found.errors["s.get"].value == pytest.approx(0.25 * fails**2, rel=1e-5)
    assert all(each.exact for each in (*found.spans.values(), *found.errors.values()))


def test_lateness_is_sampled_for_each_baggage_that_decides() -> None:
    asked = []

    def late(ref: str, baggage: Mapping[str, str], timeout_ns: int, network: Durations) -> float:
        asked.append((ref, dict(baggage), timeout_ns))
        return 0.5 if baggage == {"region": "eu"} else 0.0

    far = {"far": {"when": {"region": "eu"}, "duration": "10ms"}}
    found = expect(regions({"timeout": "15ms"}, {"variants": far}), late)
    wanted = [("s.load", {"region": region}, 15_000_000) for region in ("eu", "us")]
    assert sorted(asked, key=repr) == wanted
    assert (found.errors["s.get"].value, found.errors["s.get"].exact) == (0.125, False)


def test_failures_that_nobody_waits_for_harm_nobody() -> None:
    assert two({"async": True}, {"error_rate": 1}).errors["s.top"].value == 0


def test_conditions_ask_for_the_callers_own_error() -> None:
    operations = {
        "top": {
            "duration": "1ms",
            "error_rate": "30%",
            "calls": [
                {"target": "s.sorry", "condition": "on-error"},
                {"target": "s.glad", "condition": "on-success", "count": 2},
            ],
        },
        "sorry": {"duration": "1ms", "error_rate": 1},
        "glad": {"duration": "1ms"},
    }
    found = expect(wire(topology({"s": {"operations": operations}}), ()), never_late)
    values = {ref: each.value for ref, each in found.spans.items()}
    assert values == pytest.approx({"s.top": 1, "s.sorry": 0.3, "s.glad": 1.4})
    assert found.errors["s.top"].value == pytest.approx(0.3)


def test_numbers_beyond_all_measure_stay_numbers() -> None:
    operations: dict[str, Any] = {
        f"op{number:02}": {
            "duration": "1ms",
            "calls": [{"target": f"s.op{number + 1:02}", "count": 10**15}],
        }
        for number in range(40)
    }
    operations["op40"] = {"duration": "1ms"}
    found = expect(wire(topology({"s": {"operations": operations}}), ()), never_late)
    assert np.isfinite([each.value for each in found.spans.values()]).all()
