"""Locust as a person starts it, for a few seconds each."""

from __future__ import annotations

import csv
import json
import re
import signal
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from motel_locust.otlp.receiver_process import start_receiver
from motel_locust.otlp.settings import PROTOCOLS
from tests.integration.child import ROOT, free_port
from tests.integration.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from motel_locust.otlp.endpoints import Protocol
    from motel_locust.otlp.receiver_process import RunningReceiver
    from tests.integration.locust_runs import Finished, LocustRun, Locusts

FOUR = ROOT / "topologies" / "four-services.yaml"
SPANS = 4  # of each of its traces
HEADLESS = ("--headless", "--only-summary", "--users", "10", "--spawn-rate", "10")


@pytest.fixture
def receiver() -> Iterator[RunningReceiver]:
    running = start_receiver()
    yield running
    running.stop()


def checked_ledger(finished: Finished) -> dict[str, int]:
    """Return the counts of the traces, after a look at whether they agree with the rest."""
    assert finished.summary is not None
    ledger = finished.summary["ledger"]["traces"]
    ended = sum(ledger[name] for name in ("accepted", "rejected", "failed", "dropped"))
    assert ledger["pending"] == 0
    assert ledger["generated"] == ended == finished.summary["simulation"]["spans"]
    return ledger


def test_a_run_that_sends_nowhere_balances(locust: Locusts) -> None:
    finished = locust.run(*HEADLESS, "-t", "3s", "--topology", FOUR, "--host", "discard://")
    assert finished.code == 0, finished.stderr
    ledger, simulation = checked_ledger(finished), finished.summary["simulation"]
    assert ledger["accepted"] == SPANS * simulation["traces"]
    assert simulation["traces_per_second"] == pytest.approx(10 * 100, rel=0.02)
    assert f"{ledger['generated']:,}" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_file_holds_what_was_accepted_in_whole_traces(locust: Locusts, tmp_path: Path) -> None:
    lines = tmp_path / "spans.json"
    finished = locust.run(
        *HEADLESS, "-t", "3s", "--topology", FOUR, "--rate", "5/s", "--host", f"file://{lines}"
    )
    assert finished.code == 0, finished.stderr
    traces = defaultdict(list)
    for line in lines.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces[span["traceId"]].append(span)
    assert sum(map(len, traces.values())) == checked_ledger(finished)["accepted"]
    assert all(len(spans) == SPANS for spans in traces.values())
    assert finished.summary["simulation"]["traces_per_second"] == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("seed", ["7", "18446744073709551"])
def test_real_time_ends_its_traces_whole(locust: Locusts, tmp_path: Path, seed: str) -> None:
    finished = locust.run(
        *HEADLESS, "-t", "2s", "--topology", FOUR, "--host", "discard://", "--realtime",
        f"--seed={seed}",
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
    simulation = finished.summary["simulation"]
    assert checked_ledger(finished)["accepted"] == SPANS * simulation["traces"]
    assert simulation["seed"] == int(seed)


def test_all_mistakes_of_a_topology_are_told_with_their_places(
    locust: Locusts, tmp_path: Path
) -> None:
    topology = tmp_path / "wrong.yaml"
    topology.write_text(
        "version: 1\nservices: {a: {operations: {b: {duration: 5}}}}\ntraffic: {rate: 10}\n"
    )
    # The workers that were forked already end with it.
    started = time.monotonic()
    finished = locust.run(*HEADLESS, "--topology", topology, "--processes", "2", timeout_s=30)
    assert finished.code == 2
    assert f"{topology}:2:" in finished.stderr
    assert f"{topology}:3:17:" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("machines", [(), ("--processes", "2")], ids=["alone", "two processes"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_built_in_receiver_gets_what_was_accepted(
    locust: Locusts, protocol: str, machines: tuple[str, ...]
) -> None:
    finished = locust.run(
        *HEADLESS, "-t", "2s", "--topology", FOUR, "--otlp-protocol", protocol, *machines
    )
    assert finished.code == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    accepted = checked_ledger(finished)["accepted"]
    assert accepted > 0
    told = re.search(
        r"no endpoint is configured: sending to the built-in receiver at http://\S+ \((\S+)\)",
        finished.stderr,
    )
    assert told is not None
    assert told[1] == protocol
    assert f"the built-in receiver got {accepted} spans" in finished.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_variables_of_opentelemetry_name_the_endpoint(
    locust: Locusts, receiver: RunningReceiver, protocol: Protocol
) -> None:
    finished = locust.run(
        *HEADLESS, "-t", "2s", "--topology", FOUR,
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint_for(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        },
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
    assert receiver.report()["spans"] == checked_ledger(finished)["accepted"]


@pytest.mark.parametrize(("max_loss", "code"), [("0", 1), ("1", 0)])
def test_the_exit_code_tells_lost_spans_by_max_loss(
    locust: Locusts, receiver: RunningReceiver, max_loss: str, code: int
) -> None:
    run = locust.start(
        *HEADLESS, "-t", "4s", "--topology", FOUR, "--host", receiver.endpoint,
        "--drain", "0.5", "--max-loss", max_loss,
    )  # fmt: skip
    run.child.until(lambda: receiver.report()["spans"], "sending")
    receiver.stop()
    finished = run.wait()
    assert finished.code == code, finished.stderr
    ledger = checked_ledger(finished)
    assert ledger["failed"] > 0
    assert ledger["accepted"] > 0
    assert ("--max-loss allows 0.0000%" in finished.stderr) == (code == 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_reports_are_exact_after_a_signal(
    locust: Locusts,
    receiver: RunningReceiver,
    tmp_path: Path,
    number: signal.Signals,
    protocol: Protocol,
) -> None:
    run = locust.start(
        *HEADLESS, "--topology", FOUR, "--host", receiver.endpoint_for(protocol),
        "--otlp-protocol", protocol, "--csv", tmp_path / "run", "--html", tmp_path / "run.html",
    )  # fmt: skip
    run.child.until(lambda: receiver.report()["spans"] > 5_000, "sending")
    finished = run.stop(number)
    assert finished.code == 0, finished.stderr
    accepted = checked_ledger(finished)["accepted"]
    assert receiver.report()["spans"] == accepted
    with (tmp_path / "run_stats.csv").open() as file:
        assert {row["Name"]: row["Request Count"] for row in csv.DictReader(file)} == {
            "spans": str(accepted),
            "Aggregated": str(accepted),
        }
    assert f'"num_requests": {accepted}' in (tmp_path / "run.html").read_text()


def test_an_interrupt_never_hits_the_pump_at_work(locust: Locusts) -> None:
    run = locust.start(
        *HEADLESS, "--topology", FOUR, "--host", "discard://", "--rate", "1000000/s"
    )  # fmt: skip
    # More than any machine makes: from now on the pump never waits.
    run.child.until(lambda: "lag above 1 s" in run.child.stderr, "behind")
    finished = run.stop(signal.SIGINT)
    assert finished.code == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    checked_ledger(finished)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("machines", ["two workers", "two processes"])
def test_a_cluster_adds_up_to_the_span(
    locust: Locusts, receiver: RunningReceiver, tmp_path: Path, machines: str, protocol: Protocol
) -> None:
    options = (
        *HEADLESS, "-t", "4s", "--host", receiver.endpoint_for(protocol), "--csv", tmp_path / "run",
        "--topology", FOUR, "--otlp-protocol", protocol,
    )  # fmt: skip
    if machines == "two processes":
        finished = locust.run(*options, "--processes", "2")
    else:
        finished = locust.cluster(*options).wait()
    assert finished.code == 0, finished.stderr
    accepted, simulation = checked_ledger(finished)["accepted"], finished.summary["simulation"]
    report = receiver.report()
    assert report["spans"] == accepted == SPANS * simulation["traces"]
    assert report["traces"] == simulation["traces"]  # no trace id twice
    assert simulation["traces_per_second"] == pytest.approx(10 * 100, rel=0.1)
    with (tmp_path / "run_stats.csv").open() as file:
        assert {row["Request Count"] for row in csv.DictReader(file)} == {str(accepted)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_reports_all_that_it_sent(
    locust: Locusts, receiver: RunningReceiver, number: signal.Signals, protocol: Protocol
) -> None:
    cluster = locust.cluster(
        *HEADLESS, "--host", receiver.endpoint_for(protocol), "--topology", FOUR,
        "--otlp-protocol", protocol,
    )  # fmt: skip
    cluster.master.child.until(lambda: receiver.report()["spans"] > 5_000, "sending")
    assert cluster.workers[1].stop(number).code == 0
    finished = cluster.master.stop(number)
    assert finished.code == 0, finished.stderr
    assert checked_ledger(finished)["accepted"] == receiver.report()["spans"]


def test_a_worker_that_comes_late_takes_its_share(
    locust: Locusts, receiver: RunningReceiver
) -> None:
    cluster = locust.cluster(
        *HEADLESS, "--host", receiver.endpoint, "--topology", FOUR, "--enable-rebalancing",
        workers=1,
    )  # fmt: skip
    cluster.master.child.until(lambda: receiver.report()["spans"] > 2_000, "sending")
    late = cluster.add_worker()
    late.child.until(lambda: cluster.master.child.stderr.count("reported as ready") == 2, "there")
    before = receiver.report()["spans"]
    late.child.until(lambda: receiver.report()["spans"] > before + 8_000, "sending together")
    finished = cluster.master.stop()
    assert finished.code == 0, finished.stderr
    report, simulation = receiver.report(), finished.summary["simulation"]
    assert report["spans"] == checked_ledger(finished)["accepted"]
    assert report["traces"] == simulation["traces"]


def test_a_cluster_can_share_one_rate(locust: Locusts) -> None:
    finished = locust.cluster(
        *HEADLESS, "-t", "5s", "--host", "discard://", "--topology", FOUR,
        "--rate", "300/s", "--rate-per", "cluster",
    ).wait()  # fmt: skip
    assert finished.code == 0, finished.stderr
    assert finished.summary["simulation"]["traces_per_second"] == pytest.approx(300, rel=0.1)


class Page:
    """What the scripts of the web UI ask for."""

    def __init__(self, run: LocustRun) -> None:
        self._url = run.url

    def swarm(self, **form: str | Path | int) -> dict:
        written = {"spawn_rate": 100, **form}
        with urllib.request.urlopen(
            f"{self._url}/swarm", urllib.parse.urlencode(written).encode(), timeout=30
        ) as answer:
            return json.load(answer)

    def stop(self) -> None:
        urllib.request.urlopen(f"{self._url}/stop", b"", timeout=30).close()

    def figures(self) -> dict:
        with urllib.request.urlopen(f"{self._url}/stats/requests", timeout=30) as answer:
            state = json.load(answer)["state"]
        return {"state": state, **Web(self._url).telemetry()}

    def ready(self) -> bool:
        return self.figures()["state"] == "ready"


def test_the_form_tells_what_is_wrong_and_nothing_starts(
    locust: Locusts, tmp_path: Path, receiver: RunningReceiver
) -> None:
    run = locust.start()
    run.wait_for_web()
    page = Page(run)
    torn = tmp_path / "torn.yaml"
    torn.write_text("version: 1\nservices: {}\n")
    good = {"user_count": 1, "topology": FOUR, "host": receiver.endpoint}
    for form, complaint in (
        ({"topology": ""}, "no topology: give --topology"),
        ({"topology": torn}, f"{torn}:"),
        ({"rate": "lots"}, '--rate: "lots" is not of the form N/unit'),
        ({"seed": ""}, '--seed: "" is no whole number'),
        ({"arrivals": "zzz"}, '--arrivals: "zzz" is not known'),
        ({"host": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"host": "h/path", "otlp_protocol": "grpc"}, "gRPC has no path"),
    ):
        answer = page.swarm(**{**good, **form})
        assert not answer["success"]
        assert complaint in answer["message"]
    assert page.ready()
    assert receiver.report()["spans"] == 0
    assert page.swarm(**good)["success"]
    run.child.until(lambda: receiver.report()["spans"], "sending")
    assert not page.swarm(user_count=2, rate="lots")["success"]  # an edit, too
    finished = run.stop()
    assert "Traceback" not in finished.stderr
    assert checked_ledger(finished)["accepted"] == receiver.report()["spans"]


def test_start_edit_stop_and_start_again(locust: Locusts, receiver: RunningReceiver) -> None:
    run = locust.start("--topology", FOUR, "--host", receiver.endpoint)
    run.wait_for_web()
    page = Page(run)
    for users in (50, 200, 20):
        assert page.swarm(user_count=users)["success"]
        run.child.until(lambda users=users: page.figures()["users"] == str(users), "as many rows")
        run.child.until(
            lambda users=users: page.figures()["rate asked"] == f"{users * 100:.1f}",
            "asking for as much",
        )
    page.stop()
    figures = page.figures()
    assert figures["users"] == "0"
    assert figures["spans pending"] == "0"
    sent = receiver.report()["spans"]
    assert figures["spans accepted"] == str(sent)

    assert page.swarm(user_count=7, rate="10/s")["success"]
    run.child.until(lambda: page.figures()["rate asked"] == "70.0", "running again")
    run.child.until(lambda: receiver.report()["spans"] > sent, "sending again")
    finished = run.stop()
    assert finished.code == 0, finished.stderr
    assert checked_ledger(finished)["accepted"] == receiver.report()["spans"] - sent


def test_the_form_may_change_the_protocol_of_the_built_in_receiver(locust: Locusts) -> None:
    run = locust.start("--topology", FOUR)
    run.wait_for_web()
    page = Page(run)

    def host_in_the_form() -> str:
        page_now = urllib.request.urlopen(run.url, timeout=30).read().decode()
        return re.search(r'"host": "(http://127.0.0.1:[0-9]+)"', page_now)[1]

    def told(protocol: str) -> bool:
        figures = page.figures()
        shown, _, _ = figures.get("endpoint of Topology", "").partition(" ")
        address = shown.removesuffix("/v1/traces")
        log = (
            f"no endpoint is configured: sending to the built-in receiver at {address} ({protocol})"
        )
        return figures.get("protocol of Topology") == protocol and log in run.child.stderr

    for protocol in ("grpc", "http/protobuf", "grpc"):
        # As a browser sends it: with the host that the form shows.
        assert page.swarm(user_count=1, host=host_in_the_form(), otlp_protocol=protocol)["success"]
        run.child.until(lambda protocol=protocol: told(protocol), f"sending by {protocol}")
        run.child.until(lambda: page.figures()["spans accepted"] != "0", "accepted")
        page.stop()
    finished = run.stop()
    assert finished.code == 0, finished.stderr
    checked_ledger(finished)


TWO = """
from locust import HttpUser, constant, task
from motel_locust import TopologyUser

class Heavy(TopologyUser):
    weight = 3
    rate = "30/s"

class Light(TopologyUser):
    weight = 1
    topology = {topology!r}
    endpoint = "discard://"
    arrivals = "poisson"

class Browser(HttpUser):
    fixed_count = 2
    host = {page!r}
    wait_time = constant(0.2)

    @task
    def look(self):
        self.client.get("/healthz")
"""


def test_classes_stand_side_by_side(
    locust: Locusts, receiver: RunningReceiver, tmp_path: Path
) -> None:
    locustfile = tmp_path / "two.py"
    hello = str(ROOT / "topologies" / "hello.yaml")
    locustfile.write_text(TWO.format(topology=hello, page=receiver.endpoint))
    run = locust.start(
        *HEADLESS, "-t", "3s", "--topology", FOUR, "--json-file", "run", locustfile=locustfile,
        env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.endpoint}/v1/traces"},
    )  # fmt: skip
    finished = run.wait()
    assert finished.code == 0, finished.stderr
    accepted = checked_ledger(finished)["accepted"]
    topologies = {
        each["user_class"]: each["topology"] for each in finished.summary["run"]["topologies"]
    }
    assert topologies == {"Heavy": str(FOUR), "Light": hello}
    # Six of the eight, 30 traces a second each; what the others made went elsewhere.
    heavy_s = finished.summary["simulation"]["elapsed_ms"] / 1000
    assert receiver.report()["traces"] == pytest.approx(6 * 30 * heavy_s, rel=0.1)
    rows = {row["name"]: row for row in json.loads((run.directory / "run.json").read_text())}
    assert rows["spans"]["num_requests"] == accepted
    assert rows["/healthz"]["num_requests"] > 10


def test_an_endpoint_is_waited_for(locust: Locusts) -> None:
    port = free_port()
    run = locust.start(
        *HEADLESS, "-t", "2s", "--topology", FOUR, "--host", f"127.0.0.1:{port}",
        "--wait-for-endpoint", "30",
    )  # fmt: skip
    run.child.until(lambda: "Starting Locust" in run.child.stderr, "started")
    late = start_receiver(port=port)
    try:
        finished = run.wait()
        assert finished.code == 0, finished.stderr
        assert late.report()["spans"] == checked_ledger(finished)["accepted"]
    finally:
        late.stop()
