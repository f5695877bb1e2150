"""Scales of rates and times, and what is written at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.commands.checking import amounts

if TYPE_CHECKING:
    from motel_locust.commands.previewing.series import Series, Unit

_SECOND_NS: Final = 1_000_000_000
_MOST_LABELS: Final = 11
# Seconds between two labels.
_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, 86_400),
)


def greatest_of_scale(series: Series) -> float:
    """Return where the scale of *series* ends: a tenth above its greatest rate, and above 0."""
    return 1.1 * (series.greatest or 1.0)


def rate_label(per_s: float, unit: Unit) -> str:
    """Return a rate as a scale has it: ``40``, ``7.5``, from 1,000 on ``5.5k``."""
    if unit == "bytes":
        return amounts.size(per_s)
    if per_s >= 1000:
        return f"{_plain(per_s / 1000)}k"
    return _plain(per_s)


def time_step_ns(until_ns: int) -> int:
    """Return how far apart the labels of a scale to *until_ns* are; there are at most eleven."""
    for step_s in _STEPS_S:
        if until_ns // (step_s * _SECOND_NS) < _MOST_LABELS and until_ns >= _SECOND_NS:
            return step_s * _SECOND_NS
    step_ns = 86_400 * _SECOND_NS if until_ns >= _SECOND_NS else 1
    while until_ns // step_ns >= _MOST_LABELS:
        step_ns *= 10 if until_ns < _SECOND_NS else 2
    return step_ns


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}".removesuffix(".0")
