"""OTLP JSON: ``ExportTraceServiceRequest``, and what Tempo writes, with its older names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_id, parse_ns
from motel_locust.commands.importing.intake import NO_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.intake import Intake, ServiceIntake

KINDS: Final = {
    name: number
    for number, word in enumerate(
        ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    )
    for name in (number, f"SPAN_KIND_{word}")
}
"""``Span.SpanKind`` by number and by name."""

ERROR: Final = frozenset({2, "STATUS_CODE_ERROR"})

UNNAMED: Final = "unknown_service"
"""What SDKs call a service that was given no name begins like this."""


def take_document(document: dict[str, Any], intake: Intake) -> None:
    """Hand the spans of a request to *intake*.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is not OTLP JSON.
    """
    for resource_spans in document.get("resourceSpans") or document.get("batches") or ():
        resource = dict(typed(resource_spans.get("resource", {}).get("attributes", ())))
        scopes = (
            resource_spans.get("scopeSpans")
            or resource_spans.get("instrumentationLibrarySpans")
            or ()
        )
        noted: set[str] = set()
        for scope_spans in scopes:
            scope = scope_spans.get("scope") or scope_spans.get("instrumentationLibrary") or {}
            service = intake.service(service_name(resource, scope.get("name", "")))
            if service.name not in noted:
                noted.add(service.name)
                service.resources.add(resource.items())
            for span in scope_spans.get("spans", ()):
                _take_span(span, service, intake)


def service_name(resource: dict[str, Any], scope: str) -> str:
    """Return the service's own name; if it was given none, that of the scope."""
    name = resource.get("service.name", "")
    if isinstance(name, str) and name and not name.startswith(UNNAMED):
        return name
    return scope or name or "unknown"


def typed(attributes: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Value | None]]:
    """Yield keys and values; None where the value is a list, a mapping, bytes or not finite."""
    for attribute in attributes:
        value = attribute.get("value") or {}
        for kind, content in value.items():
            if kind == "intValue":
                yield attribute["key"], int(content)
            elif kind == "doubleValue":
                number = float(content)
                yield attribute["key"], number if math.isfinite(number) else None
            elif kind in ("stringValue", "boolValue"):
                yield attribute["key"], content
            else:
                yield attribute["key"], None


def _take_span(span: dict[str, Any], service: ServiceIntake, intake: Intake) -> None:
    parent = span.get("parentSpanId")
    status = span.get("status")
    intake.add(
        service.operation(span.get("name", "")),
        typed(span.get("attributes", ())),
        trace_id=parse_id(span["traceId"], TRACE_BYTES),
        span_id=parse_id(span["spanId"], SPAN_BYTES),
        parent_id=parse_id(parent, SPAN_BYTES) if parent else NO_PARENT,
        start_ns=parse_ns(span["startTimeUnixNano"]),
        end_ns=parse_ns(span["endTimeUnixNano"]),
        failed=status is not None and status.get("code", 0) in ERROR,
        kind=KINDS.get(span.get("kind", 0), 0),
    )
