"""Runs over gRPC into a real Collector, whose counts and spans are the truth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.child import ROOT
from tests.integration.collector import Collector
from tests.integration.locust_runs import Locusts
from tests.integration.played import traces_of

FOUR = ROOT / "topologies" / "four-services.yaml"
SPANS = 4  # of each of its traces


@pytest.mark.parametrize(
    "options",
    [(), ("--otlp-compression", "gzip"), ("--processes", "2"), ("--connections", "20")],
    ids=" ".join,
)
def test_the_collector_counts_what_was_accepted(
    options: tuple[str, ...], collector: Callable[..., Collector], locust: Locusts
) -> None:
    sink = collector("nop", metrics=True)
    finished = locust.run(
        *("--topology", FOUR, "--host", sink.grpc_endpoint, "--otlp-protocol", "grpc"),
        *("--headless", "--users", "4", "--run-time", "2s", "--rate", "500/s", *options),
    )
    assert finished.code == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    ledger = finished.ledger
    assert ledger["generated"] == ledger["accepted"] == SPANS * finished.simulation["traces"] > 0
    assert sink.metric("otelcol_receiver_accepted_spans") == ledger["accepted"]


def test_traces_arrive_whole(collector: Callable[..., Collector], locust: Locusts) -> None:
    sink = collector()
    finished = locust.run(
        *("--topology", FOUR, "--host", sink.grpc_endpoint, "--otlp-headers", "X-Tenant=7"),
        *("--headless", "--users", "1", "--run-time", "2s", "--rate", "20/s"),
        env={"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
    )
    assert finished.code == 0, finished.stderr
    sink.stop()
    traces = traces_of(sink.spans())
    assert len(traces) == finished.simulation["traces"] > 0
    assert all(len(trace) == SPANS for trace in traces)
