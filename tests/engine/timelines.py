"""Topologies of one operation with traffic of all kinds, as strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from motel_locust.topology.model import Topology

SECOND_NS = 10**9

rates = st.sampled_from(["1/s", "10/s", "20/m", "7/s", "300/s", "2.5/s", "1000/h"])
multipliers = st.sampled_from([0.5, 1, 3, 20])


def topology(traffic: dict[str, Any] | str, *scenarios: dict[str, Any]) -> Topology:
    """Return a topology with that traffic, or of that uniform rate."""
    return Topology.model_validate(
        {
            "version": 1,
            "services": {"web": {"operations": {"get": {"duration": "10ms"}}}},
            "traffic": {"rate": traffic} if isinstance(traffic, str) else traffic,
            "scenarios": list(scenarios),
        }
    )


def window(at: str, duration: str, traffic: dict[str, Any] | None = None, **rest: Any) -> dict:
    """Return a scenario."""
    return {"at": at, "duration": duration, "traffic": traffic, **rest}


@st.composite
def patterns(draw: st.DrawFn, *, overlays: bool = True) -> dict[str, Any]:
    traffic: dict[str, Any] = {"rate": draw(rates)}
    kind = draw(st.sampled_from(["uniform", "diurnal", "bursty", "custom"]))
    traffic["pattern"] = kind
    if kind == "diurnal":
        trough = draw(st.sampled_from([0.1, 0.5, 1]))
        traffic |= {"trough_multiplier": trough, "peak_multiplier": trough + draw(multipliers)}
        traffic["period"] = draw(st.sampled_from(["2s", "7s", "1m", "24h"]))
    if kind == "bursty":
        interval = draw(st.integers(30, 9_000))
        traffic |= {
            "burst_multiplier": draw(multipliers),
            "burst_interval": f"{interval}ms",
            "burst_duration": f"{draw(st.integers(1, interval - 1))}ms",
        }
    if kind == "custom":
        ends = draw(st.lists(st.integers(-1_000, 90_000), min_size=1, max_size=4, unique=True))
        traffic["segments"] = [{"until": f"{end}ms", "rate": draw(rates)} for end in ends]
    if overlays and draw(st.booleans()):
        traffic["overlay"] = draw(patterns(overlays=False))
    return traffic


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Return a topology with random traffic, some of it in scenarios of the first minutes."""
    scenarios = [
        window(
            f"{draw(st.integers(0, 80_000))}ms",
            f"{draw(st.integers(1, 70_000))}ms",
            draw(st.none() | patterns()),
            priority=draw(st.integers(-1, 1)),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return topology(draw(patterns()), *scenarios)
