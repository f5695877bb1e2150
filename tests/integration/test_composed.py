"""What docker-compose.yml would start does what it says, with processes in place of containers."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.collector import read_metric
from tests.integration.composed import Composed
from tests.integration.web import Web

ACCEPTED = "otelcol_receiver_accepted_spans"


@pytest.fixture
def compose(otelcol: Path, tmp_path: Path) -> Iterator[Callable[..., Composed]]:
    """Reads docker-compose.yml with variables: ``compose(WORKERS="3")``."""
    made: list[Composed] = []

    def make(**variables: str) -> Composed:
        made.append(Composed(tmp_path, otelcol, variables))
        return made[-1]

    yield make
    for each in made:
        each.end()


def spans_of(summary: Path) -> dict[str, Any]:
    return json.loads(summary.read_text())["ledger"]["traces"]


def test_the_headless_variant_ends_by_itself_and_nothing_is_lost(
    compose: Callable[..., Composed], tmp_path: Path
) -> None:
    bench = compose(WORKERS="3", LOCUST_USERS="6", LOCUST_SPAWN_RATE="6", LOCUST_RUN_TIME="8s")
    jaeger_metrics = bench.jaeger()
    bench.collector()
    summary = tmp_path / "summary.json"
    master = bench.locust("headless", "headless", LOCUST_SUMMARY=str(summary))
    master.until(lambda: bench.healthy("headless", "headless"), "healthy")
    workers = [
        bench.locust("worker", f"worker{number}") for number in range(bench.replicas("worker"))
    ]
    assert len(workers) == 3
    master.until(
        lambda: all(bench.healthy("worker", f"worker{number}") for number in range(3)),
        "with healthy workers",
    )

    assert master.wait(timeout_s=60) == 0, master.stderr
    for worker in workers:
        assert worker.wait(timeout_s=20) == 0, worker.stderr
    ledger = spans_of(summary)
    assert ledger["generated"] == ledger["accepted"] > 1000
    assert read_metric(bench.metrics_port, ACCEPTED) == ledger["accepted"]
    # The sampler keeps some of them for Jaeger: those that it decided on after five seconds.
    assert 0 < read_metric(jaeger_metrics, ACCEPTED) < ledger["accepted"]


def test_the_web_variant_starts_from_the_form_and_knows_who_is_well(
    compose: Callable[..., Composed], tmp_path: Path
) -> None:
    bench = compose(WORKERS="3")
    bench.jaeger()
    bench.collector()
    summary = tmp_path / "summary.json"
    master = bench.locust("master", "master", LOCUST_SUMMARY=str(summary))
    master.until(lambda: bench.healthy("master", "master"), "healthy")
    workers = [bench.locust("worker", f"worker{number}") for number in range(3)]
    web = Web(f"http://127.0.0.1:{bench.web_port}")
    master.until(lambda: len(web.figures()["workers"]) == 3, "found by its workers")
    assert web.start(3, 3)["success"]
    master.until(lambda: read_metric(bench.metrics_port, ACCEPTED) > 500, "sending")
    web.stop()
    master.until(lambda: web.state() == "stopped", "stopped")
    assert spans_of(summary)["accepted"] == read_metric(bench.metrics_port, ACCEPTED)

    assert bench.healthy("worker", "worker0")
    master.stop(signal.SIGKILL)
    assert not bench.healthy("master", "master")
    workers[0].until(lambda: not bench.healthy("worker", "worker0"), "unwell without its master")
