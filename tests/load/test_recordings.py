from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from motel_locust import ReplayUser, TopologyUser
from motel_locust.engine.replay import Replay
from motel_locust.load import recordings
from motel_locust.load.feed import Feed
from motel_locust.load.feeds import encode_spans
from motel_locust.load.outlet import Outlet
from motel_locust.load.preparation import PreparationError, Surroundings, prepare
from motel_locust.load.recordings import Recording, read_load, read_recording
from motel_locust.load.run import Part
from motel_locust.load.run_options import plain_values
from motel_locust.otlp.bodies import Heads
from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.sources import Source
from tests.integration.collected import spans_of
from tests.load.bench import EPOCH_NS
from tests.load.examples import RUN
from tests.oracles.recordings import forms, sent_forms
from tests.recorded import START_NS, checkout, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from motel_locust.load.preparation import Preparation
    from tests.load.bench import Bench

RECORDING = [checkout(nth, start_ns=START_NS + nth * 50_000_000) for nth in range(8)]
TOPOLOGY = "version: 1\nservices: {a: {operations: {b: {duration: 5ms}}}}\ntraffic: {rate: 10/s}\n"


class Plain(TopologyUser):
    pass


class Again(ReplayUser):
    pass


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "traces.jsonl"
    path.write_text(text_of(RECORDING))
    return str(path)


@pytest.fixture
def topology(tmp_path: Path) -> str:
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY)
    return str(path)


def prepared(*classes: type[TopologyUser], partly: bool = False, **options: Any) -> Preparation:
    hosts = {each.__name__: "discard://" for each in classes}
    return prepare(options, Surroundings(classes, hosts, None, {}), partly=partly)


def told(*classes: type[TopologyUser], **options: Any) -> str:
    with pytest.raises(PreparationError) as error:
        prepared(*classes, **options)
    return str(error.value)


def test_a_recording_is_prepared_like_a_topology(recording: str, topology: str) -> None:
    preparation = prepared(Plain, Again, topology=topology, recording=recording)
    plain, again = preparation.parts
    assert (plain.replays, again.replays) == (False, True)
    assert isinstance(preparation.readings[again.sha256], Recording)
    assert again.source == recording
    assert not list(preparation.warnings())


def test_a_class_may_name_its_recording(recording: str) -> None:
    own = type("Own", (ReplayUser,), {"recording": recording})
    [part] = prepared(own).parts
    assert part.replays


def test_a_topology_may_name_the_recording(recording: str, tmp_path: Path) -> None:
    path = tmp_path / "replay.yaml"
    path.write_text("version: 1\nmode: replay\nrecording: traces.jsonl\n")
    for preparation in (
        prepared(Plain, topology=str(path)),
        prepared(Again, recording=str(path)),
    ):
        [part] = preparation.parts
        assert part.replays
        assert part.source == str(path)
        source = preparation.readings[part.sha256].source
        assert gzip.decompress(source.content).decode() == text_of(RECORDING)


def test_what_is_missing_or_wrong_is_told(recording: str, topology: str, tmp_path: Path) -> None:
    assert told(Again).startswith("no recording: give --recording FILE, or set LOCUST_RECORDING")
    assert prepared(Again, partly=True).parts[0].sha256 == ""
    assert "is a topology that generates, no recording" in told(Again, recording=topology)
    missing = tmp_path / "none.jsonl"
    assert told(Again, recording=str(missing)).startswith(f"{missing}: the recording cannot be")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(text_of(RECORDING) + "?\n")
    assert told(Again, recording=str(wrong)).startswith(f"{wrong}:9:1: is not JSON")


def test_what_was_put_right_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(
        '{"spans": [{"span_id": "a", "parent_id": "b", "start": "2026-03-01T10:00:00Z",'
        ' "end": "2026-03-01T10:00:00Z"}]}'
    )
    [warning] = prepared(Again, recording=str(path)).warnings()
    assert warning.startswith(f"{path}: warning: 1 span names a parent that is not in its trace")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"realtime": True}, "--realtime: a recording is replayed trace by trace; leave it out"),
        ({"rate_per": "cluster"}, "--rate-per: a recording has no rate to share; leave it out"),
        ({"rate": "5/s"}, "--rate: changes nothing in a replay; --speed and users do; leave"),
        ({"arrivals": "poisson"}, "--arrivals: changes nothing in a replay; leave it out"),
        ({"signals": "traces,logs"}, "--signals: a recording holds traces only; leave it out"),
        ({"label_scenarios": True}, "--label-scenarios: changes nothing in a replay; leave"),
        ({"max_spans_per_trace": 7}, "--max-spans-per-trace: changes nothing in a replay; leave"),
        ({"speed": 0}, "--speed: 0 is out of range; write one from 0.001 to 1000000"),
        ({"loop": -1}, "--loop: -1 is out of range"),
    ],
)
def test_options_that_do_not_fit_a_replay_are_refused(
    recording: str, options: dict[str, Any], problem: str
) -> None:
    assert told(Again, recording=recording, **options).startswith(problem)


@pytest.mark.parametrize("option", ["speed", "loop", "preserve_ids", "verbatim", "recording"])
def test_options_of_replays_need_one(topology: str, recording: str, option: str) -> None:
    given = {option: {"recording": recording, "speed": 2, "loop": 2}.get(option, True)}
    flag = f"--{option.replace('_', '-')}"
    assert told(Plain, topology=topology, **given).startswith(f"{flag}: nothing is replayed; use")
    assert prepared(Plain, Again, topology=topology, **{"recording": recording, **given}).parts


def test_a_rate_is_for_the_topologies_beside_a_recording(recording: str, topology: str) -> None:
    preparation = prepared(Plain, Again, topology=topology, recording=recording, rate="5/s")
    assert len(preparation.parts) == 2


def test_what_is_too_large_is_refused_with_what_to_do(
    recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, said in (("MOST_PACKED_BYTES", "0 MiB when compressed"), ("MOST_SPANS", "5 spans")):
        with monkeypatch.context() as patch:
            patch.setattr(recordings, limit, 5)
            recordings._judged.cache_clear()
            with pytest.raises(TopologyError) as error:
                read_recording(recording, preserve_ids=False)
        assert said in str(error.value)
        assert "motel-locust replay sends recordings of any size" in str(error.value)


def test_ids_to_be_preserved_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(text_of(RECORDING).replace(RECORDING[2].trace_id, "TRACE"))
    assert prepared(Again, recording=str(path)).parts
    message = told(Again, recording=str(path), preserve_ids=True)
    assert message.startswith(f'{path}:3:1: trace_id "TRACE" is not 32 lower-case')


def test_a_worker_reads_what_it_was_sent(recording: str, topology: str) -> None:
    sent = read_recording(recording, preserve_ids=False).source
    run = {**RUN.message(), "options": plain_values({})}
    part = Part("Again", recording, sent.sha256, "", "", "", replays=True)
    taped = read_load(part, Source("elsewhere", sent.content), type(RUN).from_message(run))
    assert taped.tape.start_ns.size == len(RECORDING)
    small = Source("small", TOPOLOGY.encode())
    part = Part("Plain", topology, small.sha256, "", "", "")
    assert read_load(part, small, RUN).traffic is not None


def test_users_of_the_pump_replay_what_was_recorded(
    bench: Callable[..., Bench], recording: str
) -> None:
    taped = read_recording(recording, preserve_ids=False).taped
    made = bench(flush_interval_s=0.0)
    # No wait until here since the pump was started: it has not asked for its feed yet.
    (ours,) = made.feed.outlets
    outlet = Outlet("traces", Heads(taped.resources, {}), ours.exporter, flush_interval_s=0.0)
    made.feed = Feed(
        Replay(taped.tape, seed=7, epoch_ns=EPOCH_NS),
        {outlet: encode_spans()},
        epoch_ns=EPOCH_NS,
        flush_interval_s=0.0,
    )
    made.join("ann", "bob")
    made.run_until(0.2)
    made.pump.leave("bob")
    made.run_until(0.4)
    made.join("cid")
    made.run_until(2.0)
    made.pump.drain()
    bodies = [TracesData.FromString(content) for _, content in made.endpoint.bodies]
    spans = [span for body in bodies for span in spans_of(body)]
    found = sent_forms(spans)
    whole = forms(RECORDING)
    assert not found - whole - whole - whole
    assert all(count >= 2 * whole[form] for form, count in found.items())
    assert found.keys() == whole.keys()
    figures = made.pump.figures()
    assert figures.counts.spans == len(spans) == made.ledger["traces"].accepted
    assert figures.operations["db.db.do"].errors == figures.counts.errors
