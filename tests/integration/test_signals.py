"""Whole runs with all signals: what arrived, what was counted, what the spans tell of the logs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from motel_locust.engine import draws
from motel_locust.topology.reading import read_topology
from tests.oracles import logs as oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from motel_locust.otlp.receiver_process import RunningReceiver
    from tests.integration.collected import CollectedRecord, CollectedSpan
    from tests.integration.collector import Collector
    from tests.integration.locust_runs import Finished, Locusts

TOPOLOGY: dict[str, Any] = {
    "version": 1,
    "services": {
        "shop": {
            "attributes": {"region": "eu"},
            "metrics": [{"name": "shop.spans", "type": "counter"}],
            "logs": [{"severity": "debug", "body": "{http.method} in {region}", "at": "end"}],
            "operations": {
                "buy": {
                    "duration": "40ms +/- 20ms",
                    "calls": [{"target": "db.get", "count": 2, "retries": 1}],
                    "attributes": {"http.method": {"values": {"GET": 3, "POST": 1}}},
                    "logs": [
                        {
                            "severity": "INFO",
                            "body": "{items} items after {nothing}",
                            "probability": 0.5,
                            "delay": "5ms",
                            "attributes": {"items": {"range": [-3, 1000]}},
                        }
                    ],
                }
            },
        },
        "db": {"operations": {"get": {"duration": "50ms +/- 20ms", "error_rate": "20%"}}},
    },
    "traffic": {"rate": "40/s"},
    "scenarios": [
        {
            "at": "1s",
            "duration": "1s",
            "override": {
                "db": {"logs": {"add": [{"severity": "warn", "body": "{service.name}!"}]}}
            },
        }
    ],
}
SLOW_NS = 60_000_000


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "logging.yaml"
    path.write_text(json.dumps(TOPOLOGY))  # JSON is YAML
    return path


def options(topology: Path, endpoint: str) -> tuple[str | Path, ...]:
    return (
        *("--topology", topology, "--host", endpoint, "--headless"),
        *("--users", "3", "--spawn-rate", "3", "--run-time", "3s"),
        *("--signals", "traces,metrics,logs", "--metrics-interval", "1s"),
        *("--slow-threshold", "60ms"),
    )


def ledgers(finished: Finished) -> dict[str, dict[str, int]]:
    """The run's ledgers by signal; nothing was lost or is in doubt."""
    assert finished.code == 0, finished.stderr
    assert finished.summary is not None
    found: dict[str, dict[str, int]] = finished.summary["ledger"]
    for counts in found.values():
        assert counts["generated"] == counts["accepted"]
        assert counts["ambiguous"] == 0
    return found


def expected(
    finished: Finished, topology: Path, spans: Iterable[CollectedSpan]
) -> Counter[tuple[str, bytes]]:
    """The records that the *spans* of a run have."""
    spans = list(spans)
    model = read_topology(str(topology)).topology
    name = f"Topology {finished.simulation['topology_sha256']}"
    key = draws.key(finished.simulation["seed"], name, "logs")
    (scenario,) = model.scenarios
    arrivals = {
        each.span.trace_id: each.span.start_time_unix_nano - finished.epoch_ns
        for each in spans
        if not each.span.parent_span_id
    }
    found: Counter[tuple[str, bytes]] = Counter()
    for each in spans:
        at_ns = arrivals[each.span.trace_id]
        active = (0,) if scenario.at <= at_ns < scenario.at + scenario.duration else ()
        scene = oracle.Scene(model, active, key, SLOW_NS)
        for record in oracle.records(scene, each.service, each.span, None):
            found[each.service, normal_form(record)] += 1
    return found


def normal_form(record: Any) -> bytes:
    keyed = sorted(record.attributes, key=lambda each: each.key)
    del record.attributes[:]
    record.attributes.extend(keyed)
    form: bytes = record.SerializeToString(deterministic=True)
    return form


def assert_logged(
    finished: Finished,
    topology: Path,
    spans: list[CollectedSpan],
    records: list[CollectedRecord],
) -> None:
    """What was counted arrived, and the records are exactly those of the spans."""
    counted = ledgers(finished)
    assert counted["traces"]["accepted"] == len(spans)
    assert counted["logs"]["accepted"] == len(records) > 300
    known = {(each.span.trace_id, each.span.span_id) for each in spans}
    assert {(each.record.trace_id, each.record.span_id) for each in records} <= known
    arrived = Counter((each.service, normal_form(each.record)) for each in records)
    assert arrived == expected(finished, topology, spans)
    texts = {each.record.body.string_value.split(" ")[0] for each in records}
    assert {"GET", "POST", "error", "slow", "db!"} < texts
    resources = {each.resource.SerializeToString() for each in spans}
    assert {each.resource.SerializeToString() for each in records} <= resources


@pytest.mark.parametrize("more", [(), ("--realtime",), ("--otlp-protocol", "grpc")])
def test_of_one_process(
    locust: Locusts, collector: Callable[..., Collector], topology: Path, more: tuple[str, ...]
) -> None:
    sink = collector()
    endpoint = sink.grpc_endpoint if "grpc" in more else sink.endpoint
    finished = locust.run(*options(topology, endpoint), *more)
    sink.stop()
    assert_logged(finished, topology, sink.spans(), sink.records())
    points = sum(len(each.points) for each in sink.metrics())
    assert ledgers(finished)["metrics"]["accepted"] == points


def test_of_a_cluster(locust: Locusts, collector: Callable[..., Collector], topology: Path) -> None:
    sink = collector()
    cluster = locust.cluster(*options(topology, sink.endpoint))
    finished = cluster.wait()
    sink.stop()
    assert_logged(finished, topology, sink.spans(), sink.records())
    counted = ledgers(finished)
    assert finished.summary is not None
    workers = finished.summary["workers"]
    assert sum(row["log_records"] for row in workers) == counted["logs"]["accepted"]
    assert sum(row["data_points"] for row in workers) == counted["metrics"]["accepted"]


def test_the_receiver_and_all_tables_agree(
    locust: Locusts, receiver: RunningReceiver, topology: Path, tmp_path: Path
) -> None:
    finished = locust.run(
        *options(topology, receiver.endpoint), "--csv", tmp_path / "run", "--html", "run.html"
    )
    counted, report = ledgers(finished), receiver.report()
    items = {signal: counts["accepted"] for signal, counts in counted.items()}
    assert items == {
        "traces": report["spans"],
        "metrics": report["points"],
        "logs": report["records"],
    }
    assert report["faults"] == {}
    with Path(tmp_path / "run_stats.csv").open(newline="") as lines:
        rows = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(lines)}
    assert rows["spans"] == items["traces"]
    assert rows["data points"] == items["metrics"]
    assert rows["log records"] == items["logs"]
    assert finished.console_total == rows["Aggregated"] == sum(items.values())
    for name in ("spans", "data points", "log records"):
        assert f"\n{name}" in finished.stderr


def test_what_is_not_picked_is_simulated_and_not_sent(
    locust: Locusts, topology: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    finished = locust.run(*options(topology, f"file://{path}"), "--signals", "logs")
    counted = ledgers(finished)
    assert list(counted) == ["logs"]
    assert finished.simulation["spans"] > 300
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {key for line in lines for key in line} == {"resourceLogs"}
    records = [
        record
        for line in lines
        for resource in line["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert len(records) == counted["logs"]["accepted"]


def test_each_signal_has_an_endpoint_of_its_own(
    locust: Locusts, topology: Path, tmp_path: Path
) -> None:
    names = {signal: tmp_path / f"{signal}.jsonl" for signal in ("traces", "metrics", "logs")}
    finished = locust.run(
        *options(topology, ""),
        env={
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT": f"file://{path}"
            for signal, path in names.items()
        },
    )
    ledgers(finished)
    for signal, key in (
        ("traces", "resourceSpans"),
        ("metrics", "resourceMetrics"),
        ("logs", "resourceLogs"),
    ):
        lines = [json.loads(line) for line in names[signal].read_text().splitlines()]
        assert {found for line in lines for found in line} == {key}
