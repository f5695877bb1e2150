"""What the Go SDK's stdouttrace exporter writes: one span a line, as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.ids import SPAN_BYTES, TRACE_BYTES, parse_id, parse_rfc3339
from motel_locust.commands.importing.intake import LEFT_OUT, NO_PARENT
from motel_locust.commands.importing.otlp_json import UNNAMED
from motel_locust.engine import recorded
from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
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

KINDS: Final = 6
"""Numbers of the SDK's own SpanKind end before this; they are those of OTLP."""
SCALARS: Final = frozenset({"BOOL", "INT64", "FLOAT64", "STRING"})


def take_document(line: dict[str, Any], intake: Intake) -> None:
    """Hand the span of *line* to *intake*.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is no span.
    """
    resource = dict(_typed(line.get("Resource") or ()))
    attributes = dict(_typed(line.get("Attributes") or ()))
    service = intake.service(_service_name(line, resource, attributes))
    service.resources.add(resource.items())
    context, parent = line["SpanContext"], line.get("Parent") or {}
    parent_id = parent.get("SpanID")
    kind = line.get("SpanKind", 0)
    operation = service.operation(line.get("Name", ""))
    trace_id = parse_id(context["TraceID"], TRACE_BYTES)
    intake.add(
        operation,
        attributes.items(),
        trace_id=trace_id,
        span_id=parse_id(context["SpanID"], SPAN_BYTES),
        parent_id=parse_id(parent_id, SPAN_BYTES) if parent_id else NO_PARENT,
        start_ns=parse_rfc3339(line["StartTime"]),
        end_ns=parse_rfc3339(line["EndTime"]),
        failed=(line.get("Status") or {}).get("Code") == "Error",
        kind=kind if isinstance(kind, int) and 0 <= kind < KINDS else 0,
    )
    if intake.recorder is not None:
        intake.recorder.put(trace_id, _recorded(line, operation))


def _recorded(line: dict[str, Any], operation: OperationIntake) -> RecordedSpan:
    """Return the span of *line* with all that it has; its ids and times are known to be right."""
    parent, status = (line.get("Parent") or {}).get("SpanID", ""), line.get("Status") or {}
    kind, code = line.get("SpanKind", 0), str(status.get("Code", "Unset")).lower()
    known = code in (recorded.ERROR, recorded.OK)
    return RecordedSpan(
        span_id=line["SpanContext"]["SpanID"],
        service=operation.service,
        operation=operation.name,
        start_ns=parse_rfc3339(line["StartTime"]),
        end_ns=parse_rfc3339(line["EndTime"]),
        parent_id=parent.strip("0") and parent,
        failed=code == recorded.ERROR,
        kind=Kind(kind) if kind in Kind.__members__.values() else None,
        attributes=_all(line.get("Attributes")),
        resource=_all(line.get("Resource")),
        events=tuple(
            RecordedEvent(
                event.get("Name", ""), parse_rfc3339(event["Time"]), _all(event.get("Attributes"))
            )
            for event in line.get("Events") or ()
        ),
        links=tuple(
            RecordedLink(
                link["SpanContext"]["TraceID"],
                link["SpanContext"]["SpanID"],
                _all(link.get("Attributes")),
            )
            for link in line.get("Links") or ()
        ),
        status=RecordedStatus(code, status.get("Description", "")) if known else None,
    )


def _all(attributes: Iterable[dict[str, Any]] | None) -> dict[str, RecordedValue]:
    return {
        each["Key"]: each["Value"].get("Value")
        for each in attributes or ()
        if each["Key"] not in LEFT_OUT
    }


def _typed(attributes: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Value | None]]:
    for attribute in attributes:
        value = attribute["Value"]
        content = value.get("Value")
        if value.get("Type") not in SCALARS or content is None:
            yield attribute["Key"], None
        elif value["Type"] == "FLOAT64":
            number = float(content)
            yield attribute["Key"], number if math.isfinite(number) else None
        else:
            yield attribute["Key"], content


def _service_name(
    line: dict[str, Any], resource: dict[str, Any], attributes: dict[str, Any]
) -> str:
    """Return the name that the resource has; else what motel notes on spans; else the scope's."""
    name = str(resource.get("service.name") or "")
    if name and not name.startswith(UNNAMED):
        return name
    scope = line.get("InstrumentationScope") or line.get("InstrumentationLibrary") or {}
    return str(attributes.get("synth.service") or scope.get("Name") or name or "unknown")
