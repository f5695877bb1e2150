"""A run that is recorded, and sent again in every way: the traces stay what they were."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.commands.invoked import invoke
from tests.integration.child import ROOT
from tests.integration.collected import read_lines
from tests.integration.locust_runs import Locusts
from tests.oracles.recordings import SYNTHETIC, sent_forms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from motel_locust.otlp.receiver_process import RunningReceiver
    from tests.integration.collected import CollectedSpan
    from tests.integration.collector import Collector

REPLAY = ROOT / "locustfiles" / "replay.py"

TOPOLOGY = """
version: 1
services:
  shop:
    resource_attributes: {deployment.environment.name: test}
    operations:
      checkout:
        duration: 20ms +/- 5ms
        error_rate: 5%
        attributes:
          user: {sequence: "user-{n}"}
          amount: {range: [1, 100]}
          vip: {probability: 0.2}
        events: [{name: validated, delay: 1ms, attributes: {score: {range: [0, 9]}}}]
        calls:
          - {target: stock.reserve, retries: 2}
          - {target: mail.send, producer: true}
  stock:
    operations:
      reserve: {duration: 5ms +/- 2ms, error_rate: 30%, links: [mail.send]}
  mail:
    operations:
      send: {duration: 50ms +/- 10ms, attributes: {region: {values: {eu: 3, us: 1}}}}
traffic: {rate: 40/s}
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """The recording of a run, and the forms of its traces."""
    tmp_path = tmp_path_factory.mktemp("recorded")
    locust = Locusts(tmp_path)
    topology, sent = tmp_path / "topology.yaml", tmp_path / "sent.jsonl"
    topology.write_text(TOPOLOGY)
    finished = locust.run(
        *("--topology", topology, "--host", f"file://{sent}", "--headless", "--users", "1"),
        *("--run-time", "2s", "--seed", "1"),
    )
    assert finished.code == 0, finished.stderr
    recording = tmp_path / "recording.jsonl"
    done = invoke("import", str(sent), "--record", str(recording))
    assert done.code == 0, done.err
    forms = sent_forms(read_lines(sent), but=SYNTHETIC)
    assert sum(forms.values()) == finished.simulation["traces"] > 40
    return recording, forms


def times(forms: Counter[str], n: int) -> Counter[str]:
    return Counter({form: n * count for form, count in forms.items()})


def starts_ns(spans: list[CollectedSpan]) -> list[int]:
    return sorted(each.span.start_time_unix_nano for each in spans if not each.span.parent_span_id)


def test_a_recorded_run_replays_exactly(
    recorded: tuple[Path, Counter[str]], tmp_path: Path
) -> None:
    recording, forms = recorded
    sent = tmp_path / "again.jsonl"
    done = invoke("replay", str(recording), "--endpoint", f"file://{sent}")
    assert done.code == 0, done.err
    spans = read_lines(sent)
    assert sent_forms(spans) == forms
    original = starts_ns(read_lines(recording.parent / "sent.jsonl"))
    assert len({new - old for new, old in zip(starts_ns(spans), original, strict=True)}) == 1
    # And what was replayed can be recorded and replayed in turn.
    again = tmp_path / "again-recorded.jsonl"
    assert invoke("import", str(sent), "--record", str(again)).code == 0
    done = invoke("replay", str(again), "--endpoint", f"file://{tmp_path / 'third.jsonl'}")
    assert done.code == 0, done.err
    assert sent_forms(read_lines(tmp_path / "third.jsonl")) == forms


def test_users_replay_a_recording_at_any_speed(
    recorded: tuple[Path, Counter[str]],
    locust: Locusts,
    collector: Callable[..., Collector],
) -> None:
    recording, forms = recorded
    sink = collector()
    finished = locust.run(
        *("--recording", recording, "--host", sink.endpoint, "--headless"),
        *("--users", "5", "--spawn-rate", "5", "--run-time", "3s", "--speed", "4", "--loop", "2"),
        locustfile=REPLAY,
    )
    assert finished.code == 0, finished.stderr
    sink.stop()
    spans = sink.spans()
    assert sent_forms(spans) == times(forms, 10)
    assert len({each.span.trace_id for each in spans}) == 10 * sum(forms.values())
    assert finished.ledger["accepted"] == finished.ledger["generated"] == len(spans)
    # A quarter of the two seconds, twice, and a little for each user.
    length_s = (starts_ns(spans)[-1] - starts_ns(spans)[0]) / 1e9
    assert 0.9 < length_s < 3


def test_workers_need_no_file(
    recorded: tuple[Path, Counter[str]], locust: Locusts, receiver: RunningReceiver
) -> None:
    recording, forms = recorded
    topology = recording.parent / "replay.yaml"
    topology.write_text(f"version: 1\nmode: replay\nrecording: {recording.name}\n")
    cluster = locust.cluster(
        *("--topology", topology, "--host", receiver.endpoint, "--headless"),
        *("--users", "4", "--spawn-rate", "4", "--run-time", "4s"),
    )
    finished = cluster.wait()
    assert finished.code == 0, finished.stderr
    assert finished.simulation["traces"] == 4 * sum(forms.values())
    assert finished.ledger["accepted"] == finished.ledger["generated"]
    report = receiver.stop()
    assert report["traces"] == 4 * sum(forms.values())


def test_what_cannot_be_replayed_is_refused_before_anything_starts(
    locust: Locusts, tmp_path: Path
) -> None:
    recording = tmp_path / "recording.jsonl"
    recording.write_text('{"trace_id": "a", "spans": [{}]}\n')
    finished = locust.run(
        *("--recording", recording, "--host", "discard://", "--headless", "--realtime"),
        *("--rate", "5/s"),
        locustfile=REPLAY,
    )
    assert finished.code == 2
    assert f"locust: error: {recording}:1:1: spans[0].start is missing" in finished.stderr
