"""Fixtures that run the real thing in processes of their own: Collector, receiver, Locust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from motel_locust.otlp.receiver_process import RunningReceiver, start_receiver
from tests.integration.collector import Collector, Exporter
from tests.integration.hosts import Host, Network, missing
from tests.integration.locust_runs import Locusts
from tests.integration.played import Collected, Play, traces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture
def collector(otelcol: Path, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a Collector and returns it when it accepts: ``collector()``, ``collector("nop")``."""
    started: list[Collector] = []

    def start(
        exporter: Exporter = "file",
        *,
        metrics: bool = False,
        span_metrics: bool = False,
        dimensions: Sequence[str] = (),
        host: Host | None = None,
    ) -> Collector:
        directory = tmp_path / f"collector{len(started)}"
        begun = Collector(
            otelcol,
            directory,
            exporter=exporter,
            metrics=metrics,
            span_metrics=span_metrics,
            dimensions=dimensions,
            host=host,
        )
        started.append(begun)
        begun.wait_until_ready()
        return begun

    yield start
    for begun in started:
        begun.end()


@pytest.fixture
def receiver() -> Iterator[RunningReceiver]:
    """Our own receiver, running, with ``endpoint``, ``report()`` so far, and ``stop()``."""
    running = start_receiver()
    yield running
    running.stop()


@pytest.fixture
def locust(tmp_path: Path) -> Iterator[Locusts]:
    """Runs Locust: ``locust.run(...)``, ``locust.start(...)``, ``locust.cluster(...)``."""
    locusts = Locusts(tmp_path)
    yield locusts
    locusts.end()


@pytest.fixture
def network() -> Iterator[Network]:
    """A switch for hosts of their own: ``network.host()``. First of all, so that it ends last."""
    if reason := missing():
        pytest.skip(reason)
    network = Network()
    yield network
    network.end()


@pytest.fixture
def play(collector: Callable[..., Collector], locust: Locusts, tmp_path: Path) -> Play:
    """Plays a topology, a file's or one given as a dictionary, with one user into a Collector."""

    def played(topology: dict[str, Any] | Path, *options: str, seconds: int = 2) -> Collected:
        sink = collector()
        path = topology if isinstance(topology, Path) else tmp_path / "topology.yaml"
        if not isinstance(topology, Path):
            path.write_text(json.dumps({"version": 1, **topology}))  # JSON is YAML
        finished = locust.run(
            *("--topology", path, "--host", sink.endpoint, "--headless", "--users", "1"),
            *("--run-time", f"{seconds}s", "--seed", "1", *options),
        )
        assert finished.code == 0, finished.stderr
        sink.stop()
        spans = sink.spans()
        assert len(spans) == finished.ledger["accepted"] == finished.ledger["generated"] > 0
        return Collected(finished, traces_of(spans))

    return played
