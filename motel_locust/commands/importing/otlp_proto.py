"""OTLP protobuf: ``ExportTraceServiceRequest``, which reads like ``TracesData``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from motel_locust.commands.importing import recorded_proto
from motel_locust.commands.importing.ids import LATEST_NS, SPAN_BYTES, TRACE_BYTES
from motel_locust.commands.importing.intake import NO_PARENT
from motel_locust.commands.importing.otlp_json import NOTHING, service_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.intake import Intake, ServiceIntake

_SCALARS: Final = frozenset({"string_value", "int_value", "bool_value"})
_KINDS: Final = 6
"""Numbers of ``Span.SpanKind`` end before this."""


def take_request(request: ExportTraceServiceRequest, intake: Intake) -> None:
    """Hand the spans of *request* to *intake*.

    Raises:
        ValueError: if a span's ids or times are none.
    """
    for resource_spans in request.resource_spans:
        content = resource_spans.resource.SerializeToString()
        known = intake.known_resource(content, content)
        resource = known or dict(_typed(resource_spans.resource.attributes, NOTHING))
        for scope_spans in resource_spans.scope_spans:
            service = intake.service(service_name(resource, scope_spans.scope.name))
            if known is None:
                service.resources.add(resource.items())
            for span in scope_spans.spans:
                _take_span(span, service, intake, resource_spans.resource)
        if known is None:
            intake.keep_resource(content, content, resource)


def _typed(attributes: Iterable[KeyValue], ignored: Set[str]) -> Iterator[tuple[str, Value | None]]:
    for attribute in attributes:
        key = attribute.key
        if key in ignored:
            continue
        value = attribute.value
        kind = value.WhichOneof("value")
        if kind in _SCALARS:
            yield key, getattr(value, kind)
        elif kind == "double_value" and math.isfinite(value.double_value):
            yield key, value.double_value
        else:
            yield key, None


def _take_span(span: Span, service: ServiceIntake, intake: Intake, resource: Resource) -> None:
    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
    if len(trace_id) != TRACE_BYTES or len(span_id) != SPAN_BYTES:
        raise ValueError(
            f"a span has a trace id of {len(trace_id)} and a span id of {len(span_id)} bytes"
            f" instead of {TRACE_BYTES} and {SPAN_BYTES}; are these metrics or logs?"
        )
    if len(parent_id) not in (0, SPAN_BYTES):
        raise ValueError(f"a parent's id has {len(parent_id)} bytes instead of {SPAN_BYTES}")
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    if max(start_ns, end_ns) > LATEST_NS:
        raise ValueError(f"{max(start_ns, end_ns)} ns is not a time between 1970 and 2262")
    operation = service.operation(span.name)
    intake.add(
        operation,
        _typed(span.attributes, operation.attributes.ignored),
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id or NO_PARENT,
        start_ns=start_ns,
        end_ns=end_ns,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        kind=span.kind if 0 <= span.kind < _KINDS else 0,
    )
    if intake.recorder is not None:
        intake.recorder.put(trace_id, recorded_proto.span(span, operation, resource))
