"""Rates as the language's table writes them, and their integral as a sum of small pieces."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Topology, Traffic

SECOND_NS = 10**9
PIECE_NS = 20_000_000


def rate(topology: Topology, t_ns: float) -> float:
    """Return the traces per second due at *t_ns*, after the epoch."""
    in_force = topology.traffic
    for index in scenarios.active(topology, t_ns):
        in_force = topology.scenarios[index].traffic or in_force
    value = pattern_rate(in_force, t_ns)
    if in_force.overlay is not None:
        value *= pattern_rate(in_force.overlay, t_ns) / in_force.overlay.rate.per_s
    return value


def pattern_rate(traffic: Traffic, t_ns: float) -> float:
    base = traffic.rate.per_s
    match traffic.pattern:
        case "uniform":
            return base
        case "diurnal":
            p, q, period = traffic.peak_multiplier, traffic.trough_multiplier, traffic.period
            wave = math.sin(2 * math.pi * (t_ns - period / 4) / period)
            return base * ((p + q) / 2 + (p - q) / 2 * wave)
        case "bursty":
            inside = t_ns % traffic.burst_interval < traffic.burst_duration
            return base * traffic.burst_multiplier if inside else base
        case "custom":
            rates = (each.rate.per_s for each in traffic.segments if t_ns < each.until)
            return next(rates, base)
    raise AssertionError(traffic.pattern)


def jumps(topology: Topology, stop_ns: int) -> Iterator[int]:
    """Yield all instants before *stop_ns* at which the rate may jump."""
    for scenario in topology.scenarios:
        yield from (scenario.at, scenario.at + scenario.duration)
    for traffic in (topology.traffic, *(each.traffic for each in topology.scenarios)):
        for each in (traffic, traffic and traffic.overlay):
            if each is not None and each.pattern == "bursty":
                for start in range(0, stop_ns, each.burst_interval):
                    yield from (start, start + each.burst_duration)
            if each is not None and each.pattern == "custom":
                yield from (segment.until for segment in each.segments)


def arrivals(topology: Topology, stop_ns: int) -> float:
    """Return the integral of the rate from the epoch to *stop_ns*, in traces."""
    edges = {0, stop_ns, *range(0, stop_ns, PIECE_NS)}
    edges |= {at for at in jumps(topology, stop_ns) if 0 < at < stop_ns}
    places, weights = np.polynomial.legendre.leggauss(5)
    ordered = sorted(edges)
    return math.fsum(
        weight
        * (stop - start)
        / 2
        / SECOND_NS
        * rate(topology, (start + stop) / 2 + place * (stop - start) / 2)
        for start, stop in pairwise(ordered)
        for place, weight in zip(places, weights, strict=True)
    )
