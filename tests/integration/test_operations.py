"""What a run says of its operations is what the endpoint got of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.child import ROOT
from tests.integration.collector import Collector
from tests.integration.locust_runs import Finished, Locusts
from tests.oracles.operations import operation_faults

USERS = 6


def assert_operations_arrived(finished: Finished, sink: Collector) -> None:
    """Stop the Collector and compare."""
    assert finished.code == 0, finished.stderr
    assert finished.summary is not None
    sink.stop()
    collected = sink.spans()
    assert len(collected) == finished.ledger["accepted"] > 500
    assert list(operation_faults(finished.summary["operations"], collected)) == []


@pytest.mark.parametrize(
    ("topology", "options"),
    [
        ("errors-and-cascades", ()),
        ("retries-and-timeouts", ("--realtime",)),
        ("circuit-breaker", ()),
        ("queue", ("--realtime",)),
    ],
)
def test_of_one_process(
    locust: Locusts, collector: Callable[..., Collector], topology: str, options: tuple[str, ...]
) -> None:
    sink = collector()
    finished = locust.run(
        *("--topology", ROOT / "topologies" / f"{topology}.yaml", "--host", sink.endpoint),
        *("--headless", "--users", str(USERS), "--spawn-rate", "2", "--run-time", "5s"),
        *("--rate", "60/s", *options),
    )
    assert_operations_arrived(finished, sink)


def test_of_a_cluster(locust: Locusts, collector: Callable[..., Collector]) -> None:
    sink = collector()
    cluster = locust.cluster(
        *("--topology", ROOT / "topologies" / "errors-and-cascades.yaml"),
        *("--host", sink.endpoint, "--headless", "--rate", "60/s"),
        *("--users", str(USERS), "--spawn-rate", "2", "--run-time", "6s"),
    )
    finished = cluster.wait()
    assert_operations_arrived(finished, sink)
    assert finished.summary is not None
    workers = finished.summary["workers"]
    assert len(workers) == 2
    assert sum(row["spans"] for row in workers) == finished.ledger["accepted"]
    assert all(row["memory_mib"] > 10 and row["cpu_cores"] > 0 for row in workers)
