from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from motel_locust.commands.checking.bounds import Bounds
from motel_locust.commands.checking.junit import junit
from motel_locust.commands.checking.limits import Limits
from motel_locust.commands.checking.sets import ScenarioSet
from motel_locust.commands.checking.sizes import Sizes
from motel_locust.commands.checking.verdict import Finding, judge

BASELINE = ScenarioSet((), ())
SALE = ScenarioSet((0,), ("sale",))
RUSH = ScenarioSet((1,), ("rush",))


def finding(
    scenarios: ScenarioSet, *, depth: int = 1, spans: int = 2, sampled: list[int] | None = None
) -> Finding:
    bounds = Bounds(depth, ("s.a", "s.b"), 1, "s.a", spans, "s.a")
    values = np.array(sampled if sampled is not None else [1])
    sizes = None if sampled is None else Sizes(values, values * 0, values * 0, values)
    return Finding(scenarios, bounds, sizes)


def test_the_set_with_the_greatest_bound_is_told() -> None:
    rows = judge([finding(BASELINE), finding(SALE, depth=3), finding(RUSH)], given={}, file=None)
    assert [(row.name, row.value, row.limit) for row in rows] == [
        ("depth", 3, 10),
        ("fan-out", 1, 100),
        ("spans", 2, 10_000),
    ]
    assert [row.scenarios for row in rows] == [SALE, BASELINE, BASELINE]
    assert [row.where for row in rows] == [("s.a", "s.b"), ("s.a",), ("s.a",)]


def test_of_equal_bounds_the_greater_sample_wins_then_the_first() -> None:
    found = [
        finding(BASELINE, sampled=[1]),
        finding(SALE, sampled=[1, 2]),
        finding(RUSH, sampled=[2, 2]),
    ]
    rows = judge(found, given={}, file=None)
    assert rows[2].scenarios == SALE


def test_a_given_limit_beats_the_files_and_that_the_default() -> None:
    file = Limits.model_validate({"max_depth": 5, "max_spans": 7})
    rows = judge([finding(BASELINE)], given={"spans": 1, "depth": None}, file=file)
    assert [row.limit for row in rows] == [5, 100, 1]
    assert [row.passed for row in rows] == [True, True, False]


def test_percentiles_are_those_of_the_worst_set() -> None:
    file = Limits.model_validate({"p50_spans": 1, "p99_spans": 2})
    found = [finding(BASELINE, sampled=[1, 1, 2]), finding(SALE, sampled=[1, 2, 2])]
    *_, p50, p99 = judge(found, given={}, file=file)
    assert (p50.name, p50.value, p50.passed, p50.scenarios) == ("p50 spans", 2, False, SALE)
    assert (p99.value, p99.passed) == (2, True)


def test_a_sample_beyond_its_bound_fails_whatever_the_limit() -> None:
    rows = judge([finding(BASELINE, spans=2, sampled=[3])], given={}, file=None)
    assert [row.passed for row in rows] == [True, True, False]


def test_junit_has_a_case_for_each_row_and_a_failure_for_each_bad_one() -> None:
    rows = judge([finding(BASELINE), finding(SALE, depth=3)], given={"depth": 2}, file=None)
    suites = ElementTree.fromstring(junit(rows, source='a<&>"\x01.yaml'))
    assert suites.attrib == {"tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    [suite] = suites
    assert suite.attrib["name"] == 'motel-locust check a<&>"\ufffd.yaml'
    assert [case.attrib["name"] for case in suite] == ["depth", "fan-out", "spans"]
    [failure] = suite.findall("testcase/failure")
    assert failure.attrib["message"] == "3 of 2, sale: s.a > s.b"
