from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from motel_locust.commands import main

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SHOP = str(TOPOLOGIES / "shop.yaml")
SCENARIOS = str(TOPOLOGIES / "scenarios.yaml")


def preview(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["preview", *arguments], input=stdin)


def test_the_rate_and_the_calls_are_shown_as_text() -> None:
    result = preview(SCENARIOS, "--samples", "50")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "scenarios.yaml: peak 40 traces/s at 45s"
    assert any("█" in line for line in lines)
    assert any(line.endswith("━ slow disk") for line in lines)
    assert "scenarios.yaml: calls, baseline, 20 traces/s" in lines
    assert any(line.startswith("└─ cache.get") for line in lines)


def test_one_of_the_two_may_be_enough() -> None:
    rate = preview(SCENARIOS, "--show", "rate").stdout
    assert "█" in rate
    assert "cache.get" not in rate
    graph = preview(SCENARIOS, "--show", "graph", "--samples", "5").stdout
    assert "█" not in graph
    assert "cache.get" in graph


def test_pictures_go_to_a_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "shop.svg"
    path.write_text("old" * 100_000)
    result = preview(SHOP, "--samples", "5", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg")
    assert float(root.attrib["width"]) >= 800


def test_a_picture_of_the_rate_is_as_large_as_always() -> None:
    result = preview(SHOP, "--show", "rate", "-o", "-")
    root = ElementTree.fromstring(result.stdout)
    assert (root.attrib["width"], root.attrib["height"]) == ("800", "400")


def test_machines_get_points_and_operations() -> None:
    result = preview(SCENARIOS, "--json", "--at", "65s", "--samples", "200", "--unit", "spans")
    found = json.loads(result.stdout)
    rate, calls = found["rate"], found["calls"]
    assert (rate["unit"], rate["until_s"]) == ("spans", pytest.approx(115.5))
    assert rate["peak"] == {"at_s": 45, "per_s": pytest.approx(84)}
    assert rate["scenarios"][1] == {"name": "cache bypassed", "start_s": 60, "stop_s": 105}
    assert len(rate["at_s"]) == len(rate["per_s"]) > 100
    assert calls["traces_per_s"] == 40
    assert calls["scenarios"] == "slow disk + front page of the news + cache bypassed"
    operations = {each["operation"]: each for each in calls["operations"]}
    assert operations["cache.get"]["spans_per_s"] == 0
    assert operations["cache.get"]["latency_ms"] is None
    assert operations["database.query"]["spans_per_s"] == 40
    assert operations["web.GET /article"]["root"] is True
    [to_database, _] = sorted(calls["calls"], key=lambda each: -each["spans_per_s"])
    assert to_database["calls"] == ["timeout 200 ms"]


def test_another_rate_scales_everything() -> None:
    found = json.loads(preview(SCENARIOS, "--json", "--rate", "200/s", "--samples", "5").stdout)
    assert found["rate"]["peak"]["per_s"] == 400
    assert found["calls"]["traces_per_s"] == 200


def test_a_part_of_the_run_may_be_enough() -> None:
    found = json.loads(preview(SCENARIOS, "--json", "--show", "rate", "--duration", "40s").stdout)
    assert found["rate"]["until_s"] == 40
    assert found["rate"]["scenarios"] == [{"name": "slow disk", "start_s": 30, "stop_s": 40}]
    assert found["calls"] is None


def test_one_seed_shows_the_same() -> None:
    options = ("--samples", "30", "--seed", "7", "-o", "-")
    assert preview(SHOP, *options).stdout == preview(SHOP, *options).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--duration", "0s"], "--duration must be above 0"),
        (["--duration", "-5s"], "below 0"),
        (["--duration", "5"], "has no unit"),
        (["--unit", "metrics"], "metrics"),
        (["--samples", "0"], "--samples"),
        (["-o", "/nowhere/at/all.svg"], "/nowhere/at/all.svg"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], message: str) -> None:
    result = preview(SCENARIOS, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_replay_has_no_rate(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").touch()
    replay = tmp_path / "replay.yaml"
    replay.write_text("version: 1\nmode: replay\nrecording: r.jsonl\n")
    result = preview(str(replay))
    assert result.exit_code == 2
    assert "is a replay: it has no rate to preview" in result.stderr


def test_help_shows_examples() -> None:
    assert (
        "motel-locust preview topologies/shop.yaml --at 2m30s -o shop.svg" in preview("-h").stdout
    )
