"""Curves: the patterns of traffic, each a rate over time.

A curve has *nodes*, and between two of them its rate counts as constant, the mean of the true one:
so the integral is exact at the nodes and linear between. Jumps of the rate are nodes, a sine has
nodes so close that no arrival is off by more than some microseconds, and where a pattern changes
faster than once in :data:`RESOLUTION_NS`, its mean over that time stands for it. So the nodes of a
stretch of time are bounded in number, whatever the file says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.topology.model import Traffic

RESOLUTION_NS: Final = 1_000_000


class Curve(Protocol):
    """A pattern of rates; knows no clock and keeps no state. Times are ns since the epoch."""

    def mean(self, nodes_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean rate from each node to the next, in traces per second.

        nodes_ns int64[nodes]: ascending, all :meth:`edges` in between included; float64[nodes - 1].
        """

    def edges(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return the nodes that the curve needs from *start_ns* to *stop_ns*, in any order.

        Some may lie outside. Over a stretch of time their number is bounded.
        """


@dataclass(frozen=True, slots=True)
class Diurnal:
    """rate(t) = base * ((p + q) / 2 - (p - q) / 2 * cos(2 pi t / P)): from trough q to peak p.

    P is the period. The trough is at t = 0, the peak at P / 2.
    """

    per_s: float
    peak: float
    trough: float
    period_ns: int

    def mean(self, nodes_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of the cosine: that in the middle times sin(x) / x, x half the angle."""
        # The phase is reduced in whole nanoseconds: after days of short periods it is still exact.
        length = np.diff(nodes_ns) / self.period_ns
        middle = nodes_ns[:-1] % self.period_ns / self.period_ns + length / 2
        cosine = np.cos(2 * np.pi * middle) * np.sinc(length)
        level, swing = (self.peak + self.trough) / 2, (self.peak - self.trough) / 2
        per_s: NDArray[np.float64] = self.per_s * (level - swing * cosine)
        return per_s

    def edges(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return nodes at a distance h: a 24 h period has two a second."""
        # A chord of the integral leaves it by h * h / 8 * rate', here at most
        # h * h / 8 * pi * base * (p - q) / P traces: 1 us of the base rate where h * h = P * 2.5 us
        # and p - q = 1.
        step_ns = max(RESOLUTION_NS, isqrt(self.period_ns * 2_500))
        return _multiples(step_ns, start_ns, stop_ns)


@dataclass(frozen=True, slots=True)
class Bursty:
    """rate(t) = base * multiplier while t mod interval < duration, else base."""

    per_s: float
    multiplier: float
    interval_ns: int
    duration_ns: int

    def mean(self, nodes_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the two rates' mean, by the share of the time that lies in bursts."""
        bursts, into_ns = np.divmod(nodes_ns, self.interval_ns)
        in_bursts_ns = bursts * self.duration_ns + np.minimum(into_ns, self.duration_ns)
        share = np.diff(in_bursts_ns) / np.diff(nodes_ns)
        return self.per_s * (self.multiplier * share + (1 - share))

    def edges(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return where bursts start and end; a fixed grid where there are too many."""
        if self.interval_ns < 2 * RESOLUTION_NS:
            return _multiples(RESOLUTION_NS, start_ns, stop_ns)
        starts = _multiples(self.interval_ns, start_ns, stop_ns)
        return np.concatenate((starts, starts + self.duration_ns))


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """rate(t) = that of the first segment with t < until; after the last one, or without any, base.

    until_ns  int64[segments]        ascending
    per_s     float64[segments + 1]  base at the end
    """

    until_ns: NDArray[np.int64]
    per_s: NDArray[np.float64]

    def mean(self, nodes_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the rate at each node, which holds until the next."""
        return self.per_s[self.until_ns.searchsorted(nodes_ns[:-1], "right")]

    def edges(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return where segments end: no more than the file has."""
        return self.until_ns[slice(*self.until_ns.searchsorted((start_ns, stop_ns)))]


@dataclass(frozen=True, slots=True)
class Overlaid:
    """rate(t) = base(t) * overlay(t) / overlay's base.

    The mean of the product is taken for the product of the means. That is exact where one of them
    is constant between nodes, and close unless both change faster than the resolution.
    """

    base: Curve
    overlay: Curve
    overlay_per_s: float

    def mean(self, nodes_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the product of both means."""
        return self.base.mean(nodes_ns) * (self.overlay.mean(nodes_ns) / self.overlay_per_s)

    def edges(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return the nodes of both."""
        both = (each.edges(start_ns, stop_ns) for each in (self.base, self.overlay))
        return np.concatenate(tuple(both))


def _multiples(step_ns: int, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
    """Return the multiples of *step_ns* below *stop_ns*, from the last one not after *start_ns*."""
    return np.arange(start_ns // step_ns * step_ns, stop_ns, step_ns, dtype=np.int64)


def compile_traffic(traffic: Traffic) -> Curve:
    """Return the curve that *traffic* describes."""
    per_s = traffic.rate.per_s
    curve: Curve
    match traffic.pattern:
        case "uniform":
            curve = Steps(np.empty(0, np.int64), np.array([per_s]))
        case "diurnal":
            curve = Diurnal(
                per_s, traffic.peak_multiplier, traffic.trough_multiplier, traffic.period
            )
        case "bursty":
            curve = Bursty(
                per_s, traffic.burst_multiplier, traffic.burst_interval, traffic.burst_duration
            )
        case "custom":
            until_ns = np.array([segment.until for segment in traffic.segments], np.int64)
            rates = [*(segment.rate.per_s for segment in traffic.segments), per_s]
            curve = Steps(until_ns, np.array(rates))
    if traffic.overlay is not None:
        return Overlaid(curve, compile_traffic(traffic.overlay), traffic.overlay.rate.per_s)
    return curve
