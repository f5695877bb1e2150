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
instances = st.sampled_from(
    [
        *(None, None, None, 1, 3),
        {"count": 4, "weights": {"2": 7, "4": 0.5}},
        {"count": 5, "weights": {"1": 3}, "restart_every": "1s"},
    ]
)
ill = st.dictionaries(
    st.sampled_from(["1", "2", "4"]),
    st.fixed_dictionaries({}, optional={"duration": durations, "error_rate": shares}),
    max_size=2,
)
attributes = st.dictionaries(st.sampled_from(["a", "b", "c"]), generators, max_size=3)

# Of variants that may be there or not: names are compared where a file is read.
changes = st.dictionaries(
    st.sampled_from(["v1", "eu"]),
    st.fixed_dictionaries(
        {"weight": st.sampled_from([0, 2])},
        optional={"duration": durations, "error_rate": shares, "attributes": attributes},
    ),
    max_size=2,
)


networks = st.sampled_from(
    [None, None, "1ns", "3ns", "2ms", "1ms +/- 2ms", {"p50": "1ms", "p95": "8ms"}]
)


@st.composite
def span_styles(draw: st.DrawFn) -> dict[str, Any]:
    """Return how a topology's calls show: mostly as pairs of spans."""
    return {
        "spans": draw(st.sampled_from(["single", "paired", "paired"])),
        "network": draw(networks),
    }


@st.composite
def calls(draw: st.DrawFn, targets: list[str], *, paired: bool = False) -> dict[str, Any]:
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
    if paired:
        call["network"] = draw(networks)
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
def variants(draw: st.DrawFn) -> dict[str, Any]:
    """Return the variants of an operation; some ask for baggage that others may have set."""
    found = {}
    for name in draw(st.lists(st.sampled_from(["v1", "v2", "eu", "us"]), max_size=4, unique=True)):
        variant: dict[str, Any] = {"weight": draw(st.sampled_from([0, 0.5, 1, 3]))}
        if draw(st.booleans()):
            variant |= {"attributes": draw(attributes), "duration": draw(durations)}
        if draw(st.booleans()):
            variant["error_rate"] = draw(shares)
        if draw(st.booleans()):
            variant["baggage"] = draw(st.sampled_from(BAGGAGE))
        if draw(st.booleans()):
            variant["when"] = draw(st.sampled_from(BAGGAGE))
        found[name] = variant
    return found if any(each["weight"] for each in found.values()) else {}


BAGGAGE = [{"region": "eu"}, {"region": "us"}, {"who": "op0"}, {"region": "eu", "k": "v"}]


@st.composite
def topologies(
    draw: st.DrawFn,
    *,
    rate: str = "100/s",
    guarded: bool = False,
    linked: bool = True,
    paired: bool = False,
) -> Topology:
    """Return a topology of up to six operations, each calling only later ones.

    *paired*: spans may come in pairs.
    """
    count = draw(st.integers(1, 6))
    refs = [f"{SERVICES[index % 3]}.op{index}" for index in range(count)]
    services: dict[str, Any] = {}
    for index, ref in enumerate(refs):
        service, name = ref.split(".")
        operation = draw(plain_operations())
        if later := refs[index + 1 :]:
            operation["calls"] = draw(st.lists(calls(later, paired=paired), max_size=3))
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
    for owner in services.values():
        owner["instances"] = draw(instances)
    return topology(
        services,
        traffic={"rate": rate},
        scenarios=draw(scenarios(refs)),
        **(draw(span_styles()) if paired else {}),
    )


@st.composite
def plain_operations(draw: st.DrawFn) -> dict[str, Any]:
    """Return the fields of an operation that calls nobody."""
    return {
        "duration": draw(durations),
        "error_rate": draw(shares),
        "call_style": draw(st.sampled_from(["parallel", "sequential"])),
        "attributes": draw(attributes),
        "variants": draw(st.one_of(st.just({}), variants())),
    }


@st.composite
def scenarios(draw: st.DrawFn, refs: list[str]) -> list[dict[str, Any]]:
    """Return up to two scenarios that change operations of *refs*."""
    scenarios = []
    for index in range(draw(st.integers(0, 2))):
        ref = draw(st.sampled_from(refs))
        override: dict[str, Any] = {"error_rate": draw(shares), "attributes": draw(attributes)}
        override["variants"] = draw(changes)
        if draw(st.booleans()):
            override["duration"] = draw(durations)
        override["instances"] = draw(ill)
        scenarios.append(
            {
                "name": f"s{index}",
                "at": draw(st.sampled_from(["0s", "105ms", "1s"])),
                "duration": draw(st.sampled_from(["300ms", "2s"])),
                "priority": draw(st.integers(-1, 1)),
                "override": {ref: override, ref.split(".")[0]: {"instances": draw(ill)}},
            }
        )
    return scenarios


@st.composite
def layered(draw: st.DrawFn, *, fewest_calls: int = 0, paired: bool = False) -> Topology:
    """Return a topology of layers, in which operations share their callees.

    Without links. Any operation may begin a trace, whoever else calls it.
    """
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    layers = [
        [f"{SERVICES[(depth + index) % 3]}.op{depth}{index}" for index in range(width)]
        for depth, width in enumerate(widths)
    ]
    services: dict[str, Any] = {
        each: {
            "operations": {},
            "baggage": draw(st.sampled_from([{}, {"from": each}])),
            "instances": draw(instances),
        }
        for each in SERVICES
    }
    refs = [ref for layer in layers for ref in layer]
    for depth, layer in enumerate(layers):
        for ref in layer:
            service, name = ref.split(".")
            operation = draw(plain_operations())
            if below := [each for later in layers[depth + 1 :] for each in later][:4]:
                operation["calls"] = draw(
                    st.lists(
                        calls(below, paired=paired),
                        min_size=fewest_calls,
                        max_size=fewest_calls + 2,
                    )
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
        **(draw(span_styles()) if paired else {}),
    )
