from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from motel_locust.load.history import History
from motel_locust.load.summary import loss_problem, summary, table, write_summary
from tests.load.examples import RUN, figures, operation

if TYPE_CHECKING:
    from pathlib import Path


def test_the_summary_holds_both_sides_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    told = figures(accepted=6, dropped=2, elapsed_ns=2 * 10**9)
    history = History()
    history.close(2.0, {"one": told})
    write_summary(str(path), RUN, told, history)
    written = json.loads(path.read_text())
    assert written == summary(RUN, told, history)
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
    assert written["history"]["at_s"] == [1.0, 2.0]
    assert sum(written["history"]["accepted_per_s"]) == 6.0
    assert "hunter" not in path.read_text()


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


def test_a_few_operations_all_stand_in_the_table() -> None:
    told = figures(operations={"cart.load": operation(5), "database.query": operation(3, errors=1)})
    lines = table(RUN, told).splitlines()
    start = lines.index(next(line for line in lines if line.startswith("Operation")))
    assert [line.split()[0] for line in lines[start + 2 : start + 4]] == [
        "cart.load", "database.query",
    ]  # fmt: skip
    assert "33.33" in lines[start + 3]


def test_of_many_operations_the_slow_and_the_failing_ones_are_named() -> None:
    many = {f"service{n:03}.run": operation(10, cell=500 + n) for n in range(100)}
    many["service001.run"] = operation(10, errors=4, cell=300)
    lines = table(RUN, figures(operations=many)).splitlines()
    named = [line.split()[0] for line in lines if line.startswith("service")]
    assert "service001.run" in named
    assert "service099.run" in named
    assert len(named) == 14
    assert "  ... 86 more in --summary" in lines


def test_without_operations_there_is_no_table_of_them() -> None:
    assert "Operation" not in table(RUN, figures())
