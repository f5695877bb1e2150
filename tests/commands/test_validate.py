from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import motel_locust
from motel_locust.commands import main

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
version: 1
services:
  web: {operations: {get: {duration: 10ms, calls: [db.query]}, put: {duration: 1ms}}}
  db: {operations: {query: {duration: 5ms}}}
traffic: {rate: 10/s}
"""
ODD = GOOD.replace("[db.query]", "[db.query, ~]")
BAD = GOOD.replace("db.query", "db.qeury").replace("10ms", "10")


def validate(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["validate", *arguments], input=stdin)


def written(folder: Path, content: str) -> str:
    path = folder / "t.yaml"
    path.write_text(content)
    return str(path)


def test_a_good_topology_is_counted_and_can_be_run(tmp_path: Path) -> None:
    source = written(tmp_path, GOOD)
    result = validate(source)
    assert result.exit_code == 0
    assert result.stdout == (
        "2 services, 3 operations, 2 root operations, 1 call, 0 scenarios; "
        "roots: web.get, web.put\n"
        f"run it: locust -f locustfiles/topology.py --topology {source}\n"
    )
    assert result.stderr == ""


def test_warnings_go_to_standard_error_and_count_if_strict(tmp_path: Path) -> None:
    source = written(tmp_path, ODD)
    result = validate(source)
    assert result.exit_code == 0
    assert "warning: a null in a list is left out; remove it [null-entry]" in result.stderr
    assert result.stdout.startswith("2 services")
    assert validate(source, "--strict").exit_code == 1
    assert validate(written(tmp_path, GOOD), "--strict").exit_code == 0


def test_every_problem_of_a_bad_topology_goes_to_standard_error(tmp_path: Path) -> None:
    source = written(tmp_path, BAD)
    result = validate(source)
    assert result.exit_code == 2
    assert result.stdout == ""
    headlines = [line for line in result.stderr.splitlines() if line.startswith(source)]
    assert len(headlines) == 2
    assert headlines[0].startswith(f'{source}:4:38: duration "10" has no unit; ')
    assert headlines[1] == (
        f'{source}:4:50: no operation "db.qeury"; did you mean "db.query"? [unknown-operation]'
    )


def test_standard_input_is_a_source() -> None:
    assert validate("-", stdin=GOOD).exit_code == 0
    result = validate("-", stdin="version: 2\n")
    assert result.exit_code == 2
    assert "<stdin>:1:10: version 2 is not supported" in result.stderr


@pytest.mark.parametrize("option", [["--format", "json"], ["--json"], ["--format=json"]])
def test_machines_get_json(tmp_path: Path, option: list[str]) -> None:
    result = validate(written(tmp_path, ODD), *option)
    assert result.exit_code == 0
    verdict = json.loads(result.stdout)
    assert verdict["valid"] is True
    assert verdict["root_operations"] == 2
    assert verdict["roots"] == {"web.get": 1.0, "web.put": 1.0}
    assert verdict["errors"] == []
    [warning] = verdict["warnings"]
    assert (warning["line"], warning["code"]) == (4, "null-entry")


def test_machines_get_the_problems_too(tmp_path: Path) -> None:
    source = written(tmp_path, GOOD.replace("1ms", "1"))
    result = validate(source, "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    verdict = json.loads(result.stdout)
    assert verdict["valid"] is False
    [problem] = verdict["errors"]
    assert (problem["file"], problem["line"], problem["code"]) == (source, 4, "invalid-duration")


def test_text_is_the_default_and_can_be_asked_for(tmp_path: Path) -> None:
    source = written(tmp_path, GOOD)
    assert validate(source, "--format", "text").stdout == validate(source).stdout
    assert validate(source, "--format", "xml").exit_code == 2


def test_a_replay_needs_its_recording_beside_the_topology(tmp_path: Path) -> None:
    source = written(tmp_path, "version: 1\nmode: replay\nrecording: traces.jsonl\n")
    result = validate(source)
    assert result.exit_code == 2
    message = f"{tmp_path / 'traces.jsonl'}: the recording cannot be read: No such file"
    assert result.stderr.startswith(message)
    (tmp_path / "traces.jsonl").touch()
    assert validate(source).stderr.startswith(f"{tmp_path / 'traces.jsonl'}: holds no span")


TRACE = (
    '{"trace_id": "a", "spans": [{"span_id": "b", "parent_id": "c", "service": "web",'
    ' "operation": "get", "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:00:02.5Z"}]}\n'
)


def test_the_recording_of_a_replay_is_read_to_its_end(tmp_path: Path) -> None:
    source = written(tmp_path, "version: 1\nmode: replay\nrecording: traces.jsonl\n")
    recording = tmp_path / "traces.jsonl"
    recording.write_text(TRACE * 2)
    result = validate(source)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "a replay of traces.jsonl: 2 traces, 2 spans, 0 errors, over 2.5 s; services: web\n"
    )
    assert result.stderr == (
        f"{recording}: warning: 2 spans name parents that are not in their traces: sent as roots"
        " [missing-parent]\n"
    )
    assert validate(source, "--strict").exit_code == 1
    verdict = json.loads(validate(source, "--json").stdout)
    assert verdict["valid"]
    assert verdict["recording"]["spans"] == verdict["recording"]["orphans"] == 2
    recording.write_text(TRACE * 2 + TRACE.replace("2026", "26"))
    result = validate(source)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{recording}:3:1: spans[0].start")


def test_a_source_is_needed() -> None:
    assert validate().exit_code == 2


def test_without_a_command_help_is_shown() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0
    assert "validate" in result.stdout
    assert "receive" in result.stdout


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout == f"motel-locust, version {motel_locust.__version__}\n"


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["validat"]).exit_code == 2


def test_help_shows_an_example() -> None:
    assert "Example:\n  motel-locust validate" in validate("--help").stdout


def test_validating_imports_neither_locust_nor_numpy() -> None:
    script = (
        "import sys; from motel_locust.commands.validate import validate; "
        "print({'locust', 'gevent', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
