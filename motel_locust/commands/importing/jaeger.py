"""Jaeger JSON, as its query API and its UI give traces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_free_id, parse_ns
from motel_locust.commands.importing.intake import LEFT_OUT, NO_PARENT
from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
    ERROR,
    RecordedEvent,
    RecordedLink,
    RecordedSpan,
    RecordedStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.intake import Intake, OperationIntake
    from motel_locust.engine.recorded import RecordedValue

NS_PER_US: Final = 1000

KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}

TOLD_APART: Final = frozenset(
    {
        "error",
        "span.kind",
        "otel.status_code",
        "otel.status_description",
        "internal.span.format",
    }
)
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
            operation = service.operation(span["operationName"])
            trace_id = parse_free_id(span["traceID"], TRACE_BYTES)
            intake.add(
                operation,
                _typed(span.get("tags") or ()),
                trace_id=trace_id,
                span_id=parse_free_id(span["spanID"], SPAN_BYTES),
                parent_id=parent,
                start_ns=start_ns,
                end_ns=parse_ns(start_ns + parse_ns(span["duration"]) * NS_PER_US),
                failed=_failed(tags),
                kind=KINDS.get(str(tags.get("span.kind", "")).lower(), 0),
                detached=detached,
            )
            if intake.recorder is not None:
                intake.recorder.put(trace_id, _recorded(span, tags, process, operation))


def _recorded(
    span: dict[str, Any], tags: dict[str, Any], process: dict[str, Any], operation: OperationIntake
) -> RecordedSpan:
    """Return *span* with all that it has; its ids and times are known to be right."""
    parent, _ = _parent(span)
    start_ns = parse_ns(span["startTime"]) * NS_PER_US
    kind = KINDS.get(str(tags.get("span.kind", "")).lower(), 0)
    message = str(tags.get("otel.status_description") or "")
    return RecordedSpan(
        span_id=parse_free_id(span["spanID"], SPAN_BYTES).hex(),
        service=operation.service,
        operation=operation.name,
        start_ns=start_ns,
        end_ns=start_ns + parse_ns(span["duration"]) * NS_PER_US,
        parent_id=parent.hex() if any(parent) else "",
        failed=_failed(tags),
        kind=Kind(kind) if kind else None,
        attributes=_all(span.get("tags")),
        resource=_all(process.get("tags")),
        events=tuple(_event(log) for log in span.get("logs") or ()),
        links=tuple(
            RecordedLink(
                parse_free_id(reference["traceID"], TRACE_BYTES).hex(),
                parse_free_id(reference["spanID"], SPAN_BYTES).hex(),
            )
            for reference in span.get("references") or ()
            if reference["traceID"] != span["traceID"]
        ),
        status=RecordedStatus(ERROR, message) if _failed(tags) else None,
    )


def _event(log: dict[str, Any]) -> RecordedEvent:
    """Return a log of Jaeger, whose field ``event`` is the name."""
    attributes = _all(log.get("fields"))
    name = str(attributes.pop("event", ""))
    return RecordedEvent(name, parse_ns(log["timestamp"]) * NS_PER_US, attributes)


def _all(tags: Iterable[dict[str, Any]] | None) -> dict[str, RecordedValue]:
    return {
        key: value for key, value in _typed(tags or ()) if value is not None and key not in LEFT_OUT
    }


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
