"""However a run ends, its ledger is closed and its reports are complete."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from motel_locust.otlp.receiver_process import RunningReceiver
from tests.integration.child import ROOT
from tests.integration.locust_runs import LocustRun, Locusts
from tests.integration.web import Web

FOUR_SERVICES = ROOT / "topologies" / "four-services.yaml"


@pytest.fixture(autouse=True)
def _interrupts_are_heard() -> Iterator[None]:
    """A shell hands an ignored SIGINT to what it starts with ``&``, and so on to our children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", ["--headless", "--autostart"])
def test_a_signal_ends_a_run_in_good_order(
    number: signal.Signals, mode: str, locust: Locusts, receiver: RunningReceiver
) -> None:
    run = locust.start(
        *("--topology", FOUR_SERVICES, "--host", receiver.endpoint, mode),
        *("--users", "5", "--spawn-rate", "5", "--html", "run.html"),
    )
    run.child.until(lambda: receiver.report()["spans"] > 500, "sending")

    finished = run.stop(number)

    ledger, report = finished.ledger, receiver.report()
    assert finished.code == 0, finished.stderr
    assert ledger["generated"] == ledger["accepted"] == report["spans"]
    assert (ledger["pending"], report["faults"]) == (0, {})
    assert_report_tells_all(run, report["spans"])
    assert "Traceback" not in finished.stderr


def test_a_second_interrupt_waits_for_nothing(locust: Locusts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes what comes and never answers
        run = locust.start(
            *("--topology", FOUR_SERVICES, "--host", f"127.0.0.1:{silent.getsockname()[1]}"),
            *("--autostart", "--users", "1", "--drain", "600", "--otlp-timeout", "10m"),
        )
        run.wait_for_web()
        web = Web(run.url)
        run.child.until(
            lambda: int(web.telemetry()["spans pending"].replace(",", "")) > 100, "generating"
        )
        run.child.send(signal.SIGINT)
        run.child.until(lambda: float(web.telemetry()["rate asked"]) == 0, "delivering the rest")
        finished = run.stop(signal.SIGINT)

    ledger = finished.ledger
    assert finished.code == 128 + signal.SIGINT
    assert ledger["generated"] == ledger["pending"] > 100
    told = f"interrupted twice: ended at once, {ledger['pending']:,} items are left undelivered"
    assert finished.stderr.count(told) == 1
    assert "Traceback" not in finished.stderr


def assert_report_tells_all(run: LocustRun, spans: int) -> None:
    """The HTML report has Locust's own figures and the section that follows them."""
    html = (run.directory / "run.html").read_text()
    assert f'"num_requests": {spans}' in html
    _, section, telemetry = html.partition('class="motel report"')
    assert section
    assert telemetry.count(f">{spans:,}</td>") >= 2  # generated and accepted


def test_the_report_of_a_cluster_is_whole_after_a_signal(
    locust: Locusts, receiver: RunningReceiver
) -> None:
    """Without a web UI Locust writes one of its own, after ours."""
    cluster = locust.cluster(
        *("--topology", FOUR_SERVICES, "--host", receiver.endpoint, "--headless"),
        *("--users", "4", "--spawn-rate", "4", "--html", "run.html"),
    )
    cluster.master.child.until(lambda: receiver.report()["spans"] > 500, "sending")
    finished = cluster.master.stop()

    assert finished.code == 0, finished.stderr
    assert finished.ledger["accepted"] == receiver.report()["spans"]
    assert_report_tells_all(cluster.master, finished.ledger["accepted"])


def test_workers_come_late_and_go_early(locust: Locusts, receiver: RunningReceiver) -> None:
    users = 12
    cluster = locust.cluster(
        *("--topology", FOUR_SERVICES, "--host", receiver.endpoint, "--rate", "50/s"),
        *("--headless", "--enable-rebalancing"),
        *("--users", str(users), "--spawn-rate", str(users)),
    )
    master = cluster.master.child

    def sends_on(spans: int) -> None:
        until = receiver.report()["spans"] + spans
        master.until(lambda: receiver.report()["spans"] >= until, f"sending {spans} more")

    master.until(lambda: receiver.report()["spans"] > 500, "sending")

    cluster.add_worker()
    master.until(lambda: "3 workers connected" in master.stderr, "joined by a third worker")
    sends_on(2400)
    for worker in cluster.workers[:2]:
        assert worker.child.stop(signal.SIGTERM) == 0
    sends_on(2400)  # now it is the late one that has all the users
    finished = cluster.master.stop(signal.SIGINT)

    ledger, report = finished.ledger, receiver.report()
    assert finished.code == 0, finished.stderr
    assert ledger["generated"] == ledger["accepted"] == report["spans"]
    assert finished.console_total == report["spans"]
    assert finished.simulation["traces"] == report["traces"]
    assert (ledger["pending"], report["faults"]) == (0, {})
