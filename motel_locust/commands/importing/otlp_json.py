"""OTLP JSON: ``ExportTraceServiceRequest``, and what Tempo writes, with its older names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing import recorded_json
from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_id, parse_ns
from motel_locust.commands.importing.intake import NO_PARENT
from motel_locust.commands.importing.recorded_json import ERROR, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.intake import Intake, Resource, ServiceIntake

NOTHING: Final = frozenset[str]()

UNNAMED: Final = "unknown_service"
"""What SDKs call a service that was given no name begins like this."""


def take_document(document: dict[str, Any], intake: Intake) -> None:
    """Hand the spans of a request to *intake*.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is not OTLP JSON.
    """
    for resource_spans in document.get("resourceSpans") or document.get("batches") or ():
        listed = (resource_spans.get("resource") or {}).get("attributes") or ()
        resource, came_before = _resource(listed, intake)
        scopes = (
            resource_spans.get("scopeSpans")
            or resource_spans.get("instrumentationLibrarySpans")
            or ()
        )
        for scope_spans in scopes:
            scope = scope_spans.get("scope") or scope_spans.get("instrumentationLibrary") or {}
            service = intake.service(service_name(resource, scope.get("name", "")))
            if not came_before:
                service.resources.add(resource.items())
            for span in scope_spans.get("spans", ()):
                _take_span(span, service, intake, listed)


def _resource(listed: Sequence[dict[str, Any]], intake: Intake) -> tuple[Resource, bool]:
    """Return the attributes of a resource, and whether the very same was read before."""
    name = next((str(each.get("value")) for each in listed if each["key"] == "service.name"), "")
    if (known := intake.known_resource(name, listed)) is not None:
        return known, True
    resource = dict(_typed(listed, NOTHING))
    intake.keep_resource(name, listed, resource)
    return resource, False


def service_name(resource: dict[str, Any], scope: str) -> str:
    """Return the service's own name; if it was given none, that of the scope."""
    name = resource.get("service.name", "")
    if isinstance(name, str) and name and not name.startswith(UNNAMED):
        return name
    return scope or name or "unknown"


def _typed(
    attributes: Iterable[dict[str, Any]], ignored: Set[str]
) -> Iterator[tuple[str, Value | None]]:
    """Yield keys and values, but for *ignored* keys.

    None stands for a list, a mapping, bytes, and a number that is not finite.
    """
    for attribute in attributes:
        key = attribute["key"]
        if key in ignored:
            continue
        for kind, content in (attribute.get("value") or {}).items():
            if kind == "stringValue" or kind == "boolValue":
                yield key, content
            elif kind == "intValue":
                yield key, int(content)
            elif kind == "doubleValue" and math.isfinite(number := float(content)):
                yield key, number
            else:
                yield key, None


def _take_span(
    span: dict[str, Any],
    service: ServiceIntake,
    intake: Intake,
    resource: Sequence[dict[str, Any]],
) -> None:
    parent = span.get("parentSpanId")
    status = span.get("status")
    operation = service.operation(span.get("name", ""))
    trace_id = parse_id(span["traceId"], TRACE_BYTES)
    intake.add(
        operation,
        _typed(span.get("attributes", ()), operation.attributes.ignored),
        trace_id=trace_id,
        span_id=parse_id(span["spanId"], SPAN_BYTES),
        parent_id=parse_id(parent, SPAN_BYTES) if parent else NO_PARENT,
        start_ns=parse_ns(span["startTimeUnixNano"]),
        end_ns=parse_ns(span["endTimeUnixNano"]),
        failed=status is not None and status.get("code", 0) in ERROR,
        kind=KINDS.get(span.get("kind", 0), 0),
    )
    if intake.recorder is not None:
        intake.recorder.put(trace_id, recorded_json.span(span, operation, resource))
