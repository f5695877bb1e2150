"""Requests for tests of delivery and of the receiver."""

from __future__ import annotations

import itertools

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.otlp.delivery import Body

_numbers = itertools.count(1)


def trace_request(spans: int, *, service: str = "shop", padding: int = 0) -> bytes:
    """Return a request with one whole trace: a root and its children."""
    number = next(_numbers)
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.add(key="service.name").value.string_value = service
    of_scope = of_resource.scope_spans.add()
    for index in range(spans):
        of_scope.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=(index + 1).to_bytes(8, "big"),
            parent_span_id=(1).to_bytes(8, "big") if index else b"",
            name="GET /" + "x" * padding,
            start_time_unix_nano=10**18 + index,
            end_time_unix_nano=10**18 + 100,
        )
    return request.SerializeToString()


def body(spans: int = 3, *, at_s: float = 1000.0, padding: int = 0) -> Body:
    return Body("traces", trace_request(spans, padding=padding), spans, at_s, at_s)
