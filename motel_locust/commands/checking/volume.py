"""What a run will send: spans and bytes a second, of each operation and service."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.commands.checking.bounds import bounds
from motel_locust.commands.checking.expectation import Estimate, Expectation, LateShare, expect
from motel_locust.commands.checking.sampling import late_share, sample, tell_nobody
from motel_locust.commands.checking.sets import ScenarioSet, wire
from motel_locust.commands.checking.sizes import Spread, spread
from motel_locust.topology import linking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from motel_locust.commands.checking.expectation import Durations
    from motel_locust.commands.checking.rates import Stretch
    from motel_locust.commands.checking.sampling import Draw, Sample
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Share:
    """One operation's part of a trace, or that of one service's calls to an operation.

    Attributes:
        service: Whose spans they are.
        name: What these are called.
        spans: Expected spans in a trace.
        errors: Expected share of them that have status ERROR, 0 to 1.
        size: Mean bytes of a span, encoded, without resource and scope; those of its service's
            or of all spans where the sample has none of its own.
        latency: How long its sampled spans take, in ns; None where there is none.
    """

    service: str
    name: str
    spans: Estimate
    errors: Estimate
    size: float
    latency: Spread | None


@dataclass(frozen=True, slots=True)
class Volume:
    """An average trace while a set of scenarios is active.

    Attributes:
        scenarios: The set.
        shares: The operations' parts, by their refs; then those of the caller's sides of calls.
        calls: Expected spans in a trace that the first operation makes of the second.
        latency: How long sampled traces take, from start to end of their roots, in ns.
    """

    scenarios: ScenarioSet
    shares: Mapping[str, Share]
    calls: Mapping[tuple[str, str], Estimate]
    latency: Spread

    @property
    def spans(self) -> float:
        """Expected spans in a trace."""
        return sum(each.spans.value for each in self.shares.values())

    @property
    def size(self) -> float:
        """Expected bytes of a trace's spans."""
        return sum(each.spans.value * each.size for each in self.shares.values())

    @property
    def exact(self) -> bool:
        """Whether all spans were computed, none sampled."""
        return all(each.spans.exact for each in self.shares.values())

    def by_service(self) -> dict[str, tuple[float, float]]:
        """Return the expected spans of each service in a trace, and their bytes."""
        found: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for each in self.shares.values():
            spans, size = found[each.service]
            made = each.spans.value
            found[each.service] = (spans + made, size + made * each.size)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Peak:
    """The instant with the most spans a second.

    Attributes:
        t_ns: When it is first reached, since the start of the run.
        traces_per_s: Traces that arrive a second.
        volume: The average trace at that time.
    """

    t_ns: int
    traces_per_s: float
    volume: Volume

    @property
    def spans_per_s(self) -> float:
        """Spans a second."""
        return self.traces_per_s * self.volume.spans


def estimate(
    topology: Topology,
    scenarios: ScenarioSet,
    draw: Draw,
    *,
    traces: int,
    advance: Callable[[float], None] = tell_nobody,
) -> Volume:
    """Return the average trace of *topology* while *scenarios* are active.

    *traces* are sampled, at least one: for bytes and latency, for what has no closed form, and for
    everything where a trace may reach the limit of *draw*.
    """
    sampled = sample(topology, scenarios.active, draw, traces=traces, advance=advance)
    return volume_of(topology, scenarios, draw, sampled)


def volume_of(topology: Topology, scenarios: ScenarioSet, draw: Draw, sampled: Sample) -> Volume:
    """Return the average trace, of which *sampled* are examples; see :func:`estimate`."""
    active, traces = scenarios.active, sampled.sizes.spans.size
    wiring = wire(topology, active)
    expected = expect(wiring, _late_shares(topology, active, draw, traces))
    if bounds(wiring).spans > draw.limit:
        expected = _cut(expected, sampled)
    places = linking.operations(topology)
    places |= {each.edge: (each.place[0], each.peer[1]) for each in wiring.clients.values()}
    sizes = _sizes(places, sampled)
    shares = {}
    for ref, (service, name) in places.items():
        seen = sampled.seen.get(ref)
        shares[ref] = Share(
            service,
            name,
            expected.spans[ref],
            expected.errors[ref],
            sizes[ref],
            spread(np.concatenate(seen.took_ns)) if seen else None,
        )
    return Volume(scenarios, shares, expected.calls, spread(sampled.sizes.latency_ns))


def peak(stretches: Iterable[Stretch], volumes: Mapping[Active, Volume]) -> Peak:
    """Return the first instant of *stretches* with the most spans a second."""
    found = []
    for stretch in stretches:
        at = int(stretch.per_s.argmax())
        volume = volumes[stretch.active]
        found.append(Peak(int(stretch.t_ns[at]), float(stretch.per_s[at]), volume))
    return max(found, key=lambda each: each.spans_per_s)


def _late_shares(topology: Topology, active: Active, draw: Draw, traces: int) -> LateShare:
    known: dict[tuple[object, ...], float] = {}

    def share(ref: str, baggage: Mapping[str, str], timeout_ns: int, network: Durations) -> float:
        key = (ref, frozenset(baggage.items()), timeout_ns, network)
        if key not in known:
            known[key] = late_share(
                topology,
                active,
                draw,
                ref=ref,
                baggage=baggage,
                timeout_ns=timeout_ns,
                traces=traces,
                network=network,
            )
        return known[key]

    return share


def _cut(expected: Expectation, sampled: Sample) -> Expectation:
    """Return what is expected where traces reach their limit: what was sampled."""
    traces = sampled.sizes.spans.size
    spans, errors = {}, {}
    for ref, uncut in expected.errors.items():
        seen = sampled.seen.get(ref)
        spans[ref] = Estimate(seen.spans / traces if seen else 0.0, exact=False)
        errors[ref] = Estimate(seen.errors / seen.spans if seen else uncut.value, exact=False)
    calls = {
        edge: Estimate(
            _part(each.value, expected.spans[edge[1]].value) * spans[edge[1]].value, False
        )
        for edge, each in expected.calls.items()
    }
    return Expectation(spans, errors, calls)


def _part(of: float, whole: float) -> float:
    return of / whole if whole else 0.0


def _sizes(places: Mapping[str, tuple[str, str]], sampled: Sample) -> dict[str, float]:
    """Return the mean bytes of a span of each of *places*, which tell the service first."""
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for ref, seen in sampled.seen.items():
        for whose in (f"operation {ref}", f"service {places[ref][0]}", "all"):
            totals[whose][0] += seen.spans
            totals[whose][1] += seen.size
    found = {}
    for ref, (service, _) in places.items():
        known = (totals.get(whose) for whose in (f"operation {ref}", f"service {service}", "all"))
        spans, size = next(each for each in known if each)
        found[ref] = size / spans
    return found
