"""Durations, rates, shares and distributions: the texts that fields of a topology hold.

Every ``parse_`` function raises :class:`Mistake`, a ``ValueError``, that names the text and the
point at which it leaves the grammar. Only ASCII digits count.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from motel_locust.topology.diagnostics import Mistake, quoted

UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
RATE_UNITS_S: Final = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}

DURATION_FORM = "write for example 30ms or 1m30s, with units ns, us, ms, s, m or h"
SHARE_FORM = "write a percentage or a ratio from 0 to 1, for example 5% or 0.05"
RATE_FORM = "write for example 10/s, 300/m or 0.5/h"
NUMBER_FORM = "write for example 0.65 or 0.65 +/- 0.1"

_PART = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)")
# Go's float reader takes underscores between digits, so files may hold them.
_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_RATE_NUMBER = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)")

_INT64_MAX: Final = 2**63 - 1
_LONGEST = "292 years (2562047h47m16.854775807s)"
_FRACTION_DIGITS: Final = 24
"""Enough for a nanosecond of an hour, the greatest unit: 1 h is 3.6e12 ns."""


@dataclass(frozen=True, slots=True)
class DurationDistribution:
    """Normally distributed durations; samples below zero count as zero."""

    mean_ns: int
    deviation_ns: int = 0

    def __str__(self) -> str:
        mean = format_duration(self.mean_ns)
        return f"{mean} +/- {format_duration(self.deviation_ns)}" if self.deviation_ns else mean

    def slowed(self, factor: float) -> DurationDistribution:
        """Return the distribution with *factor* times the mean, and the same deviation."""
        return DurationDistribution(int(self.mean_ns * factor), self.deviation_ns)

    def at(self, quantile: float) -> float:
        """Return the nanoseconds at a *quantile* of the standard normal: 0 is the median."""
        return max(self.mean_ns + quantile * self.deviation_ns, 0.0)

    def share_above(self, value_ns: int) -> float:
        """Return the share of durations, cut to whole nanoseconds, that are longer."""
        if not self.deviation_ns:
            return float(self.mean_ns > value_ns)
        return 1 - NormalDist(self.mean_ns, self.deviation_ns).cdf(value_ns + 1)


@dataclass(frozen=True, slots=True)
class NumberDistribution:
    """Normally distributed numbers, of either sign."""

    mean: float
    deviation: float = 0.0

    def __str__(self) -> str:
        return f"{self.mean!r} +/- {self.deviation!r}" if self.deviation else repr(self.mean)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happens; prints as it was written."""

    per_s: float
    text: str

    def __str__(self) -> str:
        return self.text


def parse_duration(text: str) -> int:
    """Return the duration *text* in nanoseconds, of either sign; finer parts are cut off."""
    sign, parts = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if parts == "0":
        return 0
    if not parts:
        raise Mistake("invalid-duration", f"{quoted(text)} is not a duration; {DURATION_FORM}")
    total_ns = 0
    position = 0
    while position < len(parts):
        match = _PART.match(parts, position)
        assert match is not None  # every part of the pattern may be empty
        total_ns += _part_ns(match, text)
        position = match.end()
    total_ns = -total_ns if sign == "-" else total_ns
    if not -_INT64_MAX - 1 <= total_ns <= _INT64_MAX:
        raise _too_long(text)
    return total_ns


def _part_ns(match: re.Match[str], text: str) -> int:
    whole, _, fraction, unit = match.groups()
    if not whole and not fraction:
        blank = " (blanks are not allowed)" if " " in unit else ""
        raise Mistake(
            "invalid-duration", f"{quoted(text)} is not a duration{blank}; {DURATION_FORM}"
        )
    if not unit:
        raise Mistake("invalid-duration", f"{quoted(text)} has no unit; {DURATION_FORM}")
    if unit not in UNITS_NS:
        raise Mistake(
            "invalid-duration",
            f"{quoted(text)} has an unknown unit {quoted(unit)}; {DURATION_FORM}",
        )
    whole = whole.lstrip("0")
    if len(whole) > len(str(_INT64_MAX)):
        raise _too_long(text)
    fraction = (fraction or "")[:_FRACTION_DIGITS]
    scale: int = 10 ** len(fraction)
    return int(f"{whole}{fraction}" or "0") * UNITS_NS[unit] // scale


def _too_long(text: str) -> Mistake:
    return Mistake("invalid-duration", f"{quoted(text)} is out of range; at most {_LONGEST}")


def format_duration(value_ns: int) -> str:
    """Return *value_ns* as a duration that reads back equal: ``1m30s``, ``1.5ms``."""
    if value_ns == 0:
        return "0s"
    sign, left = ("-", -value_ns) if value_ns < 0 else ("", value_ns)
    parts = []
    for unit in ("h", "m"):
        count, left = divmod(left, UNITS_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if left:
        unit = next(unit for unit in ("s", "ms", "us", "ns") if left >= UNITS_NS[unit])
        count, rest = divmod(left, UNITS_NS[unit])
        digits = len(str(UNITS_NS[unit])) - 1
        fraction = f".{rest:0{digits}}".rstrip("0") if rest else ""
        parts.append(f"{count}{fraction}{unit}")
    return sign + "".join(parts)


def parse_duration_distribution(text: str) -> DurationDistribution:
    """Return ``MEAN``, ``MEAN +/- DEVIATION`` or ``MEAN ± DEVIATION``; the mean is above 0."""
    mean_text, deviation_text = _split(text)
    mean_ns = parse_duration(mean_text)
    if mean_ns <= 0:
        raise Mistake("out-of-range", f"{quoted(mean_text)} is not above 0; the mean must be")
    if deviation_text is None:
        return DurationDistribution(mean_ns)
    try:
        deviation_ns = parse_duration(deviation_text)
    except Mistake as mistake:
        raise Mistake(mistake.code, f"deviation {mistake}") from None
    if deviation_ns < 0:
        raise Mistake(
            "out-of-range", f"deviation {quoted(deviation_text)} is negative; write 0 or more"
        )
    return DurationDistribution(mean_ns, deviation_ns)


def parse_number_distribution(text: str) -> NumberDistribution:
    """Return ``MEAN``, ``MEAN +/- DEVIATION`` or ``MEAN ± DEVIATION`` of plain numbers."""
    mean_text, deviation_text = _split(text)
    mean = _number(mean_text, "invalid-number", "a number", NUMBER_FORM)
    if deviation_text is None:
        return NumberDistribution(mean)
    try:
        deviation = _number(deviation_text, "invalid-number", "a number", NUMBER_FORM)
    except Mistake as mistake:
        raise Mistake(mistake.code, f"deviation {mistake}") from None
    if deviation < 0:
        raise Mistake(
            "out-of-range", f"deviation {quoted(deviation_text)} is negative; write 0 or more"
        )
    return NumberDistribution(mean, deviation)


def _split(text: str) -> tuple[str, str | None]:
    separator = "+/-" if "+/-" in text else "±"
    mean, found, deviation = text.partition(separator)
    return mean.strip(), deviation.strip() if found else None


def parse_share(text: str) -> float:
    """Return ``5%`` or ``0.05`` as a ratio from 0 to 1."""
    stripped = text.strip()
    if stripped.endswith("%"):
        share = _number(stripped[:-1].rstrip(), "invalid-share", "a percentage", SHARE_FORM)
        if not 0 <= share <= 100:
            side = "above 100%" if share > 100 else "below 0%"
            raise Mistake("out-of-range", f"{stripped} is {side}; {SHARE_FORM}")
        return share / 100
    share = _number(stripped, "invalid-share", "a percentage or a ratio", SHARE_FORM)
    if share > 1:
        meant = f", or {stripped}% if percent was meant" if share <= 100 else ""
        raise Mistake("out-of-range", f"{stripped} is above 1; write a ratio from 0 to 1{meant}")
    if share < 0:
        raise Mistake("out-of-range", f"{stripped} is below 0; {SHARE_FORM}")
    return share


def _number(text: str, code: str, noun: str, form: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise Mistake(code, f"{quoted(text)} is not {noun}; {form}")
    value = float(text)
    if math.isinf(value):
        raise Mistake(code, f"{quoted(text)} is too large for a number; {form}")
    return value


def parse_rate(text: str) -> Rate:
    """Return ``N/unit`` as a rate; N is a decimal number above 0, without a greatest value."""
    number, slash, unit = text.partition("/")
    if not slash or not number or not unit:
        raise Mistake("invalid-rate", f"{quoted(text)} is not of the form N/unit; {RATE_FORM}")
    match = _RATE_NUMBER.fullmatch(number)
    if match is None:
        raise Mistake(
            "invalid-rate", f"{quoted(text)}: {quoted(number)} is not a number; {RATE_FORM}"
        )
    if unit.lower() not in RATE_UNITS_S:
        raise Mistake(
            "invalid-rate",
            f"{quoted(text)} has an unknown unit {quoted(unit)}; allowed: s, sec, second, seconds, "
            "m, min, minute, minutes, h, hour, hours",
        )
    value = float(number)
    if value <= 0:
        raise Mistake("out-of-range", f"{quoted(text)} is not above 0; {RATE_FORM}")
    per_s = value / RATE_UNITS_S[unit.lower()]
    if math.isinf(per_s) or per_s == 0:
        raise Mistake("out-of-range", f"{quoted(text)} is not a finite number above 0")
    return Rate(per_s, text)
