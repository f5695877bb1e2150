"""The fields of a recorded trace, read from parsed JSON and judged; no I/O.

The format is told in :mod:`motel_locust.otlp.recording`. Names of fields are read in any letter
case, unknown ones are ignored, and missing ones are empty, but for times, which are required.
"""

from __future__ import annotations

import calendar
import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
    ERROR,
    OK,
    UNSET,
    RecordedEvent,
    RecordedLink,
    RecordedSpan,
    RecordedStatus,
    RecordedTrace,
)
from motel_locust.otlp.recording import DOUBLES, NS_PER_S
from motel_locust.topology.diagnostics import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.engine.recorded import RecordedAttributes, RecordedValue

LAST_NS: Final = 2**63 - 1
CODES: Final = (UNSET, OK, ERROR)
TIME_FORM: Final = "2026-03-01T10:00:00.000000125Z"


class FormatError(ValueError):
    """A trace that is not written as it should be: where in it, what is wrong, what is right."""


def parse_trace(value: Any, line: int = 1) -> RecordedTrace:
    """Return the trace that parsed JSON holds, which began on *line*; raise FormatError."""
    fields = _fields(value, "a trace", _TRACE_FIELDS)
    spans = fields.get("spans") or []
    if not isinstance(spans, list):
        raise FormatError(f"spans {_found(spans)} is not a list")
    trace_id = _text(fields, "trace_id", "")
    return RecordedTrace(
        trace_id, tuple(_span(each, f"spans[{place}]") for place, each in enumerate(spans)), line
    )


_TRACE_FIELDS: Final = frozenset(("trace_id", "spans"))
_SPAN_FIELDS: Final = frozenset(
    (
        *("span_id", "parent_id", "service", "operation", "start", "end", "error", "kind"),
        *("attributes", "resource", "events", "links", "status"),
    )
)
_EVENT_FIELDS: Final = frozenset(("name", "time", "attributes"))
_LINK_FIELDS: Final = frozenset(("trace_id", "span_id", "attributes"))
_STATUS_FIELDS: Final = frozenset(("code", "message"))


def _span(value: Any, where: str) -> RecordedSpan:
    fields = _fields(value, where, _SPAN_FIELDS)
    start_ns, end_ns = (_time_ns(fields, name, where) for name in ("start", "end"))
    failed = fields.get("error")
    if failed is not None and not isinstance(failed, bool):
        raise FormatError(f"{where}.error {_found(failed)} is not true or false")
    status = _status(fields.get("status"), where)
    return RecordedSpan(
        span_id=_text(fields, "span_id", where),
        service=_text(fields, "service", where),
        operation=_text(fields, "operation", where),
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
        parent_id=_text(fields, "parent_id", where),
        failed=bool(failed) if status is None else status.code == ERROR,
        kind=_kind(fields.get("kind"), where),
        attributes=_attributes(fields, "attributes", where),
        resource=_attributes(fields, "resource", where),
        events=_several(fields, "events", where, _event),
        links=_several(fields, "links", where, _link),
        status=status,
    )


def _event(value: Any, where: str) -> RecordedEvent:
    fields = _fields(value, where, _EVENT_FIELDS)
    return RecordedEvent(
        _text(fields, "name", where),
        _time_ns(fields, "time", where),
        _attributes(fields, "attributes", where),
    )


def _link(value: Any, where: str) -> RecordedLink:
    fields = _fields(value, where, _LINK_FIELDS)
    return RecordedLink(
        _text(fields, "trace_id", where),
        _text(fields, "span_id", where),
        _attributes(fields, "attributes", where),
    )


def _status(value: Any, where: str) -> RecordedStatus | None:
    if value is None:
        return None
    fields = _fields(value, f"{where}.status", _STATUS_FIELDS)
    code = _text(fields, "code", f"{where}.status").lower() or UNSET
    if code not in CODES:
        raise FormatError(f"{where}.status.code {quoted(code)} is not known; write ok or error")
    return RecordedStatus(code, _text(fields, "message", f"{where}.status"))


_KINDS: Final[Mapping[str, Kind | None]] = {
    "": None,
    "unspecified": None,
    **{kind.name.lower(): kind for kind in Kind},
}


def _kind(value: Any, where: str) -> Kind | None:
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in _KINDS:
        kinds = ", ".join(kind.name.lower() for kind in Kind)
        raise FormatError(f"{where}.kind {_found(value)} is not known; write one of {kinds}")
    return _KINDS[value.lower()]


Part = TypeVar("Part")


def _several(
    fields: Mapping[str, Any], name: str, where: str, parse: Callable[[Any, str], Part]
) -> tuple[Part, ...]:
    values = fields.get(name)
    if not values:
        return ()
    if not isinstance(values, list):
        raise FormatError(f"{where}.{name} {_found(values)} is not a list")
    return tuple(parse(each, f"{where}.{name}[{place}]") for place, each in enumerate(values))


def _attributes(fields: Mapping[str, Any], name: str, where: str) -> RecordedAttributes:
    values = fields.get(name)
    if not values:
        return {}
    if not isinstance(values, dict):
        raise FormatError(f"{where}.{name} {_found(values)} is not an object of keys and values")
    if all(value.__class__ in _PLAIN for value in values.values()):
        return values  # most are, and copying them costs a tenth of the reading
    return {key: _value(value, f"{where}.{name}.{key}") for key, value in values.items()}


_PLAIN: Final = frozenset((str, bool, float, type(None)))
INT64: Final = range(-(2**63), 2**63)


def _value(value: Any, where: str) -> RecordedValue:
    match value:
        case int() if value not in INT64:
            raise FormatError(
                f"{where} {value} is beyond 64 bits; write it as text or as {value}.0"
            )
        case list():
            return [_value(inner, where) for inner in value]
        case {"$bytes": str(text), **rest} if not rest:
            try:
                return b64decode(text, validate=True)
            except ValueError:
                raise FormatError(f"{where} {quoted(text)} is not base64") from None
        case {"$double": str(text), **rest} if not rest:
            if text not in DOUBLES:
                raise FormatError(f"{where} {quoted(text)} is not NaN, Infinity or -Infinity")
            return DOUBLES[text]
        case {"$map": dict(fields), **rest} if not rest:
            return {key: _value(inner, where) for key, inner in fields.items()}
        case dict():
            return {key: _value(inner, where) for key, inner in value.items()}
        case _:
            return cast("RecordedValue", value)


def _fields(value: Any, where: str, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{where} {_found(value)} is not a JSON object")
    if value.keys() <= known:
        return value
    return {key.lower(): inner for key, inner in value.items()}


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FormatError(f"{_place(where, name)} {_found(value)} is not text; put it in quotes")
    return value


def _time_ns(fields: Mapping[str, Any], name: str, where: str) -> int:
    text = _text(fields, name, where)
    time_ns = parse_time(text)
    if time_ns is None:
        found = f"{quoted(text)} is no RFC 3339 time from 1970 to 2262" if text else "is missing"
        raise FormatError(f"{_place(where, name)} {found}; write {TIME_FORM}")
    return time_ns


def _place(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _found(value: Any) -> str:
    return quoted(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def parse_time(text: str) -> int | None:
    """Return the Unix time, ns, that *text* is in RFC 3339; None if it is none, or out of range."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    date_time, fraction, sign, hours, minutes = match.groups()
    second = _second(date_time)
    if second is None:
        return None
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            return None
        ahead = int(hours) * 3600 + int(minutes) * 60
        second += -ahead if sign == "+" else ahead
    time_ns = second * NS_PER_S + (int(fraction.ljust(9, "0")) if fraction else 0)
    return time_ns if 0 <= time_ns <= LAST_NS else None


@lru_cache(maxsize=4096)
def _second(text: str) -> int | None:
    """Return the Unix second of a date and time in UTC; None if there is no such instant."""
    # A leap second, :60, is the second after it, as POSIX has it.
    leap = text.endswith(":60")
    try:
        moment = datetime.fromisoformat(f"{text[:-2]}59" if leap else text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return calendar.timegm(moment.timetuple()) + leap
