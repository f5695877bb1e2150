"""A master and its workers: sums that are exact, wherever they are read."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from motel_locust.otlp.receiver_process import RunningReceiver
from tests.integration.child import ROOT
from tests.integration.collector import Collector
from tests.integration.locust_runs import Locusts
from tests.integration.web import Web

FOUR_SERVICES = (ROOT / "topologies" / "four-services.yaml").read_text()


def topology_for_the_master_alone(directory: Path) -> Path:
    """Return a topology that :func:`hide` takes away before any worker could read it."""
    path = directory / "master-only.yaml"
    path.write_text(FOUR_SERVICES)
    return path


def test_the_sums_are_the_same_wherever_they_are_read(
    locust: Locusts, receiver: RunningReceiver, tmp_path: Path
) -> None:
    topology = topology_for_the_master_alone(tmp_path)
    cluster = locust.cluster(
        *("--topology", topology, "--host", receiver.endpoint, "--headless"),
        *("--users", "7", "--spawn-rate", "7", "--run-time", "5s"),
        *("--csv", "run", "--html", "run.html"),
    )
    cluster.master.wait_for_users()
    topology.unlink()  # nobody reads it twice
    finished = cluster.wait()

    assert finished.code == 0, finished.stderr
    ledger, report = finished.ledger, receiver.report()
    assert ledger["generated"] == ledger["accepted"] == report["spans"] > 1000
    assert (ledger["pending"], ledger["ambiguous"]) == (0, 0)
    assert finished.simulation["spans"] == report["spans"] == 4 * finished.simulation["traces"]
    assert finished.simulation["traces"] == report["traces"]
    assert report["faults"] == {}
    assert finished.console_total == report["spans"]
    with (cluster.master.directory / "run_stats.csv").open(newline="") as lines:
        rows = {row["Name"]: row for row in csv.DictReader(lines)}
    assert int(rows["spans"]["Request Count"]) == report["spans"]
    assert int(rows["Aggregated"]["Request Count"]) == report["spans"]
    html = (cluster.master.directory / "run.html").read_text()
    assert f'"num_requests": {report["spans"]}' in html
    assert not any("Traceback" in worker.child.stderr for worker in cluster.workers)


def test_no_trace_id_comes_twice_and_users_add_up(
    locust: Locusts, collector: Callable[..., Collector], tmp_path: Path
) -> None:
    sink, users, rate = collector(), 10, 50
    cluster = locust.cluster(
        *("--topology", topology_for_the_master_alone(tmp_path), "--host", sink.endpoint),
        *("--rate", f"{rate}/s", "--seed", "11", "--headless"),
        *("--users", str(users), "--spawn-rate", str(users), "--run-time", "5s"),
    )
    finished = cluster.wait()
    assert finished.code == 0, finished.stderr
    sink.stop()

    spans = sink.spans()
    roots = [each.span for each in spans if not each.span.parent_span_id]
    assert len(spans) == finished.ledger["accepted"] == finished.ledger["generated"]
    assert len({root.trace_id for root in roots}) == len(roots) == finished.simulation["traces"]
    # On a busy machine a worker's users may come late; all are there for two seconds at least.
    since_s = [(root.start_time_unix_nano - finished.epoch_ns) / 1e9 for root in roots]
    most = max(sum(half / 2 <= each < half / 2 + 2 for each in since_s) for half in range(8))
    assert abs(most - 2 * users * rate) <= users


def test_processes_share_one_built_in_receiver(locust: Locusts) -> None:
    finished = locust.run(
        *("--topology", ROOT / "topologies" / "hello.yaml", "--rate", "100/s", "--processes", "2"),
        *("--headless", "--users", "4", "--spawn-rate", "4", "--run-time", "3s"),
    )

    assert finished.code == 0, finished.stderr
    assert finished.ledger["generated"] == finished.ledger["accepted"] > 300
    assert "sending to the built-in receiver" in finished.stderr


def test_start_stop_and_restart_from_the_web_ui(
    locust: Locusts, receiver: RunningReceiver, tmp_path: Path
) -> None:
    topology = topology_for_the_master_alone(tmp_path)
    cluster = locust.cluster(
        *("--topology", topology, "--host", receiver.endpoint, "--rate", "50/s"),
        "--enable-rebalancing",
    )
    master = cluster.master
    master.wait_for_web()
    web = Web(master.url)
    child = master.child
    child.until(lambda: len(web.figures()["workers"]) == 2, "connected to its workers")

    before = 0
    for users in (6, 3):
        assert web.start(users, users)["success"]
        child.until(
            lambda users=users: web.telemetry().get("users") == str(users), f"at {users} users"
        )
        child.until(
            lambda users=users: web.figures()["user_count"] == users and web.state() == "running",
            "running with all users",
        )
        child.until(lambda: web.figures()["total_rps"] > 0, "showing spans/s")
        if users == 3:
            web.start(5, 5)
            child.until(lambda: web.telemetry()["users"] == "5", "edited to 5 users")
        web.stop()
        child.until(lambda: web.state() == "stopped", "stopped")

        summary, report = master.summary(), receiver.report()
        ledger = summary["ledger"]["traces"]
        assert ledger["generated"] == ledger["accepted"] == report["spans"] - before > 0
        (row,) = (row for row in web.figures()["stats"] if row["name"] == "spans")
        assert row["num_requests"] == ledger["accepted"]
        before = report["spans"]
    finished = master.stop()
    assert finished.code == 0, finished.stderr
    assert receiver.report()["faults"] == {}
