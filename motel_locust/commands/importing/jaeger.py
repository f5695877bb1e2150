"""Jaeger JSON, as its query API and its UI give traces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_free_id, parse_ns
from motel_locust.commands.importing.intake import NO_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.intake import Intake

NS_PER_US: Final = 1000

KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}

TOLD_APART: Final = frozenset({"error", "span.kind", "otel.status_code", "internal.span.format"})
"""Tags that are no attributes but a span's status, kind, and the way it came."""


def take_document(document: dict[str, Any], intake: Intake) -> None:
    """Hand the spans of all traces in *document* to *intake*.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is not Jaeger JSON.
    """
    for trace in document["data"] or ():
        processes = trace.get("processes") or {}
        noted: set[str] = set()
        for span in trace["spans"]:
            process_id = span.get("processID", "")
            process = span.get("process") or processes.get(process_id) or {}
            service = intake.service(process.get("serviceName") or "unknown")
            if service.name not in noted:
                noted.add(service.name)
                service.resources.add(_typed(process.get("tags") or ()))
            tags = {tag["key"]: tag.get("value") for tag in span.get("tags") or ()}
            parent, detached = _parent(span)
            start_ns = parse_ns(span["startTime"]) * NS_PER_US
            intake.add(
                service.operation(span["operationName"]),
                _typed(span.get("tags") or ()),
                trace_id=parse_free_id(span["traceID"], TRACE_BYTES),
                span_id=parse_free_id(span["spanID"], SPAN_BYTES),
                parent_id=parent,
                start_ns=start_ns,
                end_ns=parse_ns(start_ns + parse_ns(span["duration"]) * NS_PER_US),
                failed=_failed(tags),
                kind=KINDS.get(str(tags.get("span.kind", "")).lower(), 0),
                detached=detached,
            )


def _parent(span: dict[str, Any]) -> tuple[bytes, bool]:
    """Return the id of the parent, and whether it did not wait for the span."""
    references = span.get("references") or ()
    for kind in ("CHILD_OF", "FOLLOWS_FROM"):
        for reference in references:
            # A reference to another trace is a link, not a parent.
            if reference.get("refType") == kind and reference["traceID"] == span["traceID"]:
                detached = kind == "FOLLOWS_FROM"
                return parse_free_id(reference["spanID"], SPAN_BYTES), detached
    older = span.get("parentSpanID")
    return (parse_free_id(older, SPAN_BYTES) if older else NO_PARENT), False


def _failed(tags: dict[str, Any]) -> bool:
    error = tags.get("error")
    return error is True or error == "true" or tags.get("otel.status_code") == "ERROR"


def _typed(tags: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Value | None]]:
    for tag in tags:
        key, value = tag["key"], tag.get("value")
        if key in TOLD_APART:
            continue
        if isinstance(value, float) and tag.get("type") == "int64":
            value = int(value)
        usable = isinstance(value, (str, bool, int, float)) and (
            not isinstance(value, float) or math.isfinite(value)
        )
        yield key, value if usable else None
