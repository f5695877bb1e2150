"""A clock that moves when someone waits, and an endpoint that remembers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.engine.engine import Engine
from motel_locust.engine.logs import Logs
from motel_locust.engine.metrics import Metrics
from motel_locust.load.feed import Feed
from motel_locust.load.feeds import encode_logs, encode_spans
from motel_locust.load.meter import Meter
from motel_locust.load.outlet import Outlet
from motel_locust.load.pump import Pump
from motel_locust.load.release import Release
from motel_locust.otlp.bodies import Heads
from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.metrics import MetricEncoder
from motel_locust.topology.model import Topology

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.otlp.ledger import Signal

EPOCH_NS = 1_700_000_000_000_000_000
START_NS = 5_000_000_000


class Clock:
    """Monotonic and Unix time; moves where somebody waits on it, and not beyond ``limit_ns``."""

    def __init__(self) -> None:
        self.now_ns = self.limit_ns = START_NS
        self.waits = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def unix_ns(self) -> int:
        return EPOCH_NS + self.now_ns - START_NS

    def now_s(self) -> float:
        return self.now_ns / 1e9

    def wait(self, alarm: Event, seconds: float) -> None:
        self.waits += 1
        until_ns = self.now_ns + round(seconds * 1e9)
        gevent.sleep(1e-6)
        while not alarm.is_set() and self.now_ns < until_ns:
            self.now_ns = max(self.now_ns, min(until_ns, self.limit_ns))
            gevent.sleep(1e-6)


class Endpoint:
    """Takes every body, once its gate is open, and remembers when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.gate = Event()
        self.gate.set()
        self.bodies: list[tuple[float, bytes]] = []

    def send(self, content: bytes, items: int) -> Answer:
        self.gate.wait()
        self.bodies.append((self.clock.now_s() - START_NS / 1e9, content))
        return Answer(Cause.ACK)

    def close(self) -> None:
        pass

    def spans(self) -> list[Span]:
        return [
            span
            for _, content in self.bodies
            for resource in ExportTraceServiceRequest.FromString(content).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def records(self) -> list[LogRecord]:
        return [
            record
            for _, content in self.bodies
            for resource in ExportLogsServiceRequest.FromString(content).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def points(self) -> list[NumberDataPoint]:
        """The points of a counter."""
        return [
            point
            for _, content in self.bodies
            for resource in ExportMetricsServiceRequest.FromString(content).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.sum.data_points
        ]

    def traces(self) -> dict[bytes, list[Span]]:
        traces = defaultdict(list)
        for span in self.spans():
            traces[span.trace_id].append(span)
        return traces


class Bench:
    """A pump on a clock of its own, with one user class, and the endpoint that it feeds."""

    def __init__(
        self,
        *,
        rate: str = "100/s",
        duration: str = "5ms",
        errors: str = "0%",
        scenarios: Sequence[Mapping[str, Any]] = (),
        realtime: bool = False,
        wait_on_full: bool = False,
        queue_bytes: int = 1 << 24,
        flush_interval_s: float = 0.1,
        signals: Sequence[Signal] = ("traces",),
        collection_s: float = 1.0,
    ) -> None:
        self.clock = Clock()
        self.ledger = Ledger(signals)
        self.endpoints = {signal: Endpoint(self.clock) for signal in signals}
        topology = Topology.model_validate(
            {
                "version": 1,
                "services": {
                    "front": {
                        "operations": {"get": {"duration": duration, "calls": ["back.find"]}},
                        "metrics": [{"name": "front.spans", "type": "counter"}],
                        "logs": [{"severity": "INFO", "body": "got it", "at": "end"}],
                    },
                    "back": {"operations": {"find": {"duration": duration, "error_rate": errors}}},
                },
                "traffic": {"rate": rate},
                "scenarios": list(scenarios),
            }
        )
        outlets = {
            signal: Outlet(
                signal,
                Heads({"front": {}, "back": {}}, {}),
                Exporter(
                    endpoint,
                    self.ledger,
                    signal=signal,
                    queue_bytes=queue_bytes,
                    connections=1,
                    now=self.clock.now_s,
                    on_settled=lambda _: self.pump.wake(),
                ),
                flush_interval_s=flush_interval_s,
            )
            for signal, endpoint in self.endpoints.items()
        }
        timing = {"seed": 7, "epoch_ns": EPOCH_NS, "realtime": realtime}
        makes = {
            "traces": encode_spans(),
            "logs": encode_logs(Logs(topology, slow_ns=0, **timing)),
        }
        interval_ns = round(collection_s * 1e9)
        self.feed = Feed(
            Engine(topology, **timing),
            {outlets[signal]: made for signal, made in makes.items() if signal in outlets},
            Meter(
                Metrics(topology, interval_ns=interval_ns, **timing),
                MetricEncoder(),
                outlets["metrics"],
                interval_ns=interval_ns,
            )
            if "metrics" in outlets
            else None,
            epoch_ns=EPOCH_NS,
            flush_interval_s=flush_interval_s,
            realtime=realtime,
        )
        self.release = Release(
            EPOCH_NS,
            unix_ns=self.clock.unix_ns,
            monotonic_ns=self.clock.monotonic_ns,
            wait=self.clock.wait,
        )
        self.pump = Pump(
            self.release,
            lambda: {"Shopper": self.feed},
            ledger=self.ledger,
            wait_on_full=wait_on_full,
            drain_s=1.0,
        )

    @property
    def endpoint(self) -> Endpoint:
        """Where the spans go."""
        return self.endpoints["traces"]

    def join(self, *users: str) -> None:
        for user in users:
            self.pump.join(user, "Shopper")

    def run_until(self, seconds: float) -> None:
        """Let the pump work until its clock shows *seconds* since the epoch."""
        self.clock.limit_ns = START_NS + round(seconds * 1e9)
        while self.clock.now_ns < self.clock.limit_ns:
            gevent.sleep(1e-6)
        gevent.sleep(1e-3)  # what is due at this very instant is still done
