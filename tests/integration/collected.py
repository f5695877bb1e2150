"""What arrived: out of what the Collector's file exporter, or ours, has written."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Data = TypeVar("Data", TracesData, MetricsData, LogsData)


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span with the resource and the scope that it came under."""

    resource: Resource
    scope: InstrumentationScope
    span: Span

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        return resource_text(self.resource, "service.name")


@dataclass(frozen=True, slots=True)
class CollectedMetric:
    """A metric of one export, with the resource and the scope that it came under."""

    resource: Resource
    scope: InstrumentationScope
    metric: Metric

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        return resource_text(self.resource, "service.name")

    @property
    def points(self) -> list[Any]:
        """Its data points, of whatever kind."""
        return list(getattr(self.metric, str(self.metric.WhichOneof("data"))).data_points)


@dataclass(frozen=True, slots=True)
class CollectedRecord:
    """A log record with the resource and the scope that it came under."""

    resource: Resource
    scope: InstrumentationScope
    record: LogRecord

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        return resource_text(self.resource, "service.name")


def resource_text(resource: Resource, key: str) -> str:
    """Return the attribute *key* of *resource*, a text."""
    (text,) = (a.value.string_value for a in resource.attributes if a.key == key)
    return text


def read_messages(path: Path) -> list[CollectedSpan]:
    """Return every span of a file with protobuf messages."""
    return [span for traces in _read(path, TracesData) for span in spans_of(traces)]


def read_metrics(path: Path) -> list[CollectedMetric]:
    """Return every metric of a file with protobuf messages."""
    return [
        CollectedMetric(found.resource, scope.scope, metric)
        for data in _read(path, MetricsData)
        for found in data.resource_metrics
        for scope in found.scope_metrics
        for metric in scope.metrics
    ]


def read_records(path: Path) -> list[CollectedRecord]:
    """Return every log record of a file with protobuf messages."""
    return [
        CollectedRecord(found.resource, scope.scope, record)
        for data in _read(path, LogsData)
        for found in data.resource_logs
        for scope in found.scope_logs
        for record in scope.log_records
    ]


def _read(path: Path, data: type[Data]) -> Iterator[Data]:
    """Yield the messages of a file.

    Before each message stands its length in four bytes, as the Collector's file exporter has it:
    https://pkg.go.dev/github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter
    """
    content, at = path.read_bytes(), 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        assert end <= len(content), f"{path} ends within a message"
        yield data.FromString(content[at + 4 : end])
        at = end


def read_lines(path: Path) -> list[CollectedSpan]:
    """Return every span of a file with lines of OTLP JSON, each one ``TracesData``."""
    with path.open(encoding="utf-8") as lines:
        return [span for line in lines for span in parse_traces(json.loads(line))]


def parse_traces(document: dict[str, Any]) -> list[CollectedSpan]:
    """Return the spans of one OTLP JSON ``TracesData``, which is changed on the way."""
    for resource_spans in document.get("resourceSpans", ()):
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                _ids_as_protobuf_has_them(span)
                for link in span.get("links", ()):
                    _ids_as_protobuf_has_them(link)
    return list(spans_of(json_format.ParseDict(document, TracesData())))


def spans_of(traces: TracesData) -> Iterator[CollectedSpan]:
    """Yield every span, with its resource and scope."""
    for resource_spans in traces.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield CollectedSpan(resource_spans.resource, scope_spans.scope, span)


def _ids_as_protobuf_has_them(holder: dict[str, Any]) -> None:
    # OTLP's JSON writes ids in hex, where protobuf's own mapping has base64 for every bytes field:
    # https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    for key in ("traceId", "spanId", "parentSpanId"):
        if key in holder:
            holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
