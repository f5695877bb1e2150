"""What an unquoted scalar is where the type is free: YAML 1.2 with some 1.1 kept.

The rules are those of go-yaml v3, for which version-1 files were written; PyYAML's own differ
(``1:30`` would be 90, ``1e3`` a text, ``on`` a flag).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from motel_locust.topology.document import Entries, Items, Scalar

if TYPE_CHECKING:
    from motel_locust.topology.document import Node

Plain = str | bool | int | float | datetime | None

_FLAGS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SPECIAL_FLOATS: Final = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER: Final = re.compile(
    r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0([0-7]+)|(0|[1-9][0-9]*))"
)
_BASES: Final = (16, 8, 2, 8, 10)
_FLOAT: Final = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?")
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[Tt]|( ))([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]+))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_MIN_INT64: Final = -(2**63)
_MAX_UINT64: Final = 2**64 - 1
_MAX_INTEGER_DIGITS: Final = 80
"""More than any 64-bit integer has, in any base and with leading zeros in reason."""


def resolve(scalar: Scalar) -> Plain:
    """Return the value of *scalar* by its form, or by its tag where it has one."""
    if scalar.null:
        return None
    if scalar.tag == "str" or (not scalar.plain and scalar.tag is None):
        return scalar.text
    value = _typed(scalar.text)
    if scalar.tag == "float" and isinstance(value, int):
        return float(value)
    return value


def _typed(text: str) -> Plain:
    if text in _FLAGS:
        return _FLAGS[text]
    if text in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[text]
    if text[:1] not in "+-.0123456789":
        return text
    timestamp = _timestamp(text)
    if timestamp is not None:
        return timestamp
    # Underscores are dropped from whatever begins with a digit or a sign.
    digits = text.replace("_", "") if text[0] != "." else text
    integer = _integer(digits)
    if integer is not None:
        return integer
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        return value if math.isfinite(value) else text
    return text


def _integer(digits: str) -> int | None:
    match = _INTEGER.fullmatch(digits)
    if match is None or len(digits) > _MAX_INTEGER_DIGITS:
        return None
    sign, *forms = match.groups()
    value = next(int(form, base) for form, base in zip(forms, _BASES, strict=True) if form)
    if sign == "-":
        return -value if -value >= _MIN_INT64 else None
    # Only an unsigned number may use the 64th bit.
    return value if value <= (_MAX_UINT64 if not sign else 2**63 - 1) else None


def _timestamp(text: str) -> datetime | None:
    """Return the time that *text* spells; fractions below a microsecond are cut off."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, blank, hour, minute, second, fraction, zone = match.groups()
    if hour is not None and bool(blank) == bool(zone):
        return None  # a blank goes without a zone, a T with one
    offset = UTC
    if zone and zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        offset = timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])))
    try:
        return datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "")[:6].ljust(6, "0")), tzinfo=offset,
        )  # fmt: skip
    except ValueError:
        return None  # 2024-13-40 is a text


def printed(node: Node) -> str:
    """Return *node* in Go's print form: ``[a 1]``, ``map[a:[2] b:1]``, ``<nil>``."""
    if isinstance(node, Items):
        return f"[{' '.join(map(printed, node.items))}]"
    if isinstance(node, Entries):
        pairs = sorted((printed(key), printed(value)) for key, value in node.entries)
        return f"map[{' '.join(f'{key}:{value}' for key, value in pairs)}]"
    return print_value(resolve(node))


def print_value(value: object) -> str:
    """Return one plain value in Go's print form."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        seconds = f"{value:%Y-%m-%d %H:%M:%S}"
        fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
        zone = f"{value:%z}"
        return f"{seconds}{fraction} {zone} {'UTC' if zone == '+0000' else zone}"
    if isinstance(value, float):
        return print_float(value)
    return str(value)


def print_float(value: float) -> str:
    """Return *value* as Go's ``%v`` prints it: shortest digits, exponent from 1e21 and 1e-5 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    number = Decimal(repr(value)).normalize()
    _, digits, exponent = number.as_tuple()
    power = len(digits) + int(exponent) - 1
    if -4 <= power < 21:
        return f"{number:f}"
    first, *rest = map(str, digits)
    mantissa = f"{first}.{''.join(rest)}" if rest else first
    return f"{'-' if value < 0 else ''}{mantissa}e{power:+03d}"
