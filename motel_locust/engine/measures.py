"""What an instrument measures: its values as whole steps of a grid, and the bounds of its buckets.

A sum of floating-point numbers depends on their order, and so on how spans were batched. So every
value is a whole number of *steps*: durations are nanoseconds, drawn values are rounded to
multiples of a power of two. Sums of whole numbers are exact.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from motel_locust.topology.quantities import NumberDistribution

_LARGEST: Final = 2**63 - 1
# A value that does not vary keeps all bits of its float64, so that it is shown as it was written.
# Those that do keep so many, at least, which lets their sums be added up in one go.
_BITS: Final = 53
_BITS_OF_DRAWS: Final = 38
# Beyond it, the steps in one would be no float64.
_FINEST: Final = 1_000
# More than `draws.draw_normals` ever reaches.
_DEVIATIONS: Final = 6.0

# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, of http.server.request.duration.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# https://opentelemetry.io/docs/specs/otel/metrics/sdk/#explicit-bucket-histogram-aggregation
_PLAIN: Final = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
_BYTES: Final = tuple(4**power for power in range(3, 16))
"""64 B to 1 GiB."""

_UNIT_NS: Final = {"s": 1_000_000_000, "us": 1_000, "ns": 1}
_DEFAULT_NS: Final = 1_000_000


def bounds_of(unit: str) -> tuple[float, ...]:
    """Return the bounds of a histogram's buckets in *unit*: upper ones, included, ascending."""
    match unit:
        case "s":
            return tuple(map(float, _SECONDS))
        case "us" | "ns":
            scale = _UNIT_NS["s"] // _UNIT_NS[unit]
            return tuple(float(round(bound * scale)) for bound in _SECONDS)
        case "By":
            return tuple(map(float, _BYTES))
        case _:
            return tuple(map(float, _PLAIN))


@dataclass(frozen=True, slots=True)
class Grid:
    """Values as whole numbers: ``steps`` of them are 1 in the instrument's unit."""

    steps: float

    def values(self, steps: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values that *steps* stand for: float64 of the same shape."""
        values: NDArray[np.float64] = steps / self.steps
        return values

    def bounds(self, bounds: Iterable[float]) -> NDArray[np.int64]:
        """Return *bounds* in steps, such that the same values lie above them: int64[bounds]."""
        whole = [math.floor(Fraction(bound) * Fraction(self.steps)) for bound in bounds]
        return np.array([min(bound, _LARGEST) for bound in whole], np.int64)

    def draw(
        self, words: NDArray[np.uint64], value: NumberDistribution, *, positive: bool
    ) -> NDArray[np.int64]:
        """Return draws of *value* in steps, *positive* ones not below 0: int64[words]."""
        drawn = draws.draw_normals(words)
        drawn *= value.deviation
        drawn += value.mean
        drawn *= self.steps
        if positive:
            np.maximum(drawn, 0.0, out=drawn)
        return np.rint(drawn, out=drawn).astype(np.int64)


def grid_of(values: Iterable[NumberDistribution]) -> Grid:
    """Return the grid for draws of all *values*.

    The largest one lies on it exactly if it has no deviation. Draws are at most 2**-38 of the
    largest that the same values make off, as long as values are not beyond 2**15 times each other.
    """
    found = tuple(values)
    sizes = [abs(each.mean) + _DEVIATIONS * each.deviation for each in found]
    exponents = [math.frexp(min(size, sys.float_info.max))[1] for size in sizes if size] or [0]
    bits = _BITS
    if all(each.deviation for each in found):
        bits = min(_BITS_OF_DRAWS + max(exponents) - min(exponents), _BITS)
    return Grid(math.ldexp(1.0, min(bits - max(exponents), _FINEST)))


@dataclass(frozen=True, slots=True)
class DurationGrid(Grid):
    """Durations in an instrument's unit: whole microseconds in ``us``, else nanoseconds."""

    step_ns: int

    def bounds(self, bounds: Iterable[float]) -> NDArray[np.int64]:
        """Return *bounds* in steps; each is a whole number of them: int64[bounds]."""
        return np.array([round(bound * self.steps) for bound in bounds], np.int64)

    def measure(self, duration_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return durations in steps: int64[rows]."""
        return duration_ns if self.step_ns == 1 else duration_ns // self.step_ns


def duration_grid(unit: str) -> DurationGrid:
    """Return the grid of durations in *unit*: ``s``, ``us``, ``ns``, all else is milliseconds."""
    if unit == "us":
        return DurationGrid(steps=1.0, step_ns=_UNIT_NS[unit])
    return DurationGrid(steps=float(_UNIT_NS.get(unit, _DEFAULT_NS)), step_ns=1)
