"""What came to the receiver, counted; the spans go on to the judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.judge import FaultCount, Judge

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest

SETTLE_S: Final = 5.0
"""A trace is judged when nothing came for it this long."""
SERVICES: Final = 10_000
"""Counted by name; what comes from further ones is counted together."""
FURTHER_SERVICES: Final = "(further services)"
UNNAMED: Final = "(unnamed)"


@dataclass(frozen=True, slots=True)
class Report:
    """What a receiver got so far."""

    requests: int
    refused: int
    """Requests that were answered with an error."""
    bytes: int
    """Of the accepted requests' bodies, uncompressed."""
    spans: int
    traces: int
    points: int
    records: int
    services: dict[str, dict[str, int]]
    """Items by service and kind: spans, points, records; only those that came."""
    judged: int
    """Traces looked at; where more came, these were chosen by a hash of their ids."""
    unfinished: int
    redelivered: int
    faults: dict[str, FaultCount]
    """By kind; traces are those judged."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return asdict(self)


class TraceWindow:
    """Tells which trace ids are new.

    It remembers ids for one to two periods of *period_s*, or of ID_LIMIT ids if these come first;
    a trace whose spans come further apart counts twice.
    """

    ID_LIMIT: Final = 500_000
    """Some 60 MB for the two periods."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._began_s = 0.0
        self._recent: set[bytes] = set()
        self._before: set[bytes] = set()

    def fresh(self, trace_ids: set[bytes], now_s: float) -> set[bytes]:
        """Return those of *trace_ids* that were not seen yet, and remember them."""
        if now_s - self._began_s >= self._period_s or len(self._recent) >= self.ID_LIMIT:
            self._before, self._recent, self._began_s = self._recent, set(), now_s
        fresh = trace_ids - self._recent - self._before
        self._recent |= trace_ids
        return fresh


class Tally:
    """Counts of what came, by signal and service."""

    def __init__(self, *, settle_s: float = SETTLE_S, now_s: float = 0.0) -> None:
        self.judge = Judge(settle_s=settle_s, now_s=now_s)
        self._window = TraceWindow(max(4 * settle_s, 20.0))
        self._spans: Counter[str] = Counter()  # by service, as the next two
        self._points: Counter[str] = Counter()
        self._records: Counter[str] = Counter()
        self._services: set[str] = set()
        self._requests = self._refused = self._bytes = self._traces = 0

    def refuse(self) -> None:
        """Count a request that was answered with an error."""
        self._requests += 1
        self._refused += 1

    def add(self, request: Request, *, size: int, now_s: float) -> None:
        """Count one request of *size* bytes."""
        self._requests += 1
        self._bytes += size
        match request:
            case ExportTraceServiceRequest():
                self._add_spans(request, now_s)
            case ExportMetricsServiceRequest():
                for of_metrics in request.resource_metrics:
                    self._points[self._service(of_metrics.resource)] += sum(
                        points(metric)
                        for scope in of_metrics.scope_metrics
                        for metric in scope.metrics
                    )
            case ExportLogsServiceRequest():
                for of_logs in request.resource_logs:
                    self._records[self._service(of_logs.resource)] += sum(
                        len(scope.log_records) for scope in of_logs.scope_logs
                    )

    def report(self) -> Report:
        """Return the counts so far."""
        services: dict[str, dict[str, int]] = {name: {} for name in sorted(self._services)}
        kinds = {"spans": self._spans, "points": self._points, "records": self._records}
        for kind, counts in kinds.items():
            for service, items in counts.items():
                services[service][kind] = items
        return Report(
            requests=self._requests,
            refused=self._refused,
            bytes=self._bytes,
            spans=self._spans.total(),
            traces=self._traces,
            points=self._points.total(),
            records=self._records.total(),
            services=services,
            judged=self.judge.judged,
            unfinished=self.judge.unfinished,
            redelivered=self.judge.redelivered,
            faults=dict(self.judge.faults),
        )

    def _add_spans(self, request: ExportTraceServiceRequest, now_s: float) -> None:
        for of_spans in request.resource_spans:
            service = self._service(of_spans.resource)
            for scope in of_spans.scope_spans:
                self._spans[service] += len(scope.spans)
                traces = {span.trace_id for span in scope.spans}
                fresh = self._window.fresh(traces, now_s)
                self._traces += len(fresh)
                self.judge.add(service, scope.spans, traces=traces, fresh=fresh, now_s=now_s)

    def _service(self, resource: Resource) -> str:
        name = next(
            (each.value.string_value for each in resource.attributes if each.key == "service.name"),
            UNNAMED,
        )
        if name not in self._services and len(self._services) >= SERVICES:
            name = FURTHER_SERVICES
        self._services.add(name)
        return name


def points(metric: Metric) -> int:
    """Return the number of data points of *metric*."""
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0
