"""``motel-locust import`` as a person uses it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result
from gevent.monkey import get_original

from benchmarks.importing import bodies
from motel_locust.commands import main
from motel_locust.otlp.lines import request_line
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from collections.abc import Callable

TRACES = 100


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["import", *arguments], input=stdin)


@pytest.fixture(scope="module")
def lines() -> bytes:
    topology = read_topology("topologies/four-services.yaml").topology
    return "".join(
        f"{request_line(body, 'traces')}\n" for body in bodies(topology, traces=TRACES)
    ).encode()


@pytest.fixture
def traces(tmp_path: Path, lines: bytes) -> Path:
    path = tmp_path / "traces.json"
    path.write_bytes(lines)
    return path


def test_a_file_becomes_a_topology_that_validates(traces: Path) -> None:
    result = run(str(traces))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"# Imported from {TRACES} traces, {4 * TRACES} spans, 1.0 s")
    topology = yaml.safe_load(result.stdout)
    assert sorted(topology["services"]) == ["backend", "cache", "database", "gateway"]
    assert topology["traffic"]["rate"] == "100/s"
    gateway = topology["services"]["gateway"]
    assert gateway["attributes"] == {"http.request.method": "GET"}
    assert "attributes" not in gateway["operations"]["GET /api/users"]
    assert "100 traces, 400 spans: 4 services, 4 operations" in result.stderr
    checked = CliRunner().invoke(main, ["validate", "-", "--strict"], input=result.stdout)
    assert checked.exit_code == 0


def test_all_sources_are_one_input_wherever_they_lie(
    traces: Path, lines: bytes, tmp_path: Path
) -> None:
    alone = run(str(traces)).stdout
    first, *rest = lines.splitlines(keepends=True)
    folder = tmp_path / "folder" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.json.gz").write_bytes(gzip.compress(first))
    (folder.parent / "b.json").write_bytes(b"".join(rest))
    assert run(str(folder.parent)).stdout == alone
    assert run(str(folder / "a.json.gz"), str(folder.parent / "b.json")).stdout == alone
    assert run(stdin=lines).stdout == alone
    assert run("-", stdin=gzip.compress(lines)).stdout == alone


def test_a_folder_may_hold_other_files_too(traces: Path) -> None:
    (traces.parent / "README").write_text("about these traces")
    result = run(str(traces.parent))
    assert result.exit_code == 0
    skipped = f"1 file of no known format skipped, such as {traces.parent / 'README'}"
    assert f"warning: {skipped}" in result.stderr


def test_attributes_can_be_left_out_or_made_again(traces: Path) -> None:
    assert "attributes" not in run(str(traces), "--attributes", "none").stdout
    everything = yaml.safe_load(run(str(traces), "--attributes", "all").stdout)["services"]
    hit = everything["cache"]["operations"]["get"]["attributes"]["cache.hit"]
    assert 0.5 < hit["probability"] < 1
    rows = everything["database"]["operations"]["execute"]["attributes"]["db.rows"]["range"]
    assert 1 <= rows[0] < rows[1] <= 100


def test_json_says_what_every_value_rests_on(traces: Path) -> None:
    result = run(str(traces), "--json", "--min-traces", "200")
    report = json.loads(result.stdout)
    assert (report["traces"], report["spans"], report["services"]) == (TRACES, 4 * TRACES, 4)
    duration = report["statements"]["backend.query: duration"]
    assert (duration["samples"], duration["counted"]) == (TRACES, "spans")
    assert duration["value"].endswith("ms")
    assert "%" in duration["margin"]
    assert {"subject": "", "message": "100 traces instead of the 200 asked for"} in (
        report["findings"]
    )
    assert yaml.safe_load(report["topology"])["version"] == 1
    assert result.stderr == ""


def test_the_output_is_written_whole_or_not_at_all(traces: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "topology.yaml"
    output.parent.mkdir()
    output.write_text("what was there")
    bad = tmp_path / "bad.json"
    bad.write_bytes(traces.read_bytes() + b"{oops\n")
    failed = run(str(bad), "--output", str(output))
    assert failed.exit_code == 2
    assert output.read_text() == "what was there"
    good = run(str(traces), "-o", str(output))
    assert (good.exit_code, good.stdout) == (0, "")
    assert output.read_text() == run(str(traces)).stdout
    assert [path.name for path in output.parent.iterdir()] == ["topology.yaml"]


def test_a_recording_can_be_replayed(traces: Path, tmp_path: Path) -> None:
    recording = tmp_path / "recording.jsonl"
    assert run(str(traces), "--record", str(recording)).exit_code == 0
    assert len(recording.read_text().splitlines()) == TRACES
    again = tmp_path / "again.json"
    arguments = ["--verbatim", "--preserve-ids", "--endpoint", f"file://{again}"]
    replayed = CliRunner().invoke(main, ["replay", str(recording), *arguments])
    assert replayed.exit_code == 0, replayed.stderr
    assert run(str(again)).stdout == run(str(traces)).stdout


def test_a_recording_exists_even_if_nothing_can_be_inferred(tmp_path: Path) -> None:
    recording = tmp_path / "recording.jsonl"
    there, back = [span(1, 1, "a"), span(1, 2, "b", 1)], [span(3, 1, "b"), span(3, 2, "a", 1)]
    result = run("--record", str(recording), stdin=document(*there, *back))
    assert result.exit_code == 2
    assert len(recording.read_text().splitlines()) == 2


def test_an_output_that_cannot_be_written_is_named(traces: Path, tmp_path: Path) -> None:
    path = tmp_path / "none" / "t.yaml"
    result = run(str(traces), "-o", str(path))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {path}: No such file or directory"


def test_a_pipe_is_written_to_and_a_link_followed(traces: Path, tmp_path: Path) -> None:
    wanted = run(str(traces)).stdout
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reading:
        assert run(str(traces), "-o", f"/dev/fd/{write}").exit_code == 0
        # Where Locust was imported by other tests, os.close leaves it to the event loop.
        get_original("os", "close")(write)
        assert reading.read().decode() == wanted
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run(str(traces), "-o", str(tmp_path / "link")).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == wanted


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"{oops\n"), "traces.json:"),
        (lambda path: path.write_text("hello"), "none of the formats looked for: OTLP JSON"),
        (lambda path: path.write_text(""), "no spans in the input"),
        (lambda path: path.write_text('{"resourceMetrics":[]}\n'), "none of the formats"),
        (lambda path: path.write_text('{"resourceSpans":[]}\n'), "no spans in the input"),
        (lambda path: path.unlink(), "No such file or directory"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_message(
    traces: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(traces)
    result = run(str(traces))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    result = run(str(tmp_path))
    assert result.exit_code == 2
    assert "the folder has no files" in result.stderr


def span(
    trace: int, number: int, name: str, parent: int = 0, **fields: object
) -> dict[str, object]:
    start = 1_790_000_000_000_000_000 + trace * 1_000_000_000 + number * 1_000_000
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "startTimeUnixNano": start,
        "endTimeUnixNano": start + 500_000,
    }


def document(*spans: dict[str, object], service: str = "shop") -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    entry = {"resource": resource, "scopeSpans": [{"spans": list(spans)}]}
    return json.dumps({"resourceSpans": [entry]}).encode()


def test_calls_that_lead_back_are_refused_or_broken() -> None:
    there = [span(trace, 1, "a") for trace in (1, 2)]
    there += [span(trace, 2, "b", 1) for trace in (1, 2)]
    back = [span(3, 1, "b"), span(3, 2, "a", 1)]
    result = run(stdin=document(*there, *back))
    assert result.exit_code == 2
    assert "shop.a -(2)-> shop.b -(1)-> shop.a" in result.stderr
    broken = run("--break-cycles", stdin=document(*there, *back))
    assert broken.exit_code == 0
    operations = yaml.safe_load(broken.stdout)["services"]["shop"]["operations"]
    assert operations["a"]["calls"] == [{"target": "shop.b", "probability": 0.667}]
    assert "calls" not in operations["b"]
    assert "shop.b -> shop.a: left out, 1 call" in broken.stderr


@pytest.mark.parametrize(
    "name", ["a.b", "null", "12:30", "{id}", 'say "hi"', "née\u2028x", "a: b #c", " ", "", "\ud800"]
)
def test_any_name_can_be_imported(name: str) -> None:
    result = run("--attributes", "all", stdin=document(span(1, 1, name), service=f"s {name}"))
    assert result.exit_code == 0, result.stderr


def test_one_trace_is_enough_and_said_to_be_little() -> None:
    result = run(stdin=document(span(1, 1, "a"), span(1, 2, "b", 1)))
    assert result.exit_code == 0
    assert "one trace alone" in result.stderr
    assert yaml.safe_load(result.stdout)["traffic"]["rate"] == "1/s"


META = """parent_name,children_set,num_calls,num_returning_calls,concurrency_rate,profile
Web/Tier,"{'db', 'cache'}",3,2,0.5,ads
db,set(),1,1,0,ads
other,{'db'},5,5,0,fetch
cache,{'Web/Tier'},1.0,1,0,ads
"""


def test_metas_table_becomes_a_topology() -> None:
    result = run("--format", "meta-summary", stdin=META.encode())
    assert result.exit_code == 0, result.stderr
    services = yaml.safe_load(result.stdout)["services"]
    web = next(service for name, service in services.items() if name.startswith("meta-web-tier-"))
    assert web["resource_attributes"] == {"meta.ingress_id": "Web/Tier"}
    invoke = web["operations"]["invoke"]
    assert (invoke["duration"], invoke["error_rate"]) == ("7ms", "33.3%")
    assert [target.split("-")[1] for target in invoke["calls"]] == ["cache", "db"]
    assert "left out, 1 call: it closed" in result.stderr
    zipped = run("--format", "meta-summary", stdin=gzip.compress(META.encode()))
    assert zipped.stdout == result.stdout


def test_rows_of_metas_table_can_be_chosen() -> None:
    fetch = run("--format", "meta-summary", "--profile", "fetch", stdin=META.encode())
    assert len(yaml.safe_load(fetch.stdout)["services"]) == 2
    result = run("--format", "meta-summary", "--profile", "raas", stdin=META.encode())
    assert result.exit_code == 2
    assert "none of 4 rows is left of profile raas" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_calls", "calls", "no column num_calls"),
        ("{'db'}", "db", "<stdin>:4:"),
        (",5,5,", ",-5,5,", "<stdin>:4: num_calls '-5' is not a whole number of at least 0"),
        (",5,5,", ",x,5,", "<stdin>:4: num_calls 'x' is not a number"),
    ],
)
def test_a_bad_row_is_named(old: str, new: str, message: str) -> None:
    result = run("--format", "meta-summary", stdin=META.replace(old, new).encode())
    assert result.exit_code == 2
    assert message in result.stderr


def test_options_of_metas_table_need_its_format(traces: Path) -> None:
    result = run(str(traces), "--profile", "ads")
    assert result.exit_code == 2
    assert "--format meta-summary" in result.stderr
