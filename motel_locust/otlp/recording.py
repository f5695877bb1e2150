"""The format of recordings: a trace is one JSON object, by convention on one line. No I/O.

::

    {"trace_id": "9f…", "spans": [
      {"span_id": "a1", "service": "shop", "operation": "GET /cart", "kind": "server",
       "start": "2026-03-01T10:00:00.000000125Z", "end": "2026-03-01T10:00:00.02Z",
       "attributes": {"http.response.status_code": 200}, "resource": {"host.name": "a"}},
      {"span_id": "b2", "parent_id": "a1", "service": "db", "operation": "query",
       "start": "…", "end": "…", "error": true, "status": {"code": "error", "message": "timeout"},
       "events": [{"name": "exception", "time": "…", "attributes": {}}],
       "links": [{"trace_id": "9e…", "span_id": "c3", "attributes": {}}]}]}

What is empty is left out. Values of attributes are JSON's, but for these: bytes are
``{"$bytes": "<base64>"}``, numbers that are not finite ``{"$double": "NaN"}``, and a map whose only
key is one of these three stands in ``{"$map": {…}}``. Whole numbers are ``intValue`` of OTLP,
numbers with a point or an exponent ``doubleValue``. Where there is a ``status``, nothing is made up
for ``"error": true``, which alone means a status with a fixed message and an exception at the end.

Writing is here, reading in :mod:`motel_locust.otlp.recorded_fields`.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from motel_locust.engine.recorded import (
        RecordedAttributes,
        RecordedEvent,
        RecordedLink,
        RecordedSpan,
        RecordedValue,
    )

NS_PER_S: Final = 1_000_000_000

DOUBLES: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON does not know, by what stands for them."""
_MARKS: Final = frozenset(("$bytes", "$double", "$map"))


def span_text(span: RecordedSpan) -> str:
    """Return *span* as JSON, without line breaks."""
    fields: dict[str, Any] = {"span_id": span.span_id}
    if span.parent_id:
        fields["parent_id"] = span.parent_id
    fields |= {
        "service": span.service,
        "operation": span.operation,
        "start": time_text(span.start_ns),
        "end": time_text(span.end_ns),
    }
    if span.failed:
        fields["error"] = True
    if span.kind is not None:
        fields["kind"] = span.kind.name.lower()
    _put_attributes(fields, "attributes", span.attributes)
    _put_attributes(fields, "resource", span.resource)
    if span.status is not None:
        fields["status"] = {"code": span.status.code}
        if span.status.message:
            fields["status"]["message"] = span.status.message
    if span.events:
        fields["events"] = [_event_fields(event) for event in span.events]
    if span.links:
        fields["links"] = [_link_fields(link) for link in span.links]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def trace_line(trace_id: str, spans: Iterable[str]) -> str:
    """Return the line, without its end, of a trace whose *spans* are from :func:`span_text`."""
    return f'{{"trace_id":{json.dumps(trace_id)},"spans":[{",".join(spans)}]}}'


def _event_fields(event: RecordedEvent) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": event.name, "time": time_text(event.time_ns)}
    _put_attributes(fields, "attributes", event.attributes)
    return fields


def _link_fields(link: RecordedLink) -> dict[str, Any]:
    fields: dict[str, Any] = {"trace_id": link.trace_id, "span_id": link.span_id}
    _put_attributes(fields, "attributes", link.attributes)
    return fields


def _put_attributes(fields: dict[str, Any], name: str, attributes: RecordedAttributes) -> None:
    if attributes:
        fields[name] = {key: _json_value(value) for key, value in attributes.items()}


def _json_value(value: RecordedValue) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return {"$double": _double_text(value)}
        case bytes():
            return {"$bytes": b64encode(value).decode()}
        case list():
            return [_json_value(inner) for inner in value]
        case dict():
            fields = {key: _json_value(inner) for key, inner in value.items()}
            return {"$map": fields} if len(fields) == 1 and fields.keys() <= _MARKS else fields
        case _:
            return value


def _double_text(value: float) -> str:
    return next(text for text, known in DOUBLES.items() if repr(known) == repr(value))


def time_text(time_ns: int) -> str:
    """Return a Unix time as RFC 3339 has it, in UTC, with as many decimals as it needs."""
    second, fraction = divmod(time_ns, NS_PER_S)
    decimals = f".{fraction:09}".rstrip("0") if fraction else ""
    return f"{_second_text(second)}{decimals}Z"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
