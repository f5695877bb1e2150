"""Spans as they arrived: out of what the Collector's file exporter, or ours, has written."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span with the resource and the scope that it came under."""

    resource: Resource
    scope: InstrumentationScope
    span: Span

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        (name,) = (
            a.value.string_value for a in self.resource.attributes if a.key == "service.name"
        )
        return name


def read_messages(path: Path) -> list[CollectedSpan]:
    """Return every span of a file with protobuf messages, each one ``TracesData``.

    Before each message stands its length in four bytes, as the Collector's file exporter has it:
    https://pkg.go.dev/github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter
    """
    content, at = path.read_bytes(), 0
    spans: list[CollectedSpan] = []
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        assert end <= len(content), f"{path} ends within a message"
        spans += _spans(TracesData.FromString(content[at + 4 : end]))
        at = end
    return spans


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
    return list(_spans(json_format.ParseDict(document, TracesData())))


def _spans(traces: TracesData) -> Iterator[CollectedSpan]:
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
