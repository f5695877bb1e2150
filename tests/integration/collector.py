"""A real OpenTelemetry Collector, the judge of what we send."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any, Literal

from tests.integration.child import Child, free_port
from tests.integration.collected import (
    CollectedMetric,
    CollectedRecord,
    CollectedSpan,
    read_messages,
    read_metrics,
    read_records,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.hosts import Host

Exporter = Literal["file", "nop"]

SENT_POINTS = "otelcol_exporter_sent_metric_points"


class Collector:
    """A Collector that takes OTLP and keeps (``file``) or forgets (``nop``) what comes.

    ``endpoint`` is what ``--host`` wants, ``grpc_endpoint`` the same for gRPC. With *metrics* it
    also counts what it accepts, see :meth:`metric`; without, that costs it nothing. With
    *span_metrics* it makes metrics of the spans itself, apart by the attributes *dimensions*, see
    :meth:`span_metrics`. It runs on *host*, or on this one.
    """

    def __init__(
        self,
        program: Path,
        directory: Path,
        *,
        exporter: Exporter,
        metrics: bool,
        span_metrics: bool = False,
        dimensions: Sequence[str] = (),
        host: Host | None = None,
    ) -> None:
        directory.mkdir()
        self._address = host.address if host else "127.0.0.1"
        self._port, self._grpc_port = free_port(), free_port()
        self._metrics_port = free_port() if metrics else None
        self._directory, self._span_metrics = directory, span_metrics
        self._dimensions = dimensions
        self._ready_s = 0.0
        self.endpoint = f"http://{self._address}:{self._port}"
        self.grpc_endpoint = f"http://{self._address}:{self._grpc_port}"
        config = directory / "config.yaml"
        config.write_text(json.dumps(self._config(exporter)))  # JSON is YAML
        command = [*(host.prefix if host else ()), program, "--config", config.name]
        self._child = Child(directory.name, command, directory=directory)

    def wait_until_ready(self) -> None:
        """Return when it accepts spans."""
        self._child.until(lambda: "Everything is ready" in self._child.stderr, "ready")
        self._ready_s = time.monotonic()

    def metric(self, name: str) -> float:
        """Return one of the Collector's own counters, all its series added up, 0 if it has none.

        An example is ``otelcol_receiver_accepted_spans``.
        """
        assert self._metrics_port is not None, "start the Collector with metrics=True"
        return read_metric(self._metrics_port, name)

    def wait_for_span_metrics(self) -> None:
        """Return when all spans that were accepted are in what its spanmetrics connector says.

        No other metrics may be under way.
        """
        # It tells on an interval, and nothing at its end. What it tells now may lack the last
        # spans; what it begins to tell after that has them.
        for _ in range(2):
            told = self.metric(SENT_POINTS)
            self._child.until(lambda told=told: self.metric(SENT_POINTS) > told, "telling")

    def stop(self) -> None:
        """Stop it in good order, so that all that it accepted is in its file."""
        # It says that it is ready a moment before it listens for signals (Run in its collector.go),
        # and nothing shows the latter. A signal in between ends it without a flush: 7 in 100 times
        # on a busy machine, never once it is this old.
        time.sleep(max(self._ready_s + 0.3 - time.monotonic(), 0))
        assert self._child.stop() == 0, self._child.stderr

    def spans(self) -> list[CollectedSpan]:
        """Return every span that was accepted; stop the Collector first."""
        return read_messages(self._file("traces"))

    def metrics(self) -> list[CollectedMetric]:
        """Return every metric that was accepted; stop the Collector first."""
        return read_metrics(self._file("metrics"))

    def records(self) -> list[CollectedRecord]:
        """Return every log record that was accepted; stop the Collector first."""
        return read_records(self._file("logs"))

    def span_metrics(self) -> list[CollectedMetric]:
        """Return what its spanmetrics connector made of the spans; stop the Collector first."""
        return read_metrics(self._file("spanmetrics"))

    def _file(self, name: str) -> Path:
        assert not self._child.running, "the Collector still holds back what it has not flushed"
        return self._directory / f"{name}.binpb"

    def end(self) -> None:
        self._child.end()

    def _config(self, exporter: Exporter) -> dict[str, Any]:
        pipelines: dict[str, Any] = {}
        exporters: dict[str, Any] = {}
        connectors: dict[str, Any] = {}
        for signal in ("traces", "metrics", "logs"):
            name = f"file/{signal}" if exporter == "file" else "nop"
            exporters[name] = self._writer(signal) if exporter == "file" else {}
            pipelines[signal] = {"receivers": ["otlp"], "exporters": [name]}
        if self._span_metrics:
            connectors["spanmetrics"] = {
                "metrics_flush_interval": "200ms",
                "dimensions": [{"name": name} for name in self._dimensions],
            }
            exporters["file/spanmetrics"] = self._writer("spanmetrics")
            pipelines["traces"]["exporters"].append("spanmetrics")
            pipelines["metrics/spans"] = {
                "receivers": ["spanmetrics"],
                "exporters": ["file/spanmetrics"],
            }
        metrics: dict[str, Any] = {"level": "none"}
        if self._metrics_port is not None:
            prometheus = {"host": "127.0.0.1", "port": self._metrics_port}
            metrics = {"readers": [{"pull": {"exporter": {"prometheus": prometheus}}}]}
        return {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "http": {"endpoint": f"{self._address}:{self._port}"},
                        "grpc": {"endpoint": f"{self._address}:{self._grpc_port}"},
                    }
                }
            },
            "exporters": exporters,
            "connectors": connectors,
            "service": {"telemetry": {"metrics": metrics}, "pipelines": pipelines},
        }

    def _writer(self, name: str) -> dict[str, Any]:
        # Protobuf, as a test that reads 100,000 spans of JSON waits half a minute for it.
        return {"path": str(self._directory / f"{name}.binpb"), "format": "proto"}


def read_metric(port: int, name: str) -> float:
    """Return a counter of the Collector whose metrics are at *port*, all its series added up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        # The Prometheus exporter ends the name of a counter with _total.
        if line.split("{", 1)[0].removesuffix("_total") == name
    )
