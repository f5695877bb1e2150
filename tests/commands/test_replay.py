from __future__ import annotations

import gzip
import json
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
import pytest
from click.testing import CliRunner
from gevent import subprocess

from motel_locust.commands import main, replaying
from motel_locust.commands.replaying import score_of
from motel_locust.engine.recorded import RecordedSpan
from motel_locust.otlp.survey import Survey
from tests.commands.invoked import START, Done, environment, invoke
from tests.integration.collected import CollectedSpan, read_lines
from tests.oracles import recordings
from tests.oracles.misbehaving import Misbehaving, accept, partial, status
from tests.recorded import START_NS, checkout, text_of

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
NINE_MS = 9_000_001  # how long a checkout takes
RECORDING = [checkout(nth, start_ns=START_NS + nth * S) for nth in range(5)]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    path.write_text(text_of(RECORDING))
    return path


def run(*arguments: str, stdin: bytes | None = None) -> Done:
    """Run the command in this process: a process of its own takes a second."""
    result = CliRunner().invoke(main, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def replayed(tmp_path: Path, *arguments: Any, code: int = 0, **options: Any) -> list[CollectedSpan]:
    """The spans that a replay to a file sends."""
    path = tmp_path / f"sent-{random.getrandbits(32)}.jsonl"
    done = run("replay", *map(str, arguments), "--endpoint", f"file://{path}", **options)
    assert (done.code, done.out) == (code, ""), done
    return read_lines(path) if path.exists() else []


def starts_ns(spans: list[CollectedSpan]) -> list[int]:
    return sorted(
        each.span.start_time_unix_nano
        for each in spans
        if each.span.name == "shop.do" and not each.span.parent_span_id
    )


def test_what_was_recorded_is_sent_again_and_ends_now(tmp_path: Path, recording: Path) -> None:
    before_ns = time.time_ns()
    spans = replayed(tmp_path, recording)
    after_ns = time.time_ns()
    assert recordings.sent_forms(spans) == recordings.forms(RECORDING)
    recorded_ids = {trace.trace_id for trace in RECORDING}
    assert recorded_ids.isdisjoint(each.span.trace_id.hex() for each in spans)
    assert before_ns <= max(each.span.end_time_unix_nano for each in spans) <= after_ns
    assert np.diff(starts_ns(spans)).tolist() == [S] * 4


def test_nothing_is_changed_if_so_asked(tmp_path: Path, recording: Path) -> None:
    spans = replayed(tmp_path, recording, "--verbatim", "--preserve-ids", "--time-offset", "1h")
    sent = {
        (
            each.span.trace_id.hex(),
            each.span.span_id.hex(),
            each.span.start_time_unix_nano,
            each.span.end_time_unix_nano,
        )
        for each in spans
    }
    assert sent == {
        (trace.trace_id, span.span_id, span.start_ns, span.end_ns)
        for trace in RECORDING
        for span in trace.spans
    }
    assert recordings.sent_forms(spans) == recordings.forms(RECORDING)


def test_the_recording_can_be_moved(tmp_path: Path, recording: Path) -> None:
    before_ns = time.time_ns()
    spans = replayed(tmp_path, recording, "--align", "start", "--time-offset=-1h")
    first_ns = min(starts_ns(spans)) + 3600 * S
    assert before_ns <= first_ns <= time.time_ns()
    assert np.diff(starts_ns(spans)).tolist() == [S] * 4


def test_it_can_be_sent_again_and_again(tmp_path: Path, recording: Path) -> None:
    spans = replayed(tmp_path, recording, "--loop", "3")
    assert recordings.sent_forms(spans) == Counter(
        {form: 3 * n for form, n in recordings.forms(RECORDING).items()}
    )
    assert len({each.span.trace_id for each in spans}) == 15


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_pace_divides_the_time_between_traces(
    tmp_path: Path, shuffled: bool, packed: bool
) -> None:
    traces = [*RECORDING]
    if shuffled:
        random.Random(4).shuffle(traces)
        assert traces != RECORDING
    path = tmp_path / "traces.jsonl"
    content = text_of(traces).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    before_ns = time.time_ns()
    began_s = time.monotonic()
    spans = replayed(tmp_path, path, "--speed", "10", "--loop", "2")
    assert time.monotonic() - began_s >= 0.8
    assert sum(recordings.sent_forms(spans).values()) == 10
    assert set(recordings.sent_forms(spans)) == set(recordings.forms(RECORDING))
    starts = starts_ns(spans)
    assert before_ns <= starts[0]
    again_ns = (4 * S + NINE_MS) // 10 - 4 * S // 10
    assert np.diff(starts).tolist() == [S // 10] * 4 + [again_ns] + [S // 10] * 4


def test_the_end_can_meet_now_with_a_pace_too() -> None:
    found = Survey()
    for trace in RECORDING:
        found.add(trace)
    for speed in (None, 1.0, 4.0):
        score = score_of(found, anchor_ns=10**18, at_end=True, speed=speed, loops=1)
        first, last = score.stamps_ns(np.array([START_NS, START_NS + 4 * S]), 0).tolist()
        assert last + NINE_MS == 10**18
        assert last - first == 4 * S // int(speed or 1)


@pytest.mark.parametrize(("rate", "traces"), [("3/s", 15), ("30/m", 2), ("1.5/s", 7), ("1/s", 5)])
def test_a_rate_thins_or_multiplies_the_traces(
    tmp_path: Path, recording: Path, rate: str, traces: int
) -> None:
    spans = replayed(tmp_path, recording, "--rate", rate)  # of one a second
    assert len({each.span.trace_id for each in spans}) == traces
    assert len({(each.span.trace_id, each.span.span_id) for each in spans}) == 4 * traces
    sent, all_forms = recordings.sent_forms(spans), recordings.forms(RECORDING)
    assert sum(sent.values()) == traces
    assert sent.keys() <= all_forms.keys()
    if traces == 15:
        assert set(np.diff(starts_ns(spans)).tolist()) <= {333_333_333, 333_333_334}


def test_a_rate_can_be_had_at_any_pace(tmp_path: Path, recording: Path) -> None:
    spans = replayed(tmp_path, recording, "--rate", "20/s", "--speed", "10")
    assert np.diff(starts_ns(spans)).tolist() == [S // 20] * 9


def test_a_rate_needs_one_to_change(tmp_path: Path, recording: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(text_of([checkout()]))
    done = run("replay", str(path), "--endpoint", "discard://", "--rate", "5/s")
    assert done.code == 2
    assert f"--rate: {path}: its traces start at one instant" in done.err
    done = run("replay", str(recording), "--stdout", "--rate", "5/s", "--preserve-ids")
    assert done.code == 2
    assert "--preserve-ids cannot multiply traces" in done.err
    assert run("replay", str(recording), "--endpoint", "discard://", "--rate", "1/m").code == 0


def test_standard_input_gzip_and_topologies_name_recordings_too(
    tmp_path: Path, recording: Path
) -> None:
    text = recording.read_text()
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(text.encode()))
    (tmp_path / "sub").mkdir()
    topology = tmp_path / "sub" / "t.yaml"
    topology.write_text("version: 1\nmode: replay\nrecording: ../traces.jsonl\n")
    named_otherwise = tmp_path / "topology"
    named_otherwise.write_text('# a replay\n{"version": 1, mode: replay, recording: packed}')
    expected = recordings.forms(RECORDING)
    assert recordings.sent_forms(replayed(tmp_path, "-", stdin=text.encode())) == expected
    for source in (packed, topology, named_otherwise):
        assert recordings.sent_forms(replayed(tmp_path, source)) == expected


def test_telemetry_can_go_to_standard_output(recording: Path, tmp_path: Path) -> None:
    done = invoke("replay", str(recording), "--stdout", "--json")
    assert done.code == 0
    path = tmp_path / "sent.jsonl"
    path.write_text(done.out)
    assert recordings.sent_forms(read_lines(path)) == recordings.forms(RECORDING)
    assert json.loads(done.err)["ledger"]["traces"]["accepted"] == 20


def test_every_span_is_accounted_for(recording: Path) -> None:
    done = run("replay", str(recording), "--endpoint", "discard://", "--json", "--loop", "2")
    account = json.loads(done.out)
    assert account["ledger"]["traces"] == {
        "generated": 40,
        "accepted": 40,
        **dict.fromkeys(("rejected", "failed", "dropped", "pending", "ambiguous"), 0),
    }
    simulation = account["simulation"]
    assert [simulation[name] for name in ("traces", "spans", "errors", "failed_traces")] == [
        *(10, 40, 10, 0)
    ]
    assert (simulation["error_rate"], simulation["timeouts"]) == (0.25, 0)
    assert account["recording"]["spans"] == 20
    text = run("replay", str(recording), "--endpoint", "discard://").err
    assert "5 traces with 20 spans, 5 of them errors" in text


def test_losses_are_told_and_give_status_1(recording: Path) -> None:
    with Misbehaving(partial(3)) as endpoint:
        done = run("replay", str(recording), "--endpoint", endpoint.url, "--json")
    account = json.loads(done.out)
    assert done.code == 1
    assert account["ledger"]["traces"]["rejected"] == 3
    with Misbehaving(status(503), accept) as endpoint:
        assert run("replay", str(recording), "--endpoint", endpoint.url).code == 0
    done = run("replay", str(recording), "--endpoint", "127.0.0.1:1")
    assert done.code == 1
    assert "--endpoint: http://127.0.0.1:1/v1/traces cannot be reached" in done.err


def test_a_large_recording_goes_in_many_bodies(tmp_path: Path) -> None:
    text = "x" * 500
    traces = [
        replace(
            trace,
            spans=tuple(replace(span, attributes={"text": text}) for span in trace.spans),
        )
        for trace in (checkout(nth, start_ns=START_NS + nth) for nth in range(3000))
    ]
    path = tmp_path / "traces.jsonl"
    path.write_text(text_of(traces))
    with Misbehaving(accept) as endpoint:
        done = run("replay", str(path), "--endpoint", endpoint.url, "--json")
        assert done.code == 0, done
        assert endpoint.requests >= 7
        assert endpoint.spans == 12_000 > replaying.SPANS_OF_A_TAPE
    assert json.loads(done.out)["ledger"]["traces"]["accepted"] == 12_000


@pytest.mark.parametrize("position", [0, 2, 5])
def test_a_wrong_recording_is_not_sent_in_part(tmp_path: Path, position: int) -> None:
    lines = text_of(RECORDING).splitlines()
    lines.insert(position, '{"trace_id": "x", "spans": [{"start": "now"}]}')
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(lines))
    sent = tmp_path / "sent.jsonl"
    done = run("replay", str(path), "--endpoint", f"file://{sent}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{path}:{position + 1}:1: spans[0].start")
    assert not sent.exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "holds no span"),
        ("services: {}\n", "traffic is missing"),
        ("no recording", "is not JSON: expecting value"),
        ("version: 1\nmode: replay\n", "a replay needs the path of one"),
        (
            "version: 1\nservices: {a: {operations: {b: {duration: 1ms}}}}\ntraffic: {rate: 1/s}",
            "is a topology that generates, no recording",
        ),
    ],
)
def test_what_is_no_recording_is_told(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "traces"
    path.write_text(content)
    done = run("replay", str(path), "--stdout")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(str(path))
    assert problem in done.err


def test_ids_that_cannot_be_preserved_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(text_of([*RECORDING, replace(checkout(), trace_id="TRACE")]))
    done = run("replay", str(path), "--stdout", "--preserve-ids")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        f'{path}:6:1: trace_id "TRACE" is not 32 lower-case hexadecimal digits, not all 0'
    )
    assert run("replay", str(path), "--endpoint", "discard://").code == 0


def test_what_was_put_right_is_told(tmp_path: Path) -> None:
    trace = checkout()
    early = replace(trace.spans[1], start_ns=START_NS - 5)
    stranger = RecordedSpan("f" * 16, "web", "get", START_NS, START_NS, "e" * 16)
    path = tmp_path / "traces.jsonl"
    trace = replace(trace, spans=(trace.spans[0], early, *trace.spans[2:], stranger))
    path.write_text(text_of([trace]))
    done = run("replay", str(path), "--endpoint", "discard://")
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if "warning" in line]
    assert warnings == [
        f"{path}: warning: 1 span names a parent that is not in its trace: sent as a root"
        " [missing-parent]",
        f"{path}: warning: 1 span starts before its parent: moved to the parent's start"
        " [early-child]",
    ]
    assert recordings.sent_forms(replayed(tmp_path, path)) == recordings.forms([trace])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--realtime"], "No such option '--realtime'"),
        (["--signals", "traces"], "No such option '--signals'"),
        (["--speed", "0"], '"0" is not max or a number from 0.001 to 1000000, such as 1'),
        (["--loop", "0"], "0 is not in the range x>=1"),
        (["--loop", "2", "--preserve-ids"], "sends the same ids in every --loop"),
        (["--time-offset", "soon"], '"soon"'),
        (["--align", "middle"], "'middle' is not one of 'start', 'end'"),
    ],
)
def test_wrong_usage_is_told(recording: Path, arguments: list[str], problem: str) -> None:
    done = run("replay", str(recording), *arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err


def test_a_replay_can_be_stopped(recording: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent.jsonl"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", START, "replay", str(recording), "--json"),
            *("--speed", "0.01", "--endpoint", f"file://{sent}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    deadline_s = time.monotonic() + 30
    while not (sent.exists() and sent.stat().st_size) and time.monotonic() < deadline_s:
        assert process.poll() is None
        gevent.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"stopped: 4 traces were not sent" in err
    assert json.loads(out)["ledger"]["traces"]["accepted"] == 4
