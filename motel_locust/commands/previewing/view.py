"""What `preview` shows of a topology: the rate over time, the call graph, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from motel_locust.commands.checking.rates import preview_ns, rate_at
from motel_locust.commands.checking.sets import scenario_set, scenario_sets
from motel_locust.commands.checking.volume import estimate
from motel_locust.commands.previewing.graph import call_graph
from motel_locust.commands.previewing.series import series
from motel_locust.engine import scenarios

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.commands.checking.sampling import Draw
    from motel_locust.commands.previewing.graph import Arrow, Box, CallGraph
    from motel_locust.commands.previewing.series import Series, Unit
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology

Shown = Literal["all", "rate", "graph"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see.

    Attributes:
        shown: Which of the two pictures.
        unit: What the rate is of.
        until_ns: How much of the run; None for 1.1 times all scenarios, or five minutes.
        at_ns: When the calls are looked at; None: at the base rate, without scenarios.
        base_per_s: The base rate instead of the topology's, in traces a second.
        samples: Traces to be sampled of each set of scenarios, at least one.
    """

    shown: Shown = "all"
    unit: Unit = "traces"
    until_ns: int | None = None
    at_ns: int | None = None
    base_per_s: float | None = None
    samples: int = 1000


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see; None for what nobody asked for."""

    rate: Series | None
    calls: CallGraph | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; times in s, latencies in ms, shares from 0 to 1."""
        return {
            "rate": None if self.rate is None else _series_dict(self.rate),
            "calls": None if self.calls is None else _graph_dict(self.calls),
        }


def sets_to_sample(topology: Topology, wish: Wish) -> list[Active]:
    """Return the sets of scenarios whose average traces are needed."""
    found: list[Active] = []
    if wish.shown != "graph" and wish.unit != "traces":
        found += [each.active for each in scenario_sets(topology)]
    if wish.shown != "rate":
        found.append(_looked_at(topology, wish))
    return list(dict.fromkeys(found))


def view(topology: Topology, draw: Draw, wish: Wish, *, advance: Callable[[float], None]) -> View:
    """Return what *wish* asks of *topology*; *advance* is told how many traces are sampled."""
    assert topology.traffic is not None, "a replay has nothing to preview"
    base_per_s = topology.traffic.rate.per_s
    factor = 1.0 if wish.base_per_s is None else wish.base_per_s / base_per_s
    volumes = {
        active: estimate(
            topology, scenario_set(topology, active), draw, traces=wish.samples, advance=advance
        )
        for active in sets_to_sample(topology, wish)
    }
    rate = calls = None
    if wish.shown != "graph":
        until_ns = wish.until_ns or preview_ns(topology)
        rate = series(topology, until_ns, unit=wish.unit, volumes=volumes, factor=factor)
    if wish.shown != "rate":
        per_s = base_per_s if wish.at_ns is None else rate_at(topology, wish.at_ns)
        calls = call_graph(topology, volumes[_looked_at(topology, wish)], per_s * factor)
    return View(rate, calls)


def _looked_at(topology: Topology, wish: Wish) -> Active:
    return () if wish.at_ns is None else scenarios.active(topology, wish.at_ns)


def _series_dict(series: Series) -> dict[str, Any]:
    return {
        "unit": series.unit,
        "until_s": series.until_ns / 1e9,
        "peak": {"at_s": series.greatest_at_ns / 1e9, "per_s": series.greatest},
        "scenarios": [
            {"name": band.name, "start_s": band.start_ns / 1e9, "stop_s": band.stop_ns / 1e9}
            for band in series.bands
        ],
        "at_s": (series.t_ns / 1e9).tolist(),
        "per_s": series.per_s.tolist(),
    }


def _graph_dict(graph: CallGraph) -> dict[str, Any]:
    return {
        "scenarios": graph.label,
        "traces_per_s": graph.traces_per_s,
        "operations": [_box_dict(box) for box in graph.boxes],
        "calls": [_arrow_dict(arrow) for arrow in graph.arrows],
    }


def _box_dict(box: Box) -> dict[str, Any]:
    latency = None
    if box.latency is not None:
        named = (("p50", box.latency.p50), ("p95", box.latency.p95), ("p99", box.latency.p99))
        latency = {name: value / 1e6 for name, value in named}
    return {
        "operation": box.ref,
        "service": box.service,
        "name": box.name,
        "root": box.root,
        "spans_per_s": box.spans_per_s,
        "error_share": box.errors,
        "latency_ms": latency,
    }


def _arrow_dict(arrow: Arrow) -> dict[str, Any]:
    return {
        "caller": arrow.caller,
        "callee": arrow.callee,
        "spans_per_s": arrow.spans_per_s,
        "awaited": arrow.awaited,
        "calls": list(arrow.words),
    }
