from __future__ import annotations

import io
import json

import pytest

from motel_locust.commands.importing.recorder import Recorder
from motel_locust.engine.recorded import RecordedSpan


def span(number: int, start_ns: int, name: str = "work") -> RecordedSpan:
    return RecordedSpan(f"{number:016x}", "shop", name, start_ns, start_ns + 5)


@pytest.mark.parametrize("waiting_bytes", [0, 1000, 1 << 20])
def test_traces_stand_by_their_earliest_start_and_so_do_their_spans(waiting_bytes: int) -> None:
    out = io.BytesIO()
    with Recorder(waiting_bytes=waiting_bytes) as recorder:
        for number in range(600):
            # Each trace has three spans, which come far apart and backwards.
            trace = (number * 7919) % 200
            later = 2 - number // 200
            recorder.put(trace.to_bytes(16, "big"), span(later + 1, 1000 * trace + 10 * later))
        recorder.write(out)
    traces = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [int(trace["trace_id"], 16) for trace in traces] == list(range(200))
    assert all(
        [each["span_id"][-1] for each in trace["spans"]] == ["1", "2", "3"] for trace in traces
    )


def test_a_span_that_came_again_is_recorded_once() -> None:
    out = io.BytesIO()
    with Recorder() as recorder:
        for number in (1, 2, 1, 1):
            recorder.put(bytes(15) + b"1", span(number, 50))
        recorder.write(out)
    assert len(json.loads(out.getvalue())["spans"]) == 2


def test_any_text_can_be_recorded() -> None:
    out = io.BytesIO()
    with Recorder() as recorder:
        recorder.put(bytes(15) + b"1", span(1, 50, "a\ud800\n\u2028"))
        recorder.write(out)
    assert json.loads(out.getvalue())["spans"][0]["operation"] == "a?\n\u2028"


def test_nothing_makes_an_empty_recording() -> None:
    out = io.BytesIO()
    with Recorder() as recorder:
        recorder.write(out)
    assert out.getvalue() == b""
