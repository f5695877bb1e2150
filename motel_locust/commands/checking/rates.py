"""How many traces arrive, over the time of a run: the traffic's rate at well-chosen instants.

Shape words: ``instants``. Times are ns since the start of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import scenarios
from motel_locust.engine.curves import compile_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology, Traffic

SECOND_NS: Final = 1_000_000_000
WITHOUT_SCENARIOS_NS: Final = 300 * SECOND_NS
STEPS: Final = 300

# So that instants and what is added to them fit 64 bits.
_LATEST_NS: Final = 1 << 62

# Of more periods in one stretch only so many, evenly spread, are looked at.
_MOST_PERIODS: Final = 600


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A part of the run in which no scenario starts or ends.

    t_ns   int64[instants]    ascending, at least the first and the last nanosecond
    per_s  float64[instants]  traces per second
    """

    active: Active
    start_ns: int
    stop_ns: int
    t_ns: NDArray[np.int64]
    per_s: NDArray[np.float64]


def rates(
    topology: Topology,
    until_ns: int,
    *,
    factor: float = 1.0,
    step_ns: int | None = None,
) -> list[Stretch]:
    """Return the rate from the start of the run to before *until_ns*, above 0, times *factor*.

    A stretch is looked at every *step_ns*, by default a 300th of its length, and besides at every
    turn of its traffic: where bursts and segments start and end, and at the peaks of waves.
    """
    edges = scenarios.boundaries(topology)
    inner = edges[(edges > 0) & (edges < until_ns)].tolist()
    found = []
    for start_ns, stop_ns in zip([0, *inner], [*inner, until_ns], strict=True):
        active = scenarios.active(topology, start_ns)
        traffic = scenarios.traffic(topology, active)
        step = step_ns or max(1, (stop_ns - start_ns) // STEPS)
        t_ns = _instants(traffic, start_ns, stop_ns, step)
        found.append(Stretch(active, start_ns, stop_ns, t_ns, _rate(traffic, t_ns) * factor))
    return found


def rate_at(topology: Topology, t_ns: int) -> float:
    """Return the traces per second at *t_ns*."""
    traffic = scenarios.traffic(topology, scenarios.active(topology, t_ns))
    return float(_rate(traffic, np.array([t_ns]))[0])


def preview_ns(topology: Topology) -> int:
    """Return how much of the run there is to see: 1.1 times all scenarios, or five minutes."""
    ends = [each.at + each.duration for each in topology.scenarios]
    return min(max(ends) * 11 // 10, _LATEST_NS) if ends else WITHOUT_SCENARIOS_NS


def full_cycle_ns(topology: Topology) -> int:
    """Return a time in which the traffic has shown everything: all scenarios, segments and periods.

    Two patterns whose periods do not fit into one another may meet higher still later on.
    """
    last_ns = [preview_ns(topology)]
    own = [topology.traffic, *(each.traffic for each in topology.scenarios)]
    for traffic in own:
        for each in (traffic, traffic.overlay if traffic else None):
            if each is not None and each.pattern == "custom":
                last_ns.append(each.segments[-1].until * 11 // 10)
            elif each is not None:
                last_ns.append(_period_ns(each))
    return min(max(last_ns), _LATEST_NS)


def _period_ns(traffic: Traffic) -> int:
    match traffic.pattern:
        case "diurnal":
            return traffic.period
        case "bursty":
            return traffic.burst_interval
        case _:
            return 0


def _rate(traffic: Traffic, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the rate at *t_ns*, or rather the mean of the ns that begins there."""
    nodes = np.unique(np.concatenate((t_ns, t_ns + 1)))
    return compile_traffic(traffic).mean(nodes)[nodes.searchsorted(t_ns)]


def _instants(traffic: Traffic, start_ns: int, stop_ns: int, step_ns: int) -> NDArray[np.int64]:
    """Return the instants to look at: each turn comes with the nanosecond before it."""
    grid = np.arange(start_ns, stop_ns, step_ns, dtype=np.int64)
    turning = np.concatenate((np.array([stop_ns], np.int64), *_turns(traffic, start_ns, stop_ns)))
    every = np.concatenate((grid, turning, turning - 1))
    return np.unique(every[(every >= start_ns) & (every < stop_ns)])


def _turns(traffic: Traffic, start_ns: int, stop_ns: int) -> Iterator[NDArray[np.int64]]:
    match traffic.pattern:
        case "bursty":
            starts = _multiples(traffic.burst_interval, start_ns, stop_ns)
            yield starts
            yield starts + traffic.burst_duration
        case "diurnal":
            yield _multiples(max(1, traffic.period // 2), start_ns, stop_ns)
        case "custom":
            yield np.array([each.until for each in traffic.segments], np.int64)
        case "uniform":
            pass
    if traffic.overlay is not None:
        yield from _turns(traffic.overlay, start_ns, stop_ns)


def _multiples(of_ns: int, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
    """Return the multiples of *of_ns* before *stop_ns*, from the last one not after *start_ns*.

    Where there are more than any picture could show, an even choice of them.
    """
    first = start_ns // of_ns
    count = -(-stop_ns // of_ns) - first
    each = max(1, count // _MOST_PERIODS)
    return np.arange(first, first + count, each, dtype=np.int64) * of_ns
