"""Each kind of run once, shortly: that it works, not how fast it is."""

from __future__ import annotations

from benchmarks import delivery, processes, rates, responsiveness, rounds
from benchmarks.endpoints import DISCARD, RECEIVER
from benchmarks.runs import idle_run


def test_a_rate_is_measured_beside_an_idle_process() -> None:
    with idle_run() as idle:
        row = rates.measure(DISCARD, 5_000.0, idle, seconds=0.5)
    assert row.spans == row.accepted > 0
    assert row.cpu > 0
    assert row.idle_cpu > 0
    assert row.endpoint_cpu == 0


def test_canned_and_own_bodies_are_delivered_to_the_receiver(monkeypatch) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 1)
    row = delivery.measure(RECEIVER, "http/protobuf", "none", seconds=0.5, apart=True)
    assert row.canned_per_s > 0
    assert row.ours_per_s > 0
    assert row.endpoint_cpu > 0


def test_the_ticker_ticks_and_the_web_ui_answers() -> None:
    row = responsiveness.measure(DISCARD, seconds=1.5)
    assert row.ticks > 0
    assert row.answers > 0
    assert row.late_p50_s <= row.late_p99_s <= row.late_max_s


def test_every_worker_keeps_a_diary(monkeypatch) -> None:
    monkeypatch.setattr(processes, "PROCESSES", (2,))
    monkeypatch.setattr(rounds, "ROUNDS", 1)
    (row,) = processes.measure_all(seconds=0.5)
    assert row.processes == 2
    assert row.accepted_per_s > 0
