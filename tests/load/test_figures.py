from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgpack
import pytest

from motel_locust.engine.columns import Counts
from motel_locust.load.figures import Figures, Report, total
from motel_locust.load.run import Part, Run
from motel_locust.load.summary import loss_problem, summary, table, write_summary
from motel_locust.load.web import Meter
from motel_locust.otlp.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run(
    name="a",
    epoch_ns=1_700_000_000_000_000_000,
    seed=2**63 - 1,
    stride=4096,
    users=10,
    parts=(Part("Shopper", "shop.yaml", "ab" * 32, "", "10/s", ""),),
    options={"rate": "10/s", "otlp_headers": None, "drain": 10.0},
    environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
)


def figures(*, accepted: int = 8, dropped: int = 0, pending: int = 0, **others: int) -> Figures:
    ledger = Ledger()
    ledger.generate("traces", accepted + dropped + pending)
    ledger.settle("traces", accepted=accepted, dropped=dropped, reason="queue full")
    spans = accepted + dropped + pending
    return Figures(ledger=ledger, counts=Counts(traces=spans // 4, spans=spans), **others)


def test_figures_and_runs_travel_as_messages() -> None:
    sent = figures(accepted=4, dropped=4, lag_ns=7, users=3)
    message = msgpack.unpackb(msgpack.packb(sent.message()))
    assert Figures.from_message(message).message() == sent.message()
    assert Run.from_message(msgpack.unpackb(msgpack.packb(RUN.message()))) == RUN


def test_the_total_adds_counts_and_takes_the_greatest_lag() -> None:
    one = figures(accepted=4, users=2, lag_ns=5, elapsed_ns=10**9)
    other = figures(accepted=12, dropped=4, users=3, lag_ns=9, elapsed_ns=2 * 10**9)
    both = total({"one": Report(one), "other": Report(other)})
    assert both.ledger["traces"].as_dict() == {
        "generated": 20, "accepted": 16, "rejected": 0, "failed": 0, "dropped": 4, "pending": 0,
        "ambiguous": 0,
    }  # fmt: skip
    assert (both.users, both.lag_ns, both.elapsed_ns) == (5, 9, 2 * 10**9)
    assert both.counts == Counts(traces=5, spans=20)


def test_nobody_is_a_total_too() -> None:
    assert total({}).counts == Counts()


def test_the_summary_holds_both_sides_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_summary(str(path), RUN, figures(accepted=6, dropped=2, elapsed_ns=2 * 10**9))
    written = json.loads(path.read_text())
    assert written == summary(RUN, figures(accepted=6, dropped=2, elapsed_ns=2 * 10**9))
    assert written["ledger"]["traces"]["dropped"] == 2
    assert written["losses"] == {"traces": {"dropped": {"queue full": 2}}}
    assert set(written["simulation"]) == {
        "traces", "spans", "errors", "failed_traces", "timeouts", "retries", "spans_bounded",
        "queue_rejections", "circuit_breaker_trips", "elapsed_ms", "simulated_ms",
        "traces_per_second", "spans_per_second", "error_rate", "trace_error_rate",
        "circuit_breaker_opens", "spans_cut", "seed", "topology_sha256",
    }  # fmt: skip
    assert written["simulation"]["traces_per_second"] == 1.0
    assert written["simulation"]["topology_sha256"] == "ab" * 32


def test_the_table_names_losses_and_what_was_not_reported() -> None:
    lines = table(RUN, figures(accepted=6000, dropped=2, pending=3)).splitlines()
    assert "  2 dropped: queue full" in lines
    assert "  3 spans unreported" in lines
    assert any("6,000" in line for line in lines)


@pytest.mark.parametrize(
    ("accepted", "dropped", "pending", "max_loss", "too_much"),
    [
        (0, 0, 0, 0.0, False),
        (10, 0, 0, 0.0, False),
        (10, 1, 0, 0.0, True),
        (99, 1, 0, 0.01, False),
        (98, 1, 1, 0.01, True),  # what a lost worker did not report counts as lost
        (0, 10, 0, 1.0, False),
    ],
)
def test_a_loss_is_measured_by_what_is_allowed(
    accepted: int, dropped: int, pending: int, max_loss: float, too_much: bool
) -> None:
    told = figures(accepted=accepted, dropped=dropped, pending=pending)
    assert bool(loss_problem(told, max_loss)) == too_much


def test_rates_are_those_of_the_last_seconds() -> None:
    now_s = 100.0
    meter = Meter(lambda: now_s)
    assert meter.rates(figures(accepted=0)) == (0.0, 0.0)
    for second in range(1, 30):
        now_s = 100.0 + second
        made = 400 * second if second <= 15 else 400 * 15
        traces_per_s, spans_per_s = meter.rates(figures(accepted=made))
        if second == 15:
            assert (traces_per_s, spans_per_s) == (100.0, 400.0)
    assert (traces_per_s, spans_per_s) == (0.0, 0.0)


def test_another_run_starts_its_rates_anew() -> None:
    now_s = 100.0
    meter = Meter(lambda: now_s)
    meter.rates(figures(accepted=4000))
    now_s += 2
    assert meter.rates(figures(accepted=8)) == (0.0, 0.0)
    now_s += 2
    assert meter.rates(figures(accepted=808)) == (100.0, 400.0)
