from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from motel_locust.commands import main

SHOP = str(Path(__file__).parents[2] / "topologies" / "shop.yaml")
SMALL = """
version: 1
services:
  web: {operations: {get: {duration: 10ms, calls: [{target: db.query, count: 4}]}}}
  db: {operations: {query: {duration: 5ms, error_rate: 1%}}}
traffic: {rate: 10/s}
scenarios:
  - name: rush
    at: 1m
    duration: 1m
    traffic: {rate: 30/s}
    override: {web.get: {add_calls: [db.query]}}
"""


def check(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], input=stdin)


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


def test_a_topology_within_its_limits_is_good(small: str) -> None:
    result = check(small, "--samples", "50", "--seed", "3", "--skip-speed")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert [" ".join(line.split()) for line in lines[1:4]] == [
        "ok depth 1 10 1 1 1 1",
        "ok fan-out 5 100 5 5 5 5",
        "ok spans 6 10,000 6 6 6 6",
    ]
    assert lines[4:7] == [
        "depth 1, baseline: web.get > db.query",
        "fan-out 5, rush: web.get",
        "spans 6, rush: web.get",
    ]
    assert "50 traces sampled for each of 2 sets of scenarios, seed 3" in lines
    assert "peak: 30 traces/s at 1m, rush; base rate: 10/s" in lines
    [total] = [line.split() for line in lines if line.startswith("all ")]
    assert (total[1], total[4]) == ("50", "180")


def test_a_limit_that_is_exceeded_gives_status_1_after_all_rows(small: str) -> None:
    result = check(small, "--max-depth", "0", "--max-spans", "6", "--samples", "5", "--skip-speed")
    assert result.exit_code == 1
    verdicts = [line.split()[0] for line in result.stdout.splitlines()[1:4]]
    assert verdicts == ["FAIL", "ok", "ok"]


def test_without_scenarios_only_the_baseline_counts(small: str) -> None:
    result = check(small, "--skip-scenarios", "--json", "--samples", "5", "--skip-speed")
    found = json.loads(result.stdout)
    assert [each["scenarios"] for each in found["scenario_sets"]] == [[]]
    assert found["forecast"]["peak"]["traces_per_s"] == 10


def test_machines_get_everything_as_json(small: str) -> None:
    result = check(small, "--json", "--samples", "400", "--seed", "9")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["passed"], found["seed"], found["samples"]) == (True, 9, 400)
    assert [row["name"] for row in found["rows"]] == ["depth", "fan-out", "spans"]
    assert found["rows"][2]["sampled"] == {"p50": 6, "p95": 6, "p99": 6, "max": 6}
    baseline, rush = found["scenario_sets"]
    assert (baseline["expected"]["spans_per_trace"], rush["expected"]["spans_per_trace"]) == (5, 6)
    assert rush["bounds"]["path"] == ["web.get", "db.query"]
    operations = rush["expected"]["operations"]
    assert operations["db.query"]["error_share"] == {"value": pytest.approx(0.01), "exact": True}
    assert operations["web.get"]["error_share"]["value"] == pytest.approx(1 - 0.99**5)
    assert operations["web.get"]["latency_ms"]["max"] == 15
    forecast = found["forecast"]
    assert forecast["base"]["spans_per_s"] == 50
    assert forecast["peak"]["services"]["db"]["spans_per_s"] == 150
    assert forecast["peak"]["at_s"] == 60
    assert forecast["generated_spans_per_s_per_core"] > 0
    assert forecast["workers"] >= 1


def test_one_seed_draws_the_same_traces_and_none_a_new_one(small: str) -> None:
    options = ("--json", "--skip-speed", "--samples", "20")
    assert (
        check(SHOP, *options, "--seed", "4").stdout == check(SHOP, *options, "--seed", "4").stdout
    )
    seeds = {json.loads(check(small, *options).stdout)["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_rate_and_users_multiply_what_is_expected(small: str) -> None:
    options = ("--json", "--skip-speed", "--samples", "5", "--rate", "1200/m", "--users", "50")
    forecast = json.loads(check(small, *options).stdout)["forecast"]
    assert forecast["base"]["traces_per_s"] == 1000
    assert forecast["peak"]["traces_per_s"] == 3000


def test_bounds_alone_are_enough_for_some(small: str) -> None:
    result = check(small, "--samples", "0")
    assert result.exit_code == 0
    assert "no traces were sampled: bounds only" in result.stdout
    found = json.loads(check(small, "--samples", "0", "--json").stdout)
    assert found["forecast"] is None
    assert found["rows"][0]["sampled"] is None


def test_a_swarm_says_that_it_is_one(small: str) -> None:
    result = check(small, "--sample-strategy", "SWARM", "--samples", "3", "--skip-speed")
    assert result.exit_code == 0
    assert "rare corners, not what production looks like" in result.stdout
    assert "1 choice point needs 5 samples" in result.stdout


def test_limits_may_come_from_a_file_and_options_win(small: str, tmp_path: Path) -> None:
    file = tmp_path / "checks.yaml"
    file.write_text("version: 1\nchecks: {max_depth: 0, p95_spans: 5, p50_fan_out: 9}\n")
    options = ("--checks", str(file), "--samples", "10", "--skip-speed", "--json")
    result = check(small, *options)
    assert result.exit_code == 1
    rows = {row["name"]: row["passed"] for row in json.loads(result.stdout)["rows"]}
    assert rows == {
        "depth": False,
        "fan-out": True,
        "spans": True,
        "p50 fan-out": True,
        "p95 spans": False,
    }
    rows = json.loads(check(small, *options, "--max-depth", "1").stdout)["rows"]
    assert rows[0]["passed"] is True


def test_percentiles_need_samples(small: str, tmp_path: Path) -> None:
    file = tmp_path / "checks.yaml"
    file.write_text("version: 1\nchecks: {p95_spans: 5}\n")
    result = check(small, "--checks", str(file), "--samples", "0")
    assert result.exit_code == 2
    assert "p95_spans cannot be told with --samples 0" in result.stderr
    assert result.stdout == ""


def test_verdicts_are_written_as_junit_too(small: str, tmp_path: Path) -> None:
    path = tmp_path / "check.xml"
    options = ("--junit", str(path), "--max-spans", "2", "--samples", "2", "--skip-speed")
    assert check(small, *options).exit_code == 1
    suites = ElementTree.parse(path).getroot()
    assert (suites.attrib["tests"], suites.attrib["failures"]) == ("3", "1")
    nowhere = str(tmp_path / "no" / "check.xml")
    result = check(small, "--junit", nowhere, "--samples", "2", "--skip-speed")
    assert result.exit_code == 2
    assert nowhere in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-depth", "-1"],
        ["--samples", "-1"],
        ["--sample-strategy", "magic"],
        ["--users", "0"],
        ["--rate", "5"],
        ["--checks", "nowhere.yaml"],
    ],
)
def test_wrong_usage_is_told_before_any_row(small: str, arguments: list[str]) -> None:
    result = check(small, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_wrong_topology_and_a_replay_are_refused(tmp_path: Path) -> None:
    result = check("-", stdin=SMALL.replace("db.query", "db.qeury"))
    assert result.exit_code == 2
    assert 'did you mean "db.query"?' in result.stderr
    (tmp_path / "r.jsonl").touch()
    replay = tmp_path / "replay.yaml"
    replay.write_text("version: 1\nmode: replay\nrecording: r.jsonl\n")
    result = check(str(replay))
    assert result.exit_code == 2
    assert "is a replay: its traces are recorded" in result.stderr


def test_scenarios_that_close_a_cycle_together_are_refused() -> None:
    first = "{name: a, at: 0s, duration: 1m, override: {web.get: {add_calls: [db.query]}}}"
    second = "{name: b, at: 0s, duration: 1m, override: {db.query: {add_calls: [web.get]}}}"
    head = SMALL[: SMALL.index("scenarios:")].replace(", calls: [{target: db.query, count: 4}]", "")
    result = check("-", stdin=f"{head}scenarios: [{first}, {second}]\n")
    assert result.exit_code == 2
    assert "web.get -> db.query" in result.stderr


def test_help_shows_an_example() -> None:
    assert "motel-locust check topologies/shop.yaml" in check("--help").stdout
