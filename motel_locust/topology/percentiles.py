"""Durations given by some of their percentiles: ``{p50: 20ms, p99: 400ms}``.

Between the percentiles the logarithm of a duration goes straight over the quantiles of the standard
normal, as that of a log-normal does; beyond the outermost it goes on in the same direction. ``p0``
and ``p100`` lie at no finite quantile: they cut off what would be shorter or longer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from motel_locust.topology.diagnostics import Mistake, Mistakes, quoted, suggestion
from motel_locust.topology.quantities import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

_NORMAL: Final = NormalDist()

INNER: Final = {
    name: _NORMAL.inv_cdf(share)
    for name, share in {
        "p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999,
    }.items()
}  # fmt: skip
"""The percentiles at finite quantiles of the standard normal, with these."""

NAMES: Final = ("p0", *INNER, "p100")
"""The percentiles that may be given, from the shortest to the longest."""

_FORM: Final = "write for example {p50: 20ms, p99: 400ms}"


@dataclass(frozen=True, slots=True)
class PercentileDistribution:
    """Durations given by percentiles: their names and nanoseconds, both ascending."""

    points: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        written = (f"{name}: {format_duration(value_ns)}" for name, value_ns in self.points)
        return f"{{{', '.join(written)}}}"

    @property
    def mean_ns(self) -> int:
        """The mean of all durations, rounded down."""
        return _mean_ns(self)

    def slowed(self, factor: float) -> PercentileDistribution:
        """Return the distribution with all durations *factor* times as long."""
        points = tuple((name, int(value_ns * factor)) for name, value_ns in self.points)
        return PercentileDistribution(points)

    def at(self, quantile: float) -> float:
        """Return the nanoseconds at a *quantile* of the standard normal: 0 is the median."""
        given = dict(self.points)
        quantiles = [INNER[name] for name in given if name in INNER]
        logs = [math.log(given[name]) for name in given if name in INNER]
        right = min(max(bisect_right(quantiles, quantile), 1), len(quantiles) - 1)
        slope = (logs[right] - logs[right - 1]) / (quantiles[right] - quantiles[right - 1])
        # An absurd slope has no finite end; 2**63 ns is no duration any more.
        log = min(logs[right - 1] + slope * (quantile - quantiles[right - 1]), _LONGEST)
        return min(max(math.exp(log), given.get("p0", 0)), given.get("p100", math.inf))

    def share_above(self, value_ns: int) -> float:
        """Return the share of durations, cut to whole nanoseconds, that are longer."""
        low, high = -_FARTHEST, _FARTHEST
        while high - low > _PRECISION:
            middle = (low + high) / 2
            low, high = (low, middle) if self.at(middle) >= value_ns + 1 else (middle, high)
        return 0.0 if high == _FARTHEST else 1 - _NORMAL.cdf(high)


_LONGEST: Final = math.log(2**62)

# One in 2**64 lies farther from the median.
_FARTHEST: Final = 9.1
_PRECISION: Final = 1e-9

_STEPS: Final = 4096


@lru_cache(maxsize=1024)
def _mean_ns(distribution: PercentileDistribution) -> int:
    """Return the mean over equally likely quantiles."""
    shares = ((step + 0.5) / _STEPS for step in range(_STEPS))
    return int(sum(distribution.at(_NORMAL.inv_cdf(share)) for share in shares) / _STEPS)


def percentile_distribution(written: Mapping[str, str]) -> PercentileDistribution:
    """Return the distribution with the percentiles *written*, texts by name.

    Raises:
        Mistakes: every percentile that is unknown, no duration, or not above the one before.
    """
    mistakes: list[Mistake] = []
    values_ns: dict[str, int] = {}
    for name, text in written.items():
        try:
            values_ns[name] = _value_ns(name, text)
        except Mistake as mistake:
            mistakes.append(mistake)
    if not mistakes:
        mistakes = list(_missing(values_ns)) or list(_not_rising(values_ns))
    if mistakes:
        raise Mistakes(mistakes)
    return PercentileDistribution(
        tuple((name, values_ns[name]) for name in NAMES if name in written)
    )


def _value_ns(name: str, text: str) -> int:
    if name not in NAMES:
        near = suggestion(name, NAMES) or ";"
        message = f"unknown percentile {quoted(name)}{near} allowed: {', '.join(NAMES)}"
        raise Mistake("unknown-key", message, path=(name,), at_key=True, complete=True)
    try:
        value_ns = parse_duration(text)
    except Mistake as mistake:
        raise Mistake(mistake.code, str(mistake), path=(name,)) from None
    if value_ns < 0 or (value_ns == 0 and name != "p0"):
        message = f"{quoted(text)} is not above 0; all percentiles but p0 must be"
        raise Mistake("out-of-range", message, path=(name,))
    return value_ns


def _missing(values_ns: Mapping[str, int]) -> list[Mistake]:
    if "p50" not in values_ns:
        return [Mistake("missing-key", f"needs p50, the median; {_FORM}")]
    if len(values_ns.keys() & INNER.keys()) < 2:
        rest = ", ".join(name for name in INNER if name != "p50")
        return [Mistake("missing-key", f"needs one more percentile out of {rest}; {_FORM}")]
    return []


def _not_rising(values_ns: Mapping[str, int]) -> list[Mistake]:
    given = [name for name in NAMES if name in values_ns]
    mistakes = []
    for lower, upper in pairwise(given):
        if values_ns[upper] <= values_ns[lower]:
            message = f"{format_duration(values_ns[upper])} is not above {lower}, "
            message += f"{format_duration(values_ns[lower])}; percentiles must rise"
            mistakes.append(Mistake("out-of-range", message, path=(upper,)))
    return mistakes
