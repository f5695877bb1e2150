"""Durations as a topology has them: normal, or by percentiles where a normal fits badly."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from motel_locust.commands.importing import figures
from motel_locust.commands.importing.draft import Statement
from motel_locust.topology.percentiles import INNER
from motel_locust.topology.quantities import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.commands.importing.samples import Moments
    from motel_locust.commands.importing.spectra import Spectra

SD_FLOOR: Final = 0.01
BEYOND: Final = 10
"""So many values must lie beyond a percentile for it to be written."""
_LEAST: Final = "p90"
"""Without it, percentiles tell nothing of a tail."""
BADLY: Final = 0.1
"""A normal fits badly whose percentile is off by more of itself, if that is no chance."""
TOLD_APART: Final = 1.01
"""Quantiles of spectra are less than that off."""
CERTAIN: Final = 4.0
"""Standard errors that are no chance."""

_NORMAL: Final = NormalDist()


def duration(own: Moments, spectra: Spectra, number: int) -> Statement:
    """Return the duration of operation *number*, by moments and spectra of its own times."""
    mean, deviation = float(own.means[number]), float(own.deviations[number])
    samples = int(own.counts[number])
    percentiles = by_percentiles(own, spectra, number)
    if percentiles:
        written = ", ".join(f"{name}: {value}" for name, value in percentiles.items())
        margin = f"p50 ±{_off_by(spectra, number)} %, not normal"
        return Statement(f"{{{written}}}", samples, "spans", margin)
    middle, spread = figures.normal_behind(mean, deviation)
    value = figures.duration(middle)
    if spread >= SD_FLOOR * middle and spread >= 1:
        value += f" +/- {figures.duration(spread)}"
    return Statement(value, samples, "spans", figures.off_by(mean, deviation, samples))


def by_percentiles(own: Moments, spectra: Spectra, number: int) -> dict[str, str]:
    """Return the percentiles of operation *number* as texts; none where a normal does as well.

    With few samples it always does. ``p0`` and ``p100`` are the shortest and the longest seen:
    else what lies beyond the outermost percentile would have no end.
    """
    samples = int(own.counts[number])
    quantiles = {
        name: quantile
        for name, quantile in INNER.items()
        if samples * (1 - _NORMAL.cdf(quantile)) >= BEYOND
    }
    if _LEAST not in quantiles:
        return {}
    shares = map(_NORMAL.cdf, quantiles.values())
    found = dict(zip(quantiles, spectra.quantiles(number, *shares), strict=True))
    law = figures.normal_behind(float(own.means[number]), float(own.deviations[number]))
    if not any(_apart(found[name], law, quantile, samples) for name, quantile in quantiles.items()):
        return {}
    return _rising(found, int(spectra.least[number]), int(spectra.greatest[number]))


def _apart(found: float, law: tuple[float, float], quantile: float, samples: int) -> bool:
    """Return whether *found* is not what the normal *law*, cut off at 0, has at a *quantile*.

    The standard error of a sample's quantile with share p is sqrt(p * (1 - p) / samples) over the
    density there.
    """
    mean, deviation = law
    expected = max(mean + quantile * deviation, 0.0)
    share = _NORMAL.cdf(quantile)
    error = math.sqrt(share * (1 - share) / samples) * deviation / _NORMAL.pdf(quantile)
    return abs(found - expected) > max(CERTAIN * error, BADLY * expected)


def _rising(found: Mapping[str, float], least: int, greatest: int) -> dict[str, str]:
    """Return the percentiles *found* and both ends as texts, those that would not rise left out.

    Of those that cannot be told from the longest, as where a timeout cuts durations off, the first
    is written a little shorter: it says how many are so long. Nothing where the median or all
    others are left out.
    """
    texts = {name: figures.duration(value) for name, value in found.items()}
    shortest, longest = figures.duration(least), figures.duration(greatest)
    last, end = 0, parse_duration(longest)
    kept: dict[str, str] = {}
    for index, (name, text) in enumerate(texts.items()):
        value = parse_duration(text)
        if value * TOLD_APART >= end:
            shorter = figures.duration(greatest / TOLD_APART)
            # Where some did not rise, it would say that durations rise from there.
            if index == len(kept) > 0 and last < parse_duration(shorter) < end:
                kept[name] = shorter
            break
        if last < value:
            kept[name], last = text, value
    if found["p50"] < 1 or "p50" not in kept or len(kept) < 2:
        return {}
    if least >= 1 and parse_duration(shortest) < parse_duration(kept["p50"]):
        kept = {"p0": shortest, **kept}
    return {**kept, "p100": longest}


def _off_by(spectra: Spectra, number: int) -> str:
    """Return how far the median may be off, 19 times in 20, in percent: by the ranks around it."""
    away = figures.SURE / (2 * math.sqrt(spectra.counts[number]))
    low, middle, high = spectra.quantiles(number, 0.5 - away, 0.5, 0.5 + away)
    return figures.decimal(100 * (high - low) / 2 / middle, 2)
