"""Every example topology, run by Locust into a real Collector, and judged span by span."""

from __future__ import annotations

import json
import math
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.topology.reading import read_topology
from tests.integration.child import ROOT
from tests.integration.collected import CollectedSpan
from tests.integration.collector import Collector
from tests.integration.locust_runs import Finished, Locusts
from tests.oracles.rules import active_at
from tests.oracles.traces import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from motel_locust.topology.model import Topology

FILES = {path.stem: path for path in sorted((ROOT / "topologies").glob("*.yaml"))}
PLAIN = tuple(FILES)
SCENARIOS = tuple(name for name, path in FILES.items() if "\nscenarios:" in path.read_text())
VARIANTS = [
    *((name, "as it is") for name in PLAIN),
    *((name, "hurried") for name in SCENARIOS),
    ("shop", "realtime"),
    ("shop", "an hour ago"),
]
OPTIONS = {
    "as it is": (),
    "hurried": ("--label-scenarios",),
    "realtime": ("--realtime",),
    "an hour ago": ("--time-offset=-1h",),
}

HURRY = 60
"""Minutes become seconds, so that every scenario has its turn in a short run."""
AT_ONCE = 4
"""Runs side by side: each is idle nearly all the time."""
ENVIRONMENT = {"deployment.test": "whole run", "service.namespace": "from the environment"}

COUNTED = (
    "traces",
    "spans",
    "errors",
    "failed_traces",
    "timeouts",
    "retries",
    "queue_rejections",
    "circuit_breaker_trips",
)
"""What the summary counts and the collected spans tell as well."""


@dataclass(frozen=True)
class Played:
    """A run that has ended, and what the Collector has of it."""

    topology: Topology
    finished: Finished
    spans: list[CollectedSpan]
    variant: str

    def verdict(self) -> Verdict:
        offset_ns = 3600 * 10**9 if self.variant == "an hour ago" else 0
        return judge(
            self.topology,
            self.spans,
            epoch_ns=self.finished.epoch_ns - offset_ns,
            labelled=self.variant == "hurried",
            environment=ENVIRONMENT,
        )


def hurried(text: str) -> str:
    """Return a topology whose scenarios begin and end HURRY times as early."""

    def shorter(line: re.Match[str]) -> str:
        minutes, seconds = (int(line[name] or 0) for name in ("minutes", "seconds"))
        return f"{line['key']}{(minutes * 60 + seconds) * 1000 // HURRY}ms"

    head, _, scenarios = text.partition("\nscenarios:")
    window = r"^(?P<key>    (?:at|duration): \+?)(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?$"
    return f"{head}\nscenarios:{re.sub(window, shorter, scenarios, flags=re.MULTILINE)}"


def play(name: str, variant: str, directory: Path, otelcol: Path) -> Played:
    path = FILES[name]
    if variant == "hurried":
        path = directory / path.name
        path.write_text(hurried(FILES[name].read_text()))
    topology = read_topology(str(path)).topology
    last_ns = max((each.at + each.duration for each in topology.scenarios), default=0)
    seconds = math.ceil(last_ns / 1e9) + 2 if variant == "hurried" else 3
    # Some 60 traces a second, whatever the file's own rate.
    users = max(1, round(60 / topology.traffic.rate.per_s))
    locusts = Locusts(directory)
    collector = Collector(otelcol, directory / "collector", exporter="file", metrics=False)
    try:
        collector.wait_until_ready()
        finished = locusts.run(
            *("--topology", path, "--host", collector.endpoint, "--headless"),
            *("--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"),
            # A seed of their own would let rare things that are looked for be missing one day.
            *("--seed", "1", *OPTIONS[variant]),
            env={"OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{k}={v}" for k, v in ENVIRONMENT.items())},
        )
        collector.stop()
        return Played(topology, finished, collector.spans(), variant)
    finally:
        locusts.end()
        collector.end()


Runs = dict[tuple[str, str], Future[Played]]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, otelcol: Path
) -> Iterator[Runs]:
    """The runs that the chosen tests need, under way, several at a time."""
    wanted = {
        (item.callspec.params["name"], item.callspec.params["variant"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and "variant" in item.callspec.params
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: Runs = {
            (name, variant): pool.submit(
                play, name, variant, tmp_path_factory.mktemp(name), otelcol
            )
            for name, variant in VARIANTS
            if (name, variant) in wanted
        }
        yield started
        for each in started.values():
            each.cancel()


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_what_arrives_is_what_the_topology_says(name: str, variant: str, runs: Runs) -> None:
    played = runs[name, variant].result(timeout=120)
    finished, verdict = played.finished, played.verdict()

    assert finished.code == 0, finished.stderr
    assert verdict.faults[:10] == []
    ledger = finished.ledger
    assert len(played.spans) == ledger["accepted"] == ledger["generated"] > 0
    assert sum(ledger.values()) == 2 * len(played.spans), "nothing lost, pending or ambiguous"
    counted = {key: finished.simulation[key] for key in COUNTED}
    assert counted == {key: verdict.counts[key] for key in COUNTED}
    assert len({each.span.trace_id for each in played.spans}) == counted["traces"]


@pytest.mark.parametrize(("name", "variant"), [(name, "hurried") for name in SCENARIOS])
def test_every_set_of_scenarios_had_its_turn(name: str, variant: str, runs: Runs) -> None:
    played = runs[name, variant].result(timeout=120)

    topology, actives = played.topology, played.verdict().actives

    edges = {each.at for each in topology.scenarios}
    edges |= {each.at + each.duration for each in topology.scenarios}
    stretches = pairwise(sorted({0, *edges}))
    assert actives == {(), *(active_at(topology, (a + b) // 2) for a, b in stretches)}


EDGES_BY_SCENARIO = {
    "scenarios": ("web.GET /article", "database.query"),
    "shop": ("storefront.GET /product/{id}", "cache.get"),
}


@pytest.mark.parametrize(("name", "variant"), [(name, "hurried") for name in EDGES_BY_SCENARIO])
def test_a_scenario_adds_calls(name: str, variant: str, runs: Runs) -> None:
    played = runs[name, variant].result(timeout=120)
    assert EDGES_BY_SCENARIO[name] in played.verdict().edges


SHOWS: dict[tuple[str, str], Callable[[Verdict], bool]] = {
    ("async-messaging", "as it is"): lambda v: v.links["settlement.settle", "broker.publish"] > 0,
    ("circuit-breaker", "hurried"): lambda v: v.counts["circuit_breaker_trips"] > 10,
    ("errors-and-cascades", "as it is"): lambda v: v.counts["failed_traces"] > 0,
    ("events-and-links", "as it is"): lambda v: len(v.links) == 2,
    ("poisson", "as it is"): lambda v: v.counts["queue_rejections"] > 0,
    ("queue", "as it is"): lambda v: v.counts["queue_rejections"] > 0,
    ("retries-and-timeouts", "as it is"): lambda v: v.counts["timeouts"] > 0 < v.counts["retries"],
    ("span-pairs", "as it is"): lambda v: v.counts["timeouts"] > 0 < v.counts["retries"],
}


@pytest.mark.parametrize(("name", "variant"), SHOWS)
def test_an_example_shows_what_it_is_about(name: str, variant: str, runs: Runs) -> None:
    verdict = runs[name, variant].result(timeout=120).verdict()
    assert SHOWS[name, variant](verdict), verdict.counts


def spoiled(span: Span, how: str) -> None:
    """Make one thing of a span wrong; halves of a duration may differ by 1 ns, so times by 2."""
    match how:
        case "name":
            span.name += "s"
        case "kind":
            span.kind = Span.SPAN_KIND_UNSPECIFIED
        case "parent":
            span.parent_span_id = b"\1" * 8
        case "start":
            span.start_time_unix_nano -= 2
        case "end":
            span.end_time_unix_nano += 2
        case "status":
            span.status.code = 2
        case "attribute's value":
            span.attributes[-1].value.string_value = "spoiled"
        case "attribute's absence":
            del span.attributes[-1]
        case "event":
            span.events.add(name="spoiled")
        case "link":
            span.links.add(trace_id=span.trace_id, span_id=span.span_id)


@pytest.mark.parametrize(
    "how",
    [
        *("name", "kind", "parent", "start", "end", "status"),
        *("attribute's value", "attribute's absence", "event", "link"),
    ],
)
@pytest.mark.parametrize(
    ("name", "variant", "service"),
    [("retries-and-timeouts", "as it is", "inventory"), ("span-pairs", "as it is", "orders")],
)
def test_the_judge_sees_what_is_wrong(
    name: str, variant: str, service: str, how: str, runs: Runs
) -> None:
    played = runs[name, variant].result(timeout=120)
    # Of orders, that is the caller's side of a call.
    one = next(
        each
        for each in played.spans
        if each.service == service and each.span.name in ("reserve", "append")
    )
    span = Span()
    span.CopyFrom(one.span)
    spoiled(span, how)
    others = [each for each in played.spans if each is not one]
    spans = [*others, CollectedSpan(one.resource, one.scope, span)]

    verdict = judge(
        played.topology,
        spans,
        epoch_ns=played.finished.epoch_ns,
        environment=ENVIRONMENT,
    )

    assert verdict.faults, json.dumps(how)


@pytest.mark.parametrize(("name", "variant"), [("retries-and-timeouts", "as it is")])
def test_the_judge_misses_a_span(name: str, variant: str, runs: Runs) -> None:
    played = runs[name, variant].result(timeout=120)
    attempt = next(each for each in played.spans if each.span.name == "charge")

    verdict = judge(
        played.topology,
        [each for each in played.spans if each is not attempt],
        epoch_ns=played.finished.epoch_ns,
        environment=ENVIRONMENT,
    )

    assert len(verdict.faults) == 1
