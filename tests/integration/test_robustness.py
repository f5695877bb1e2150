"""A cluster whose processes die, come late, or go by a wrong clock."""

from __future__ import annotations

import csv
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from motel_locust.otlp.receiver_process import RunningReceiver
from tests.integration.collected import CollectedSpan
from tests.integration.collector import Collector
from tests.integration.locust_runs import LOCUSTFILE, Finished, Locusts
from tests.integration.web import Web

RESTORED_S = 10
"""So soon after a worker's death the rate is what it was."""
TOGETHER_S = 4
"""So soon after a worker has joined, too."""


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A topology of one span a trace."""
    path = tmp_path / "hello.yaml"
    service = {"operations": {"hello": {"duration": "5ms"}}}
    path.write_text(
        json.dumps({"version": 1, "services": {"web": service}, "traffic": {"rate": "20/s"}})
    )
    return path


def roots_by_second(spans: list[CollectedSpan], finished: Finished) -> Counter[int]:
    """Return how many traces began in each second of the run; their ids are all different."""
    roots = [each.span for each in spans if not each.span.parent_span_id]
    assert len({root.trace_id for root in roots}) == len(roots)
    return Counter((root.start_time_unix_nano - finished.epoch_ns) // 10**9 for root in roots)


def states(finished: Finished) -> Counter[str]:
    """Return how many workers ended in each state."""
    assert finished.summary is not None
    return Counter(worker["state"] for worker in finished.summary["workers"])


@pytest.mark.parametrize("rate_per", ["user", "cluster"])
def test_the_rate_is_restored_after_a_workers_death(
    locust: Locusts, collector: Callable[..., Collector], hello: Path, rate_per: str
) -> None:
    users, rate = 9, 180
    sink = collector()
    cluster = locust.cluster(
        *("--topology", hello, "--host", sink.endpoint, "--headless", "--rate-per", rate_per),
        *("--rate", f"{rate}/s" if rate_per == "cluster" else f"{rate // users}/s"),
        *("--users", str(users), "--spawn-rate", str(users)),
        *("--csv", "run", "--html", "run.html"),
        workers=3,
    )
    master = cluster.master.child
    cluster.master.wait_for_users()
    began_s = time.monotonic()
    # Its first report is behind it.
    master.until(lambda: time.monotonic() - began_s > 4, "running for a while")
    killed_ns = time.time_ns()
    cluster.workers[0].child.send(signal.SIGKILL)
    master.until(lambda: "is lost" in master.stderr, "aware of the loss")
    cluster.add_worker()
    # Dealing users to it is another change, and on a busy machine it comes late.
    master.until(lambda: master.stderr.count("reported as ready") == 4, "joined by another worker")
    restored_ns = max(killed_ns + RESTORED_S * 10**9, time.time_ns() + TOGETHER_S * 10**9)
    master.until(lambda: time.time_ns() - restored_ns > 3e9, "running for a while")
    finished = cluster.master.stop()
    for worker in cluster.workers[1:]:
        worker.wait(timeout_s=20)
    sink.stop()

    # What the dead one had not reported is nowhere guessed.
    spans, ledger = sink.spans(), finished.ledger
    assert finished.code == 1
    assert ledger["generated"] == ledger["accepted"] + ledger["pending"]
    assert ledger["accepted"] <= len(spans)
    assert states(finished) == {"lost": 1, "running": 3}
    assert finished.stderr.count("was lost: ") == 1
    assert finished.stderr.count("is lost: ") == 1
    # All reports tell the same.
    assert finished.console_total == ledger["accepted"]
    directory = cluster.master.directory
    with (directory / "run_stats.csv").open(newline="") as lines:
        rows = {row["Name"]: row for row in csv.DictReader(lines)}
    assert int(rows["spans"]["Request Count"]) == ledger["accepted"]
    assert f'"num_requests": {ledger["accepted"]}' in (directory / "run.html").read_text()
    # The others are as exact as ever, and so is the rate.
    seconds = roots_by_second(spans, finished)
    killed_s = (killed_ns - finished.epoch_ns) / 1e9
    restored_s = (restored_ns - finished.epoch_ns) // 10**9
    assert seconds[int(killed_s) - 1] == pytest.approx(rate, abs=users)
    assert seconds[restored_s] == pytest.approx(rate, abs=users)
    assert seconds[restored_s + 1] == pytest.approx(rate, abs=users)


def test_a_run_that_is_stopped_while_users_are_dealt_anew_stays_stopped(
    locust: Locusts, receiver: RunningReceiver, hello: Path
) -> None:
    """Dealing takes a second, and in the end it says that the test runs."""
    cluster = locust.cluster("--topology", hello, "--host", receiver.endpoint)
    master = cluster.master
    master.wait_for_web()
    web, child = Web(master.url), master.child
    child.until(lambda: len(web.figures()["workers"]) == 2, "connected to its workers")
    web.start(6, 6)
    master.wait_for_users()
    frozen = cluster.workers[0].child
    frozen.send(signal.SIGSTOP)
    child.until(lambda: "is lost" in child.stderr, "aware of the loss")
    frozen.send(signal.SIGCONT)
    child.until(lambda: "dealing anew" in child.stderr, "dealing anew")
    web.stop()
    child.until(lambda: web.state() == "stopped", "stopped")

    ledger, seen = master.summary()["ledger"]["traces"], time.monotonic()
    assert ledger["generated"] == ledger["accepted"] == receiver.report()["spans"]
    child.until(lambda: time.monotonic() - seen > 4, "stopped for a while")
    assert web.state() == "stopped"
    assert web.figures()["user_count"] == 0
    assert receiver.report()["spans"] == ledger["accepted"]
    assert master.stop().code == 0


def test_workers_pause_without_their_master_and_serve_the_next_one(
    locust: Locusts, receiver: RunningReceiver, hello: Path
) -> None:
    options = ("--topology", hello, "--host", receiver.endpoint)
    cluster = locust.cluster(*options)
    first = cluster.master
    first.wait_for_web()
    web = Web(first.url)
    first.child.until(lambda: len(web.figures()["workers"]) == 2, "connected to its workers")
    assert web.start(4, 4)["success"]
    first.child.until(lambda: receiver.report()["spans"] > 100, "sending")

    first.child.stop(signal.SIGKILL)
    for worker in cluster.workers:
        child = worker.child
        child.until(lambda child=child: "nothing is generated" in child.stderr, "paused")
    # What was under way has arrived when two looks see the same.
    child.until(lambda: settled(receiver), "still")
    paused_at = receiver.report()["spans"]

    second = cluster.restart_master(*options)
    second.wait_for_web()
    web = Web(second.url)
    second.child.until(lambda: len(web.figures()["workers"]) == 2, "found by the workers")
    assert receiver.report()["spans"] == paused_at
    assert web.start(6, 6, rate="50/s")["success"]
    # Their own engines say so: what the form changed has reached them.
    second.child.until(lambda: float(web.telemetry()["rate asked"]) == 300, "at the new rate")
    second.child.until(lambda: receiver.report()["spans"] > paused_at + 600, "sending again")
    web.stop()
    second.child.until(lambda: web.state() == "stopped", "stopped")
    summary = second.summary()
    assert summary is not None
    ledger = summary["ledger"]["traces"]
    assert ledger["generated"] == ledger["accepted"] == receiver.report()["spans"] - paused_at
    assert {worker["state"] for worker in summary["workers"]} == {"running"}
    assert second.stop().code == 0
    for worker in cluster.workers:
        assert worker.wait(timeout_s=20).code == 0
    assert receiver.report()["faults"] == {}


def settled(receiver: RunningReceiver) -> bool:
    """Tell whether nothing arrives any more."""
    before = receiver.report()["spans"]
    time.sleep(0.5)
    return receiver.report()["spans"] == before


WRONG_CLOCK = """
import time

unix_ns = time.time_ns
time.time_ns = lambda: unix_ns() + {ahead_ns}
time.time = lambda: time.time_ns() / 1e9
"""


def test_a_worker_with_a_wrong_clock_acts_at_the_clusters_instant(
    locust: Locusts, collector: Callable[..., Collector], hello: Path, tmp_path: Path
) -> None:
    users, rate = 6, 20
    sink = collector()
    cluster = locust.cluster(
        *("--topology", hello, "--host", sink.endpoint, "--headless", "--rate", f"{rate}/s"),
        *("--users", str(users), "--spawn-rate", str(users)),
        *("--run-time", "5s", "--expect-workers", "3"),
        workers=1,
    )
    for ahead_s in (7, -3600):
        locustfile = tmp_path / f"clock{ahead_s}.py"
        clock = WRONG_CLOCK.format(ahead_ns=ahead_s * 10**9)
        locustfile.write_text(clock + LOCUSTFILE.read_text())
        cluster.add_worker(locustfile)
    finished = cluster.wait()
    ended_ns = time.time_ns()
    sink.stop()

    assert finished.code == 0, finished.stderr
    assert finished.summary is not None
    assert len(sink.spans()) == finished.ledger["accepted"] == finished.ledger["generated"]
    seconds = roots_by_second(sink.spans(), finished)
    assert set(seconds) <= set(range(-(-(ended_ns - finished.epoch_ns) // 10**9)))
    # On a busy machine a worker's users may come late.
    full = [second for second, n in seconds.items() if n == pytest.approx(users * rate, abs=users)]
    assert len(full) >= 2
    assert max(seconds.values()) <= users * (rate + 1)
    skews = sorted(worker["clock_skew_s"] for worker in finished.summary["workers"])
    assert [round(skew) for skew in skews] == [-3600, 0, 7]
    # Locust's statistics know no wrong second either.
    *_, last = re.findall(r"^ +Aggregated .*\| +([\d.]+) +[\d.]+$", finished.stderr, re.MULTILINE)
    assert float(last) > users * rate / 2
