"""A printed topology reads back equal, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.topology.model import Choice, Normal, Range, Topology
from motel_locust.topology.part import Part
from motel_locust.topology.percentiles import PercentileDistribution
from motel_locust.topology.quantities import (
    DurationDistribution,
    NumberDistribution,
    Rate,
    format_duration,
)
from motel_locust.topology.reading import Source, parse_topology

# fmt: off
DURATIONS = frozenset({
    "at", "burst_duration", "burst_interval", "cooldown", "delay", "duration", "interval",
    "latency_threshold", "period", "restart_every", "retry_backoff",
    "timeout", "until", "walk", "window",
})
# fmt: on


def flow(value: object) -> str:
    """Print *value* in YAML's flow style, texts in quotes."""
    if isinstance(value, Choice):
        pairs = [f"{flow(key)}: {weight}" for key, weight in value.values]
        return f"{{values: {{{', '.join(pairs)}}}}}"
    if isinstance(value, Range):
        return f"{{range: [{value.low}, {value.high}]}}"
    if isinstance(value, Normal):
        return f"{{distribution: {{mean: {value.mean!r}, stddev: {value.stddev!r}}}}}"
    if isinstance(value, Part):
        return flow(written(value))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, PercentileDistribution):
        return str(value)
    if isinstance(value, DurationDistribution | NumberDistribution | Rate):
        return json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False)


def written(part: Part) -> dict[str, Any]:
    """The keys of *part* that are not at their default, as they are written."""
    keys: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        # Unset fields of traffic are None until they are filled in.
        if name in part.model_fields_set and value is not None:
            is_time = name in DURATIONS and isinstance(value, int)
            keys[field.alias or name] = format_duration(value) if is_time else value
    return keys


names = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="\x85"),
    min_size=1,
    max_size=6,
).filter(str.strip)
durations = st.integers(1, 10**13).map(format_duration)
delays = st.integers(0, 10**10).map(format_duration)
numbers = st.floats(-1e6, 1e6)
ratios = st.floats(0, 1)
percentiles = st.lists(st.integers(1, 10**13), min_size=4, max_size=4, unique=True).map(
    lambda found: dict(
        zip(("p0", "p50", "p95", "p99.9"), map(format_duration, sorted(found)), strict=True)
    )
)
distributions = st.one_of(durations, st.builds("{} +/- {}".format, durations, delays), percentiles)
values = st.one_of(names, st.booleans(), st.integers(-(2**63), 2**63 - 1), numbers)


def parts(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    return st.fixed_dictionaries(required, optional=optional or {})


pairs = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2).map(sorted)
generators = st.one_of(
    parts({"value": values}),
    parts({"values": st.dictionaries(names, st.integers(1, 1000), min_size=1, max_size=3)}),
    parts({"sequence": names}),
    parts({"probability": ratios}),
    parts({"range": pairs}),
    parts({"distribution": parts({}, {"mean": numbers, "stddev": st.floats(0, 10)})}),
    parts(
        {
            "text": parts(
                {"length": st.integers(8, 65_536), "distinct": st.integers(1, 10**12)},
                {"skew": st.floats(0, 10)},
            )
        }
    ),
)
attributes = st.dictionaries(names, generators, max_size=2)
calls = st.one_of(
    parts(
        {"target": st.just("leaf.work")},
        {
            "probability": st.floats(0.01, 1),
            "condition": st.sampled_from(["on-error", "on-success"]),
            "count": st.integers(1, 5),
            "timeout": durations,
            "retries": st.integers(1, 3),
            "producer": st.booleans(),
            "network": distributions,
        },
    ),
    parts({"target": st.just("leaf.work"), "async": st.just(True)}),
    parts({"target": st.just("leaf.work"), "retries": st.just(2), "retry_backoff": delays}),
)
changes = {"weight": st.floats(0.01, 99), "duration": distributions, "error_rate": ratios}
changes["attributes"] = attributes
bags = st.dictionaries(st.sampled_from(["a", "b-c"]), names)
variants = st.dictionaries(names, parts({}, {**changes, "baggage": bags}), max_size=3)
logs = parts(
    {"severity": st.sampled_from(["INFO", "warn"]), "body": names},
    {"condition": st.sampled_from(["error", "slow"]), "probability": ratios, "delay": delays},
)
operations = parts(
    {"duration": distributions},
    {
        "error_rate": ratios,
        "call_style": st.sampled_from(["parallel", "sequential"]),
        "calls": st.lists(calls, max_size=3),
        "attributes": attributes,
        "events": st.lists(parts({"name": names}, {"delay": delays, "attributes": attributes})),
        "links": st.just(["leaf.work"]),
        "baggage": bags,
        "variants": variants,
        "baggage_as_attributes": st.booleans(),
        "logs": st.lists(logs, max_size=2),
        "queue_depth": st.integers(0, 100),
        "backpressure": parts(
            {"latency_threshold": delays}, {"duration_multiplier": st.floats(0, 20)}
        ),
        "circuit_breaker": parts(
            {"failure_threshold": st.integers(1, 9), "window": delays, "cooldown": delays}
        ),
    },
)
rates = st.builds("{}/{}".format, st.integers(1, 10**6), st.sampled_from(["s", "min", "HOUR"]))
traffics = st.one_of(
    parts({"rate": rates}, {"arrivals": st.sampled_from(["paced", "poisson"])}),
    parts({"rate": rates, "pattern": st.just("diurnal"), "period": durations}),
    parts({"rate": rates, "pattern": st.just("bursty"), "burst_multiplier": st.floats(0.1, 9)}),
    parts(
        {
            "rate": rates,
            "pattern": st.just("custom"),
            "segments": st.lists(
                parts({"until": durations, "rate": rates}),
                min_size=1,
                max_size=3,
                unique_by=lambda segment: segment["until"],
            ),
            "overlay": parts({"rate": rates}),
        }
    ),
)
scenarios = parts(
    {"at": delays, "duration": durations},
    {
        "name": names,
        "priority": st.integers(-5, 5),
        "override": parts(
            {},
            {
                "leaf.work": parts({}, {"duration": distributions, "error_rate": ratios}),
                "leaf": parts({"logs": parts({"disable": st.just(True)})}),
            },
        ),
        "traffic": traffics,
    },
)
instances = parts(
    {"count": st.integers(3, 10_000)},
    {
        "weights": st.dictionaries(st.sampled_from(["1", "3"]), st.floats(0.1, 9)),
        "restart_every": st.sampled_from(["1s", "1h30m"]),
    },
)
topologies = parts(
    {
        "version": st.just(1),
        "services": st.fixed_dictionaries(
            {
                "leaf": st.just({"operations": {"work": {"duration": "1ms"}}}),
                "web": parts(
                    {
                        "operations": st.dictionaries(names, operations, min_size=1, max_size=3),
                        "instances": instances,
                    },
                    {
                        "resource_attributes": st.dictionaries(names, names, max_size=2),
                        "instance_attributes": st.just({"k8s.pod.name": "{n}-{id}-{restart}{"}),
                    },
                ),
            }
        ),
        "traffic": traffics,
    },
    {
        "scenarios": st.lists(scenarios, max_size=2),
        "spans": st.sampled_from(["single", "paired"]),
        "network": distributions,
    },
).map(Topology.model_validate)


@settings(max_examples=60, deadline=None)
@given(topologies)
def test_a_printed_topology_reads_back_equal(topology: Topology) -> None:
    source = Source("printed.yaml", flow(topology).encode())
    assert parse_topology(source).topology == topology
