"""Random topologies, as the plain mappings that a YAML file holds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from motel_locust.topology.model import Topology

SERVICES = ("gate", "shop", "store")


def topology(services: dict[str, Any], **rest: Any) -> Topology:
    """Return a topology from the plain values of a file; 100 traces/s unless *rest* says more."""
    rest.setdefault("traffic", {"rate": "100/s"})
    return Topology.model_validate({"version": 1, "services": services, **rest})


durations = st.sampled_from(
    [
        *("3ns", "1ms", "4ms +/- 3ms", "10ms ± 2ms", "20ms", "2ms +/- 5ms"),
        {"p50": "4ms", "p99": "30ms"},
        {"p0": "1ms", "p50": "3ms", "p90": "4ms", "p99.9": "1s", "p100": "2s"},
    ]
)
shares = st.sampled_from(["0%", "5%", "30%", "100%"])

generators = st.sampled_from(
    [
        {"value": "x"},
        {"value": 7},
        {"values": {"a": 3, "bb": 1, "200": 2}},
        {"probability": 0.3},
        {"range": [-5, 2_000]},
        {"range": [-(2**63), 2**63 - 1]},
        {"distribution": {"mean": 1.5, "stddev": 0.5}},
        {"sequence": "id-{n}"},
        {"text": {"length": 14, "distinct": 30, "skew": 1.2}},
        {"text": {"length": 2, "distinct": 1_000}},
    ]
)
attributes = st.dictionaries(st.sampled_from(["a", "b", "c"]), generators, max_size=3)


@st.composite
def calls(draw: st.DrawFn, targets: list[str]) -> dict[str, Any]:
    call: dict[str, Any] = {"target": draw(st.sampled_from(targets))}
    call["probability"] = draw(st.sampled_from([0, 0.3, 0.9, 1]))
    call["count"] = draw(st.sampled_from([0, 1, 1, 2, 3]))
    condition = draw(st.sampled_from([None, None, "on-error", "on-success"]))
    if condition:
        call["condition"] = condition
    kind = draw(st.sampled_from(["plain", "plain", "async", "producer", "careful"]))
    if kind == "async":
        call["async"] = True
    elif kind == "producer":
        call["producer"] = True
    elif kind == "careful":
        call["timeout"] = draw(st.sampled_from(["2ms", "5ms", "20ms"]))
        call["retries"] = draw(st.integers(0, 2))
        if call["retries"]:
            call["retry_backoff"] = draw(st.sampled_from(["0s", "7ms"]))
    return call


@st.composite
def guards(draw: st.DrawFn) -> dict[str, Any]:
    """Return the fields of an operation that keeps state."""
    found: dict[str, Any] = {"queue_depth": draw(st.sampled_from([0, 0, 1, 2]))}
    if draw(st.booleans()):
        found["backpressure"] = {
            "latency_threshold": draw(st.sampled_from(["2ms", "12ms"])),
            "duration_multiplier": draw(st.sampled_from([1.5, 20])),
            "error_rate_add": "20%",
        }
    if draw(st.booleans()):
        found["circuit_breaker"] = {
            "failure_threshold": draw(st.integers(1, 3)),
            "window": draw(st.sampled_from(["0s", "50ms", "10s"])),
            "cooldown": draw(st.sampled_from(["0s", "30ms", "100ms"])),
        }
    return found


@st.composite
def topologies(
    draw: st.DrawFn, *, rate: str = "100/s", guarded: bool = False, linked: bool = True
) -> Topology:
    """Return a topology of up to six operations, each calling only later ones."""
    count = draw(st.integers(1, 6))
    refs = [f"{SERVICES[index % 3]}.op{index}" for index in range(count)]
    services: dict[str, Any] = {}
    for index, ref in enumerate(refs):
        service, name = ref.split(".")
        operation = draw(plain_operations())
        if later := refs[index + 1 :]:
            operation["calls"] = draw(st.lists(calls(later), max_size=3))
        others = [other for other in refs if other != ref]
        if linked and others and draw(st.booleans()):
            linking = draw(st.lists(st.sampled_from(others), max_size=2, unique=True))
            operation["links"] = [{"ref": each, "attributes": draw(attributes)} for each in linking]
        if draw(st.booleans()):
            operation["events"] = [
                {"name": "e1", "delay": "1ms", "attributes": draw(attributes)},
                {"name": "e2"},
            ]
        if draw(st.booleans()):
            operation["baggage"] = {"who": name, "k": "v"}
            operation["baggage_as_attributes"] = draw(st.booleans())
        if guarded:
            operation |= draw(guards())
        owner = services.setdefault(
            service, {"operations": {}, "attributes": {"team": service, "a": "service"}}
        )
        owner["operations"][name] = operation
    return topology(services, traffic={"rate": rate}, scenarios=draw(scenarios(refs)))


@st.composite
def plain_operations(draw: st.DrawFn) -> dict[str, Any]:
    """Return the fields of an operation that calls nobody."""
    return {
        "duration": draw(durations),
        "error_rate": draw(shares),
        "call_style": draw(st.sampled_from(["parallel", "sequential"])),
        "attributes": draw(attributes),
    }


@st.composite
def scenarios(draw: st.DrawFn, refs: list[str]) -> list[dict[str, Any]]:
    """Return up to two scenarios that change operations of *refs*."""
    scenarios = []
    for index in range(draw(st.integers(0, 2))):
        ref = draw(st.sampled_from(refs))
        override: dict[str, Any] = {"error_rate": draw(shares), "attributes": draw(attributes)}
        if draw(st.booleans()):
            override["duration"] = draw(durations)
        scenarios.append(
            {
                "name": f"s{index}",
                "at": draw(st.sampled_from(["0s", "105ms", "1s"])),
                "duration": draw(st.sampled_from(["300ms", "2s"])),
                "priority": draw(st.integers(-1, 1)),
                "override": {ref: override},
            }
        )
    return scenarios


@st.composite
def layered(draw: st.DrawFn, *, fewest_calls: int = 0) -> Topology:
    """Return a topology of layers, in which operations share their callees.

    Without links. Any operation may begin a trace, whoever else calls it.
    """
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    layers = [
        [f"{SERVICES[(depth + index) % 3]}.op{depth}{index}" for index in range(width)]
        for depth, width in enumerate(widths)
    ]
    services: dict[str, Any] = {
        each: {"operations": {}, "baggage": draw(st.sampled_from([{}, {"from": each}]))}
        for each in SERVICES
    }
    refs = [ref for layer in layers for ref in layer]
    for depth, layer in enumerate(layers):
        for ref in layer:
            service, name = ref.split(".")
            operation = draw(plain_operations())
            if below := [each for later in layers[depth + 1 :] for each in later][:4]:
                operation["calls"] = draw(
                    st.lists(calls(below), min_size=fewest_calls, max_size=fewest_calls + 2)
                )
            if draw(st.booleans()):
                operation["baggage_as_attributes"] = draw(st.booleans())
            services[service]["operations"][name] = operation
    roots = draw(st.lists(st.sampled_from(refs), max_size=2, unique=True))
    traffic = {"rate": "100/s", "roots": dict.fromkeys({layers[0][0], *roots}, 1)}
    return topology(
        {name: each for name, each in services.items() if each["operations"]},
        traffic=traffic,
        scenarios=draw(scenarios(refs)),
    )
