from __future__ import annotations

from motel_locust.commands.checking.sets import hold, keeps_state, scenario_sets, wire
from motel_locust.engine import scenarios
from motel_locust.topology.model import Topology
from tests.engine.topologies import topology

OPERATIONS = {"x": {"duration": "1ms", "calls": ["a.y"]}, "y": {"duration": "1ms"}}
SERVICES = {"a": {"operations": OPERATIONS}}


def with_scenarios(*given: dict[str, object]) -> Topology:
    return topology(SERVICES, scenarios=list(given))


def test_sets_are_those_that_occur_in_time_and_the_baseline_first() -> None:
    made = with_scenarios(
        {"name": "late", "at": "2m", "duration": "1m"},
        {"name": "early", "at": "0s", "duration": "90s", "priority": 5},
        {"name": "middle", "at": "1m", "duration": "1m"},
    )
    labels = [each.label for each in scenario_sets(made)]
    assert labels == ["baseline", "early", "middle + early", "middle", "late"]


def test_a_set_that_comes_back_counts_once() -> None:
    made = with_scenarios(
        {"name": "long", "at": "0s", "duration": "1h"},
        {"name": "short", "at": "10m", "duration": "1m"},
    )
    assert [each.active for each in scenario_sets(made)] == [(), (0,), (0, 1)]


def test_a_scenario_without_a_name_is_called_by_its_number() -> None:
    made = with_scenarios({"at": "0s", "duration": "1m"})
    assert [each.label for each in scenario_sets(made)] == ["baseline", "scenario 1"]


def test_without_scenarios_there_is_the_baseline() -> None:
    assert [each.names for each in scenario_sets(with_scenarios())] == [()]


def test_a_held_topology_is_always_in_the_same_state() -> None:
    made = with_scenarios(
        {"name": "one", "at": "1m", "duration": "1m", "traffic": {"rate": "1/h"}},
        {"name": "two", "at": "1m", "duration": "1m"},
    )
    held = hold(made, (1,))
    for t_ns in (0, 60_000_000_000, 10**15):
        assert scenarios.active(held, t_ns) == (1,)


def test_holding_takes_state_away_unless_it_is_wanted() -> None:
    services = {"a": {"operations": {"x": {"duration": "1ms", "queue_depth": 3}}}}
    made = topology(services)
    assert keeps_state(made) == ["a.x"]
    assert keeps_state(hold(made, ())) == []
    assert keeps_state(hold(made, (), stateful=True)) == ["a.x"]
    assert keeps_state(made) == ["a.x"]


def test_traces_may_be_held_to_begin_anywhere() -> None:
    made = with_scenarios(
        {"at": "0s", "duration": "1m", "traffic": {"rate": "1/s", "roots": {"a.x": 1}}}
    )
    assert scenarios.roots(hold(made, (0,), begin_at="a.y"), (0,)) == {"a.y": 1.0}


def test_wiring_has_callees_before_callers_and_shares_of_roots() -> None:
    made = topology(SERVICES, traffic={"rate": "1/s", "roots": {"a.x": 3, "a.y": 1}})
    wiring = wire(made, ())
    assert wiring.callees_first == ("a.y", "a.x")
    assert wiring.roots == {"a.x": 0.75, "a.y": 0.25}
