"""Telemetry in the shape of production's: 100,000 spans at a real Collector, by several judges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.topology.reading import read_topology
from tests.integration.child import ROOT
from tests.integration.collected import CollectedSpan
from tests.integration.collector import Collector
from tests.integration.locust_runs import Locusts
from tests.integration.production import (
    cardinalities,
    exponential,
    instances,
    latencies,
    pairs,
    percentiles,
    variants,
)
from tests.integration.production.arrived import Arrived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.production.arrived import Statistic

    Judge = Callable[[Arrived], Iterator[Statistic]]

PRODUCTION = ROOT / "topologies" / "production.yaml"
USERS, SECONDS = 10, 5

JUDGES: dict[str, tuple[Judge, int]] = {
    "percentiles": (percentiles.statistics, 15),
    "latencies": (latencies.statistics, 60),
    "pairs": (pairs.statistics, 24),
    "variants": (variants.statistics, 15),
    "instances": (instances.statistics, 15),
    "exponential histograms": (exponential.statistics, 200),
    "cardinalities": (cardinalities.statistics, 35),
}
"""What is judged, and how many statistics there are at least."""


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory, otelcol: Path) -> Iterator[Arrived]:
    """The one run that all judges look at."""
    directory = tmp_path_factory.mktemp("production")
    locusts = Locusts(directory)
    collector = Collector(
        otelcol,
        directory / "collector",
        exporter="file",
        metrics=True,
        span_metrics=True,
        dimensions=latencies.DIMENSIONS,
    )
    try:
        collector.wait_until_ready()
        finished = locusts.run(
            *("--topology", PRODUCTION, "--host", collector.endpoint, "--headless"),
            *("--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", f"{SECONDS}s"),
            *("--rate", "600/s", "--seed", "1"),
            *("--signals", "traces,metrics", "--metrics-interval", "1s"),
        )
        collector.wait_for_span_metrics()
        collector.stop()
        yield Arrived(
            read_topology(str(PRODUCTION)).topology,
            finished,
            collector.spans(),
            collector.metrics(),
            collector.span_metrics(),
        )
    finally:
        locusts.end()
        collector.end()


def test_everything_arrived(arrived: Arrived) -> None:
    assert arrived.finished.code == 0, arrived.finished.stderr
    assert len(arrived.spans) == arrived.finished.ledger["accepted"]
    assert len(arrived.spans) == arrived.finished.ledger["generated"] >= 100_000


@pytest.mark.parametrize("judge", JUDGES)
def test_what_arrived_has_the_shape_that_the_file_says(judge: str, arrived: Arrived) -> None:
    statistics, least = JUDGES[judge]
    found = list(statistics(arrived))
    assert [each for each in found if not each.holds] == []
    assert len(found) >= least


@pytest.fixture(scope="module")
def spoiled(arrived: Arrived) -> Arrived:
    """The same with spans a tenth longer than they were, and texts that are read backwards."""
    return replace(arrived, spans=[changed(each) for each in arrived.spans])


def changed(each: CollectedSpan) -> CollectedSpan:
    span = Span.FromString(each.span.SerializeToString())
    took_ns = span.end_time_unix_nano - span.start_time_unix_nano
    span.end_time_unix_nano += took_ns // 10
    for attribute in span.attributes:
        if attribute.value.HasField("string_value"):
            attribute.value.string_value = attribute.value.string_value[::-1]
    resource = Resource.FromString(each.resource.SerializeToString())
    for attribute in resource.attributes:
        if attribute.key == "k8s.pod.name":
            attribute.value.string_value = attribute.value.string_value[::-1]
    return CollectedSpan(resource, each.scope, span)


@pytest.mark.parametrize("judge", JUDGES)
def test_the_judges_see_what_is_wrong(judge: str, spoiled: Arrived) -> None:
    statistics, _ = JUDGES[judge]
    assert any(not each.holds for each in statistics(spoiled))
