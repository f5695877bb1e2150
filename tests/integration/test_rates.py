"""How much arrives and when: the rates that were asked for, as a real Collector has them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import pytest

from tests.integration.child import ROOT
from tests.integration.collected import CollectedSpan, read_lines
from tests.integration.collector import Collector
from tests.integration.locust_runs import Finished, Locusts

FOUR_SERVICES = ROOT / "topologies" / "four-services.yaml"
SECOND_NS = 10**9
TICK_S = 0.01
NOTHING_LOST = {"rejected": 0, "failed": 0, "dropped": 0, "pending": 0, "ambiguous": 0}


def arrivals_ns(spans: list[CollectedSpan], finished: Finished) -> list[int]:
    """Return when traces began, in ns since the run did."""
    return sorted(
        each.span.start_time_unix_nano - finished.epoch_ns
        for each in spans
        if not each.span.parent_span_id
    )


@pytest.mark.parametrize("rate", [100, 1_000, 10_000])
def test_the_rate_asked_for_is_delivered(
    rate: int, collector: Callable[..., Collector], locust: Locusts
) -> None:
    sink, users = collector(), 10

    finished = locust.run(
        *("--topology", FOUR_SERVICES, "--rate", f"{rate // users}/s", "--host", sink.endpoint),
        *("--headless", "--users", str(users), "--spawn-rate", str(users), "--run-time", "4s"),
    )

    assert finished.code == 0, finished.stderr
    sink.stop()
    spans, counted = sink.spans(), finished.simulation
    assert finished.ledger == {"generated": len(spans), "accepted": len(spans), **NOTHING_LOST}
    assert len(spans) == 4 * counted["traces"] == counted["spans"]
    elapsed_s = counted["elapsed_ms"] / 1000
    # Traces are let out by whole ticks: one may be missing at either end of the time measured.
    assert abs(counted["traces"] - rate * elapsed_s) <= users + 2 * rate * TICK_S
    # By their own time stamps there is no such doubt.
    arrived = arrivals_ns(spans, finished)
    stretch = [at for at in arrived if SECOND_NS // 2 <= at < SECOND_NS // 2 + 2 * SECOND_NS]
    assert abs(len(stretch) - 2 * rate) <= users
    # Loose: this machine may be busy with something else. benchmarks/ measures it.
    assert finished.summary["lag_s"]["max"] < 2


def test_poisson_arrivals_scatter_as_they_should(locust: Locusts, tmp_path: Path) -> None:
    traces, rate, users = tmp_path / "traces.jsonl", 2_000, 10

    finished = locust.run(
        *("--topology", ROOT / "topologies" / "hello.yaml", "--rate", f"{rate // users}/s"),
        *("--arrivals", "poisson", "--seed", "5", "--host", f"file://{traces}", "--headless"),
        *("--users", str(users), "--spawn-rate", str(users), "--run-time", "4s"),
    )

    assert finished.code == 0, finished.stderr
    arrived = arrivals_ns(read_lines(traces), finished)
    assert len(arrived) == finished.ledger["accepted"] == finished.ledger["generated"]
    per_stretch = Counter(at // (SECOND_NS // 100) for at in arrived)
    counts = [per_stretch[stretch] for stretch in range(50, 300)]
    mean = sum(counts) / len(counts)
    expected = rate / 100
    assert abs(mean - expected) <= 4 * sqrt(expected / len(counts))
    # The variance of a Poisson count is its mean m; that of its estimate is (m + 2 m^2) / n.
    variance = sum((each - mean) ** 2 for each in counts) / (len(counts) - 1)
    error = sqrt((expected + 2 * expected**2) / len(counts))
    assert abs(variance - expected) <= 4 * error


def test_the_rate_changes_at_its_second(locust: Locusts, tmp_path: Path) -> None:
    traces, topology, users = tmp_path / "traces.jsonl", tmp_path / "steps.yaml", 3
    document = {
        "version": 1,
        "services": {"s": {"operations": {"op": {"duration": "1ms"}}}},
        "traffic": {
            "rate": "20/s",
            "pattern": "custom",
            "segments": [{"until": "1s", "rate": "100/s"}, {"until": "2s", "rate": "400/s"}],
        },
        "scenarios": [
            {
                "name": "rush",
                "at": "+2500ms",
                "duration": "500ms",
                "traffic": {"rate": "300/s"},
            }
        ],
    }
    topology.write_text(json.dumps(document))

    finished = locust.run(
        *("--topology", topology, "--host", f"file://{traces}", "--headless"),
        *("--users", str(users), "--spawn-rate", str(users), "--run-time", "5s"),
    )

    assert finished.code == 0, finished.stderr
    arrived = arrivals_ns(read_lines(traces), finished)
    assert len(arrived) == finished.ledger["accepted"]

    def between(start_ms: int, stop_ms: int) -> int:
        return sum(start_ms <= at / 1e6 < stop_ms for at in arrived)

    # The users come some hundredths of a second after the epoch.
    for start_ms, stop_ms, per_s in (
        (500, 1000, 100),
        (1000, 2000, 400),
        (2000, 2500, 20),
        (2500, 3000, 300),
        (3000, 4000, 20),
    ):
        expected = users * per_s * (stop_ms - start_ms) / 1000
        assert abs(between(start_ms, stop_ms) - expected) <= users, (start_ms, stop_ms)


def test_ten_thousand_users_share_a_rate(locust: Locusts) -> None:
    users, rate = 10_000, 200

    run = locust.start(
        *("--topology", FOUR_SERVICES, "--rate", f"{rate}/s", "--rate-per", "cluster"),
        *("--host", "discard://", "--headless", "--run-time", "8s"),
        *("--users", str(users), "--spawn-rate", str(users)),
    )
    run.wait_for_users()
    finished = run.wait()

    assert finished.code == 0, finished.stderr
    assert f'"Topology": {users}' in finished.stderr
    counted = finished.simulation
    elapsed_s = counted["elapsed_ms"] / 1000
    # One rate for all of them, so one user's deviation; and whole ticks, as above.
    assert elapsed_s > 4
    assert abs(counted["traces"] - rate * elapsed_s) <= 1 + 2 * rate * TICK_S
    accepted = 4 * counted["traces"]
    assert finished.ledger == {"generated": accepted, "accepted": accepted, **NOTHING_LOST}
