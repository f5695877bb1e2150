"""What there is to see of the traffic: a value over the time of a run, and scenarios beside it.

Shape words: ``instants``. Times are ns since the start of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from motel_locust.commands.checking.rates import SECOND_NS, STEPS, rates
from motel_locust.commands.checking.sets import scenario_set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from motel_locust.commands.checking.volume import Volume
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology

Unit = Literal["traces", "spans", "bytes"]

# Up to these lengths, a step is at most so long.
_MOST_STEPS_NS: Final = ((600 * SECOND_NS, SECOND_NS), (1800 * SECOND_NS, 2 * SECOND_NS))
_LAST_STEP_NS: Final = 5 * SECOND_NS
_MOST_INSTANTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Band:
    """A scenario's window, clipped to what is shown."""

    name: str
    start_ns: int
    stop_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A rate over time, from 0 to ``until_ns``.

    t_ns   int64[instants]    ascending
    per_s  float64[instants]  of the *unit*, a second
    """

    unit: Unit
    until_ns: int
    t_ns: NDArray[np.int64]
    per_s: NDArray[np.float64]
    bands: tuple[Band, ...]

    @property
    def greatest(self) -> float:
        """The highest rate."""
        return float(self.per_s.max())

    @property
    def greatest_at_ns(self) -> int:
        """When it is first reached."""
        return int(self.t_ns[self.per_s.argmax()])


def series(
    topology: Topology,
    until_ns: int,
    *,
    unit: Unit,
    volumes: Mapping[Active, Volume],
    factor: float = 1.0,
) -> Series:
    """Return the traffic of *topology* before *until_ns*, *factor* times as much.

    Spans and bytes are those of the average traces in *volumes*, by the set of active scenarios.
    """
    stretches = rates(topology, until_ns, factor=factor, step_ns=step_ns(until_ns))
    parts = []
    for stretch in stretches:
        of_a_trace = 1.0
        if unit != "traces":
            volume = volumes[stretch.active]
            of_a_trace = volume.spans if unit == "spans" else volume.size
        parts.append(stretch.per_s * of_a_trace)
    bands = tuple(
        Band(
            scenario_set(topology, (index,)).label,
            each.at,
            min(each.at + each.duration, until_ns),
        )
        for index, each in enumerate(topology.scenarios)
        if each.at < until_ns
    )
    t_ns = np.concatenate([stretch.t_ns for stretch in stretches])
    return Series(unit, until_ns, t_ns, np.concatenate(parts), bands)


def step_ns(until_ns: int) -> int:
    """Return how far apart the instants are at which *until_ns* is looked at.

    A 300th, at most 1 s up to ten minutes, 2 s up to half an hour and 5 s beyond; but no more
    instants than any picture could show.
    """
    limits = (step for length, step in _MOST_STEPS_NS if until_ns <= length)
    longest = next(limits, _LAST_STEP_NS)
    return max(min(until_ns // STEPS, longest), until_ns // _MOST_INSTANTS, 1)
