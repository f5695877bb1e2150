from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from motel_locust.otlp import recording_file
from motel_locust.otlp.recording_file import RecordingReader, open_recording, unpacked
from motel_locust.otlp.survey import survey
from motel_locust.topology.diagnostics import TopologyError
from tests.recorded import checkout, text_of

LINES = text_of([checkout(0), checkout(1), checkout(2)])
TRACE_IDS = [checkout(nth).trace_id for nth in range(3)]


def read(content: bytes | str, name: str = "r.jsonl") -> tuple[list[str], list[str]]:
    """The trace ids of a recording, with their lines, and what is wrong with it."""
    content = content.encode() if isinstance(content, str) else content
    reader = RecordingReader(unpacked(io.BytesIO(content)), name)
    found = [f"{trace.line}:{trace.trace_id[-1]}" for trace in reader]
    return found, [str(problem).splitlines()[0] for problem in reader.problems]


def test_a_line_is_a_trace() -> None:
    assert read(LINES) == (["1:1", "2:2", "3:3"], [])
    assert read("\ufeff" + LINES.replace("\n", "\r\n")) == (["1:1", "2:2", "3:3"], [])
    assert read("") == ([], [])


def test_values_may_lie_anyhow() -> None:
    pretty = "\n\n".join(json.dumps(json.loads(line), indent=1) for line in LINES.splitlines())
    found, problems = read(pretty)
    assert ([each[-1] for each in found], problems) == (["1", "2", "3"], [])
    assert read(LINES.replace("\n", " ")) == (["1:1", "1:2", "1:3"], [])
    assert read(LINES + "\n\n  \n" + LINES.strip()) == (
        ["1:1", "2:2", "3:3", "7:1", "8:2", "9:3"],
        [],
    )


def test_a_trace_without_spans_is_skipped() -> None:
    assert read('{"trace_id": "a"}\n' + LINES)[0] == ["2:1", "3:2", "4:3"]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    assert read(gzip.compress(LINES.encode())) == read(LINES)
    _, [problem] = read(gzip.compress(LINES.encode())[:-20])
    assert problem.startswith("r.jsonl: the recording cannot be read: ")
    _, [problem] = read(b"\x1f\x8b" + b"no gzip at all")
    assert problem.startswith("r.jsonl: the recording cannot be read: ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"a": }\n', "r.jsonl:1:7: is not JSON: expecting value"),
        (LINES + "what\n", "r.jsonl:4:1: is not JSON: expecting value"),
        (LINES + LINES[:100], "r.jsonl:4:97: is not JSON: unterminated string; a recording is"),
        ("{\n'a'", "r.jsonl:2:1: is not JSON: expecting property name"),
        ("[]", 'r.jsonl:1:1: a trace "[]" is not a JSON object'),
        (b'{"trace_id": "\xff"}', "r.jsonl:1:1: is not UTF-8: byte 0xff"),
        (r'{"trace_id": "\ud800"}', "r.jsonl:1:1: holds half a character"),
        ('{"a":' * 100_000, "r.jsonl:1:1: holds a number that is too long, or is nested"),
        ("[1" + "0" * 5000 + "]", "r.jsonl:1:1: holds a number that is too long"),
    ],
)
def test_what_is_no_recording_is_told_with_its_place(content: bytes | str, problem: str) -> None:
    _, [found] = read(content)
    assert found.startswith(problem)


def test_all_that_is_wrong_is_told_at_once_up_to_a_limit() -> None:
    wrong = LINES.replace("2026", "26")
    found, problems = read(wrong + LINES + wrong)
    assert found == ["4:1", "5:2", "6:3"]
    assert [problem.split(":")[1] for problem in problems] == ["1", "2", "3", "7", "8", "9"]
    assert len(read("[]\n" * 1000)[1]) == recording_file.MOST_PROBLEMS


def test_what_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_file, "MOST_TRACE_BYTES", 1000)
    for endless in ("[" * 5000, "[\n" * 5000, "x" * 5000):
        _, problems = read(endless)
        assert "a trace of more than" in problems[0] or "is not JSON" in problems[0]


def test_a_trace_can_be_found_again_where_it_began() -> None:
    content = (LINES.replace("\n", "  ", 1) + LINES).encode()
    reader = RecordingReader(io.BytesIO(content), "r.jsonl")
    for trace in reader:
        again = io.BytesIO(content)
        again.seek(reader.offset)
        assert next(iter(RecordingReader(again, "r.jsonl", line=trace.line))) == trace


def test_files_and_standard_input_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(LINES)
    with open_recording(str(path)) as file:
        assert file.read().decode() == LINES
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINES.encode())))
    with open_recording("-") as file:
        assert file.read().decode() == LINES
    for wrong in (tmp_path / "none.jsonl", tmp_path, "a\0b"):
        with pytest.raises(TopologyError) as problem:
            open_recording(str(wrong))
        assert str(problem.value).startswith(f"{wrong}: the recording cannot be read: ")


def test_a_survey_tells_what_there_is() -> None:
    found = survey(
        RecordingReader(io.BytesIO(LINES.encode()), "r.jsonl"), "r.jsonl", visit=lambda _: None
    )
    assert found.as_dict() == {
        "traces": 3,
        "spans": 12,
        "errors": 3,
        "failed_traces": 0,
        "services": 3,
        "seconds": 0.009000001,
        "orphans": 0,
        "circles": 0,
        "moved": 0,
    }
    assert found.ordered
    assert found.roots == {("shop", "shop.do"): 3}
    assert not list(found.warnings("r.jsonl"))


@pytest.mark.parametrize("content", ["", '{"trace_id": "a", "spans": []}'])
def test_a_recording_without_spans_is_none(content: str) -> None:
    reader = RecordingReader(io.BytesIO(content.encode()), "r.jsonl")
    with pytest.raises(TopologyError, match=r"r\.jsonl: holds no span"):
        survey(reader, "r.jsonl", visit=lambda _: None)
