from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.engine import scenarios
from motel_locust.topology.model import Topology
from motel_locust.topology.quantities import DurationDistribution

SECOND_NS = 10**9
MS = 10**6

SERVICES: dict[str, Any] = {
    "web": {
        "operations": {
            "home": {
                "duration": "10ms +/- 2ms",
                "error_rate": "5%",
                "attributes": {"a": {"value": 1}, "b": {"value": 2}},
                "calls": ["db.read", "db.write", "cache.get", {"target": "db.read", "count": 2}],
            }
        }
    },
    "db": {"operations": {"read": {"duration": "1ms"}, "write": {"duration": "1ms"}}},
    "cache": {"operations": {"get": {"duration": "1ms"}, "warm": {"duration": "1ms"}}},
}


def topology(*windows: dict[str, Any], **rest: Any) -> Topology:
    return Topology.model_validate(
        {
            "version": 1,
            "services": SERVICES,
            "traffic": {"rate": "10/s"},
            "scenarios": list(windows),
            **rest,
        }
    )


def window(at: str = "0", duration: str = "1h", **rest: Any) -> dict[str, Any]:
    return {"at": at, "duration": duration, **rest}


def home(**override: Any) -> dict[str, Any]:
    return {"web.home": override}


def calls(found: scenarios.Effective) -> list[tuple[str, str]]:
    return [(name, call.target) for name, call in found.calls]


OWN_CALLS = [("c0", "db.read"), ("c1", "db.write"), ("c2", "cache.get"), ("c3", "db.read")]


def test_boundaries_are_all_starts_and_ends_in_order() -> None:
    one = topology(window("2s", "3s"), window("1s", "1s"), window("5s", "1s"))
    found = scenarios.boundaries(one)
    assert found.dtype == "int64"
    assert found.tolist() == [at_s * SECOND_NS for at_s in (1, 2, 5, 6)]
    assert scenarios.boundaries(topology()).tolist() == []


def test_a_scenario_is_active_from_its_start_to_before_its_end() -> None:
    one = topology(window("2s", "3s"))
    instants_ns = [2 * SECOND_NS - 1, 2 * SECOND_NS, 5 * SECOND_NS - 1, 5 * SECOND_NS]
    assert [scenarios.active(one, t_ns) for t_ns in instants_ns] == [(), (0,), (0,), ()]


def test_the_merge_order_is_priority_then_place_in_the_file() -> None:
    one = topology(*(window(priority=priority) for priority in (1, 0, -5, 1, 0)))
    assert scenarios.active(one, 0) == (2, 1, 4, 0, 3)


windows = st.lists(
    st.builds(
        lambda at, length, priority: window(f"{at}s", f"{length}s", priority=priority),
        st.integers(0, 20),
        st.integers(1, 20),
        st.integers(-2, 2),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(windows, st.integers(0, 45 * SECOND_NS))
def test_the_active_set_changes_at_boundaries_only(each: list[dict], t_ns: int) -> None:
    one = topology(*each)
    edges = scenarios.boundaries(one)
    before = edges[edges <= t_ns]
    since_ns = int(before[-1]) if before.size else 0
    assert scenarios.active(one, t_ns) == scenarios.active(one, since_ns)


def test_two_scenarios_merge_as_in_the_reference() -> None:
    # The names mislead on purpose: "low" has the higher number, and wins.
    low = window(
        name="low",
        priority=1,
        override=home(
            duration="70ms",
            attributes={"shared": {"value": "low"}, "only-low": {"value": 1}},
        ),
        traffic={"rate": "70/s"},
    )
    high = window(
        name="high",
        priority=0,
        override=home(
            duration="30ms",
            error_rate="40%",
            attributes={"shared": {"value": "high"}, "only-high": {"value": 1}},
        ),
        traffic={"rate": "30/s"},
    )
    one = topology(low, high)
    active = scenarios.active(one, 0)
    assert [one.scenarios[index].name for index in active] == ["high", "low"]
    found = scenarios.effective(one, "web.home", active)
    assert found.duration == DurationDistribution(70 * MS, 0)
    assert found.error_rate == 0.4
    names = {key: name for key, (name, _) in found.attributes.items()}
    assert names == {"a": "o", "b": "o", "shared": "s0", "only-low": "s0", "only-high": "s1"}
    assert scenarios.traffic(one, active).rate.per_s == 70


def test_an_operation_without_scenarios_is_itself() -> None:
    one = topology(window(override=home(duration="1s")))
    found = scenarios.effective(one, "web.home", ())
    own = one.services["web"].operations["home"]
    assert (found.duration, found.error_rate) == (own.duration, own.error_rate)
    assert found.attributes == {key: ("o", own.attributes[key]) for key in ("a", "b")}
    assert calls(found) == OWN_CALLS
    assert scenarios.effective(one, "db.read", (0,)).calls == ()


def test_what_an_override_leaves_out_stays() -> None:
    one = topology(window(override=home(error_rate="0%")))
    found = scenarios.effective(one, "web.home", (0,))
    assert found.error_rate == 0
    assert found.duration == DurationDistribution(10 * MS, 2 * MS)


def test_an_overridden_attribute_is_named_after_its_scenario() -> None:
    one = topology(window(), window(override=home(attributes={"b": {"value": "x"}})))
    found = scenarios.effective(one, "web.home", (0, 1))
    assert {key: name for key, (name, _) in found.attributes.items()} == {"a": "o", "b": "s1"}


def test_removing_a_target_takes_all_own_calls_to_it_and_no_added_one() -> None:
    one = topology(
        window(override=home(remove_calls=["db.read"])),
        window(override=home(add_calls=["db.read", "cache.warm"])),
        window(override=home(add_calls=["cache.warm"]), priority=-1),
    )
    found = scenarios.effective(one, "web.home", scenarios.active(one, 0))
    assert calls(found) == [
        ("c1", "db.write"),
        ("c2", "cache.get"),
        ("s2.web.home.c0", "cache.warm"),
        ("s1.web.home.c0", "db.read"),
        ("s1.web.home.c1", "cache.warm"),
    ]


def test_a_removal_ends_with_its_own_window_though_another_one_goes_on() -> None:
    one = topology(
        window("0s", "10s", override=home(remove_calls=["db.read"])),
        window("1s", "1s", override=home(remove_calls=["db.write"])),
    )
    found = [
        [name for name, _ in calls(scenarios.effective(one, "web.home", active))]
        for active in (scenarios.active(one, at_s * SECOND_NS) for at_s in (0, 1, 2, 10))
    ]
    assert found == [["c1", "c2"], ["c2"], ["c1", "c2"], ["c0", "c1", "c2", "c3"]]


overrides = st.fixed_dictionaries(
    {},
    optional={
        "duration": st.sampled_from(["1ms", "5ms ± 1ms"]),
        "error_rate": st.sampled_from(["0%", "50%"]),
        "attributes": st.dictionaries(st.sampled_from("abc"), st.just({"value": "x"}), max_size=2),
        "add_calls": st.lists(st.sampled_from(["db.read", "cache.warm"]), max_size=2),
        "remove_calls": st.lists(st.sampled_from(["db.read", "cache.get"]), max_size=2),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(overrides, max_size=4), st.randoms(use_true_random=False))
def test_merging_changes_no_model(each: list[dict[str, Any]], order: Any) -> None:
    one = topology(*(window(override=home(**override)) for override in each))
    untouched = one.model_dump()
    active = list(range(len(each)))
    first = scenarios.effective(one, "web.home", tuple(active))
    order.shuffle(active)
    scenarios.effective(one, "web.home", tuple(active))
    assert one.model_dump() == untouched
    assert scenarios.effective(one, "web.home", tuple(range(len(each)))) == first


def test_the_last_active_traffic_is_in_force_as_a_whole() -> None:
    one = topology(
        window(traffic={"rate": "1/s"}, priority=1),
        window(traffic={"rate": "2/s"}),
        window(priority=2),
    )
    assert scenarios.traffic(one, scenarios.active(one, 0)).rate.per_s == 1
    assert scenarios.traffic(one, (1,)).rate.per_s == 2
    assert scenarios.traffic(one, (2,)) is one.traffic


def test_a_topology_without_traffic_has_none_in_force() -> None:
    one = Topology.model_validate(
        {"version": 1, "mode": "replay", "recording": "traces.jsonl", "services": {}}
    )
    with pytest.raises(ValueError, match="without traffic"):
        scenarios.traffic(one, ())


def test_roots_are_those_of_the_traffic_in_force_that_names_some() -> None:
    one = topology(
        window(traffic={"rate": "1/s"}),
        window(traffic={"rate": "1/s", "roots": {"db.read": 3, "cache.get": 1}}),
        traffic={"rate": "10/s", "roots": {"web.home": 2.5}},
    )
    assert scenarios.roots(one, ()) == {"web.home": 2.5}
    assert scenarios.roots(one, (0,)) == {"web.home": 2.5}
    assert scenarios.roots(one, (0, 1)) == {"cache.get": 1, "db.read": 3}


def test_without_any_named_every_uncalled_operation_is_a_root() -> None:
    one = topology(window(traffic={"rate": "1/s"}, override=home(add_calls=["cache.warm"])))
    for active in ((), (0,)):
        assert scenarios.roots(one, active) == {"cache.warm": 1, "web.home": 1}
