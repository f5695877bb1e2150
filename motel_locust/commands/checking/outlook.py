"""Everything that `check` finds out about a topology, set of scenarios after set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from motel_locust.commands.checking import swarm
from motel_locust.commands.checking.bounds import bounds
from motel_locust.commands.checking.rates import full_cycle_ns, rates
from motel_locust.commands.checking.sampling import sample
from motel_locust.commands.checking.sets import scenario_sets, wire
from motel_locust.commands.checking.verdict import Finding
from motel_locust.commands.checking.volume import Peak, Volume, peak, volume_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.commands.checking.sampling import Draw
    from motel_locust.topology.model import Topology

Strategy = Literal["random", "swarm"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was found, for every set of scenarios, the baseline first.

    Attributes:
        findings: Bounds, and the sizes of sampled traces.
        volumes: Average traces; none without samples.
        points: The most choice points of a set; 0 unless a swarm looked for them.
    """

    findings: tuple[Finding, ...]
    volumes: tuple[Volume, ...] = ()
    points: int = 0

    def peak(self, topology: Topology, *, factor: float) -> Peak:
        """Return the instant of the run with the most spans a second, at *factor* times the rate.

        There must be volumes.
        """
        volumes = {each.scenarios.active: each for each in self.volumes}
        return peak(rates(topology, full_cycle_ns(topology), factor=factor), volumes)


def look(
    topology: Topology,
    draw: Draw,
    *,
    samples: int,
    strategy: Strategy,
    advance: Callable[[float], None],
) -> Outlook:
    """Return the outlook on *topology* by *samples* traces of each set; 0 for bounds only.

    A swarm explores as many besides. *advance* is told how many traces are done.
    """
    findings, volumes, points = [], [], 0
    for scenarios in scenario_sets(topology):
        found = bounds(wire(topology, scenarios.active))
        if not samples:
            findings.append(Finding(scenarios, found))
            continue
        drawn = sample(topology, scenarios.active, draw, traces=samples, advance=advance)
        sizes = drawn.sizes
        if strategy == "swarm":
            explored = swarm.explore(
                topology, scenarios.active, draw, samples=samples, advance=advance
            )
            sizes, points = explored.sizes, max(points, explored.points)
        findings.append(Finding(scenarios, found, sizes))
        volumes.append(volume_of(topology, scenarios, draw, drawn))
    return Outlook(tuple(findings), tuple(volumes), points)
