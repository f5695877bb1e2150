"""A cluster over several hosts, and what a cut cable does to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.integration.child import ROOT
from tests.integration.collector import Collector
from tests.integration.hosts import Network
from tests.integration.locust_runs import Locusts

MASTER_PORT = 5557

RESTORED_S = 10
"""So soon after a host is cut off the rate is what it was."""
TOGETHER_S = 4
"""So soon after it is back, too: nobody's users are there twice."""


def test_a_cluster_over_hosts_survives_a_cut_cable(
    network: Network, locust: Locusts, collector: Callable[..., Collector]
) -> None:
    users, rate = 8, 25
    sink_host, master_host, *worker_hosts = (network.host() for _ in range(4))
    sink = collector(host=sink_host)
    master = locust.start(
        *("--master", "--expect-workers", "2", "--headless", "--host", sink.endpoint),
        *("--topology", ROOT / "topologies" / "hello.yaml", "--rate", f"{rate}/s"),
        *("--users", str(users), "--spawn-rate", str(users), "--drain", "30"),
        *("--json-file", "run"),
        env={"LOCUST_MASTER_BIND_HOST": "*", "LOCUST_MASTER_BIND_PORT": str(MASTER_PORT)},
        name="master",
        prefix=master_host.prefix,
    )
    workers = [
        locust.start(
            *("--worker", "--master-host", master_host.address),
            *("--master-port", str(MASTER_PORT)),
            name=f"worker{number}",
            prefix=host.prefix,
        )
        for number, host in enumerate(worker_hosts)
    ]
    child = master.child
    master.wait_for_users()
    began_s = time.monotonic()
    child.until(lambda: time.monotonic() - began_s > 3, "running for a while")

    cut_ns = time.time_ns()
    worker_hosts[0].cut()
    child.until(lambda: "is lost" in child.stderr, "aware of the loss")
    cut_off = workers[0].child
    cut_off.until(lambda: "nothing is generated" in cut_off.stderr, "paused")
    child.until(lambda: time.time_ns() - cut_ns > (RESTORED_S + 1) * 1e9, "cut off for a while")
    worker_hosts[0].mend()
    child.until(lambda: "is back" in child.stderr, "whole again")
    cut_off.until(lambda: "the master is back" in cut_off.stderr, "generating again")
    back_ns = time.time_ns()
    child.until(lambda: time.time_ns() - back_ns > (TOGETHER_S + 2) * 1e9, "running for a while")
    finished = master.stop(timeout_s=60)
    for worker in workers:
        worker.wait(timeout_s=20)
    sink.stop()

    assert finished.code == 0, finished.stderr
    assert finished.summary is not None
    assert {worker["state"] for worker in finished.summary["workers"]} == {"running"}
    ledger, spans = finished.ledger, sink.spans()
    assert ledger["generated"] == ledger["accepted"]
    (row,) = json.loads((master.directory / "run.json").read_text())
    assert row["num_requests"] == ledger["accepted"]
    assert ledger["accepted"] <= len(spans) <= ledger["accepted"] + ledger["ambiguous"]
    # A body whose answer was lost came twice; otherwise no id does.
    roots = {each.span.trace_id: each.span for each in spans if not each.span.parent_span_id}
    assert len(roots) == finished.simulation["traces"]
    since_s = [(each.start_time_unix_nano - finished.epoch_ns) // 10**9 for each in roots.values()]
    for instant_ns in (cut_ns + RESTORED_S * 10**9, back_ns + TOGETHER_S * 10**9):
        second = (instant_ns - finished.epoch_ns) // 10**9
        assert since_s.count(second) == pytest.approx(users * rate, abs=users)
