"""A canary of each signal: one item that an endpoint is to accept, easy to find again."""

from __future__ import annotations

import http.client
import os
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_INFO,
    LogRecord,
    ResourceLogs,
    ScopeLogs,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from motel_locust import __version__
from motel_locust.otlp.answers import PROTOBUF, http_answer
from motel_locust.otlp.attributes import key_values
from motel_locust.otlp.bodies import NAME
from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.transports import open_transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.settings import Settings

SERVICE: Final = "motel-doctor"
OPERATION: Final = "motel.doctor.canary"
ACKNOWLEDGED_S: Final = 5.0
ANSWER_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Canary:
    """One request with one item."""

    content: bytes
    ids: tuple[str, str] | None = None
    """Trace and span id in hexadecimal, of a span."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a canary."""

    answer: Answer
    status: int | None = None
    """Of the HTTP answer, if one came."""
    skew_s: float | None = None
    """How far the endpoint's clock is ahead of ours, to about a second; None if it says nothing."""


def make_canary(signal: Signal) -> Canary:
    """Return a fresh canary of *signal*."""
    resource = Resource(
        attributes=key_values({"service.name": SERVICE, "motel.version": __version__})
    )
    scope = InstrumentationScope(
        name=NAME, version=__version__, attributes=key_values({"motel.synthetic": True})
    )
    now_ns = time.time_ns()  # an item that is stamped with the present is where people look
    match signal:
        case "traces":
            trace_id, span_id = os.urandom(16), os.urandom(8)
            span = Span(
                trace_id=trace_id,
                span_id=span_id,
                name=OPERATION,
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=now_ns - 1_000_000,
                end_time_unix_nano=now_ns,
            )
            spans = ResourceSpans(
                resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=[span])]
            )
            request = ExportTraceServiceRequest(resource_spans=[spans])
            return Canary(request.SerializeToString(), (trace_id.hex(), span_id.hex()))
        case "metrics":
            point = NumberDataPoint(time_unix_nano=now_ns, as_int=1)
            metric = Metric(name=OPERATION, unit="1", gauge=Gauge(data_points=[point]))
            metrics = ResourceMetrics(
                resource=resource, scope_metrics=[ScopeMetrics(scope=scope, metrics=[metric])]
            )
            return Canary(
                ExportMetricsServiceRequest(resource_metrics=[metrics]).SerializeToString()
            )
        case "logs":
            record = LogRecord(
                time_unix_nano=now_ns,
                observed_time_unix_nano=now_ns,
                severity_number=SEVERITY_NUMBER_INFO,
                severity_text="INFO",
                body=AnyValue(string_value=OPERATION),
            )
            logs = ResourceLogs(
                resource=resource, scope_logs=[ScopeLogs(scope=scope, log_records=[record])]
            )
            return Canary(ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString())


def send_canary(
    canary: Canary,
    settings: Settings,
    context: ssl.SSLContext | None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Outcome:
    """Send *canary* once, as *settings* say; *context* is for TLS over HTTP."""
    if settings.over_grpc:
        with closing(open_transport(settings)) as transport:
            return Outcome(transport.send(canary.content, 1))
    try:
        return _post(canary, settings, context, now)
    except TimeoutError:
        return Outcome(Answer(Cause.LOSS, "no answer in time"))
    except http.client.BadStatusLine:  # or no line at all
        return Outcome(Answer(Cause.LOSS, "no answer that is HTTP"))
    except (OSError, http.client.HTTPException) as error:
        return Outcome(Answer(Cause.LOSS, "connection lost", detail=str(error)))


def _post(
    canary: Canary,
    settings: Settings,
    context: ssl.SSLContext | None,
    now: Callable[[], datetime],
) -> Outcome:
    endpoint, limit_s = settings.endpoint, min(ACKNOWLEDGED_S, settings.timeout_s)
    connection = (
        http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=limit_s, context=context)
        if context
        else http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=limit_s)
    )
    with closing(connection):
        # Headers of the user's win; uncompressed, as one span is not worth a compression.
        headers = {"Content-Type": PROTOBUF, "User-Agent": f"{NAME}/{__version__}"}
        connection.request("POST", endpoint.path, canary.content, headers | dict(settings.headers))
        response = connection.getresponse()
        came = now()
        answer = http_answer(
            response.status,
            response.read(ANSWER_BYTES),
            content_type=response.headers.get("content-type", ""),
            retry_after=response.headers.get("retry-after"),
            now=came,
            signal=settings.signal,
            items=1,
        )
    return Outcome(answer, response.status, _skew_s(response.headers.get("date"), came))


def _skew_s(date: str | None, came: datetime) -> float | None:
    """Return how far a Date header is ahead of *came*; RFC 9110, section 6.6.1."""
    if date is None:
        return None
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    # Dates are cut to whole seconds: half a second is what is missing on average.
    return (told.replace(tzinfo=told.tzinfo or UTC) - came).total_seconds() + 0.5
