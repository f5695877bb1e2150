"""Numbers as a topology has them, and how far from the truth they may be."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from motel_locust.topology.quantities import format_duration

DIGITS: Final = 3
"""Significant ones: some 0.5 % at worst, less than most samples can tell."""
RATE_ROUND: Final = 0.01
SURE: Final = 1.96
"""Standard errors on either side that hold the truth 19 times out of 20."""

_UNITS: Final = (("s", 1), ("m", 60), ("h", 3600))
_NORMAL: Final = NormalDist()

REGULAR: Final = 0.25
"""A normal distribution with less deviation for its mean never goes below 0 in practice."""
LEAST_RATIO: Final = 0.5
"""The least mean, in deviations, that is written: three in ten are cut off at 0 even so."""
_MOST_RATIO: Final = 8.0
_STEPS: Final = 60


def counted(number: int, nouns: str) -> str:
    """Return *number* of *nouns*, a plural that ends with s: ``1 span``, ``2,000 spans``."""
    return f"{number:,} {nouns if number != 1 else nouns.removesuffix('s')}"


def decimal(value: float, digits: int = DIGITS) -> str:
    """Return *value* with *digits* significant digits, never with an exponent."""
    return np.format_float_positional(
        float(f"{value:.{digits}g}"), unique=True, fractional=False, trim="-"
    )


def duration(value_ns: float) -> str:
    """Return *value_ns* with three significant digits, at least 1 ns."""
    return format_duration(max(1, int(float(f"{value_ns:.{DIGITS}g}"))))


def percentage(share: float) -> str:
    """Return *share*, from 0 to 1, in percent."""
    return f"{decimal(share * 100)}%"


def rate(per_s: float) -> str:
    """Return *per_s* as a whole number per second, minute or hour: the first that is near."""
    for unit, seconds in _UNITS:
        number = round(per_s * seconds)
        if number and abs(number / seconds - per_s) <= RATE_ROUND * per_s:
            return f"{number}/{unit}"
    return f"{max(1, round(per_s * 3600))}/h"


def between(hits: int, tries: int) -> str:
    """Return what share the *hits* may stand for: Wilson's interval (1927), 19 times in 20."""
    share, z2 = hits / tries, SURE**2
    middle = (share + z2 / (2 * tries)) / (1 + z2 / tries)
    away = SURE * math.sqrt(share * (1 - share) / tries + z2 / (4 * tries**2)) / (1 + z2 / tries)
    low, high = max(0.0, middle - away), min(1.0, middle + away)
    places = max(0, 1 - math.floor(math.log10(100 * (high - low))))
    return f"{100 * low:.{places}f}-{100 * high:.{places}f} %"


def off_by(mean: float, deviation: float, samples: int) -> str:
    """Return how far the mean of *samples* may be off, 19 times in 20; nothing for one."""
    if samples < 2 or mean <= 0:
        return "" if samples < 2 else "mean ±0 %"
    return f"mean ±{decimal(100 * SURE * deviation / math.sqrt(samples) / mean, 2)} %"


def normal_behind(mean: float, deviation: float) -> tuple[float, float]:
    """Return mean and deviation of the normal distribution that, cut off at 0, has the given ones.

    With a mean of a deviations, cut off, it has mean m = a Φ(a) + φ(a) and mean square
    (a² + 1) Φ(a) + a φ(a) of the deviation and its square (Tobin 1958), so the ratio of deviation
    to mean tells a. Where even a = LEAST_RATIO varies too little, the mean is kept.
    """
    if mean <= 0 or deviation <= REGULAR * mean:
        return mean, deviation
    low, high = LEAST_RATIO, _MOST_RATIO
    for _ in range(_STEPS):
        middle = (low + high) / 2
        cut_mean, cut_deviation = _cut(middle)
        if cut_deviation / cut_mean > deviation / mean:
            low = middle
        else:
            high = middle
    scale = mean / _cut(low)[0]
    return low * scale, scale


def _cut(ratio: float) -> tuple[float, float]:
    """Return mean and deviation of N(ratio, 1) cut off at 0."""
    below, density = _NORMAL.cdf(ratio), _NORMAL.pdf(ratio)
    mean = ratio * below + density
    square = (ratio**2 + 1) * below + ratio * density
    return mean, math.sqrt(square - mean**2)


MOST_VARIED: Final = _cut(LEAST_RATIO)[1] / _cut(LEAST_RATIO)[0]
"""The most deviation for its mean that the language can express."""
