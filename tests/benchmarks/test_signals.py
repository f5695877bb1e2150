"""What is measured is what the rows say: every span has the signal, and it is recorded."""

from __future__ import annotations

import pytest

from benchmarks.signals import LOGS, METRICS, measure, table, with_signal


@pytest.mark.parametrize("name", METRICS)
def test_every_service_has_the_metrics(name: str) -> None:
    topology = with_signal("metrics", METRICS[name])
    for service in topology.services.values():
        assert [metric.type for metric in service.metrics] == [
            metric["type"] for metric in METRICS[name]
        ]


@pytest.mark.parametrize("name", LOGS)
def test_every_service_has_the_logs(name: str) -> None:
    topology = with_signal("logs", LOGS[name])
    for service in topology.services.values():
        assert [log.body for log in service.logs] == [log["body"] for log in LOGS[name]]


def test_what_a_signal_adds_is_measured() -> None:
    rows = [
        measure(signal, name, spans=4_000, laps=1)
        for signal, name in (("metrics", "a counter"), ("logs", "a record"))
    ]
    assert all(row.span_ns > 0 and row.added_ns > 0 for row in rows)
    assert [row.items_per_s > 0 for row in rows] == [False, True]
    assert "metrics: a counter" in table(rows).text()
