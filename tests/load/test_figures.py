from __future__ import annotations

import msgpack
import pytest

from motel_locust.engine.columns import Counts
from motel_locust.load.figures import LEFT, LOST, Figures, Report, total
from motel_locust.load.run import Run
from tests.load.examples import RUN, figures, operation


def test_figures_and_runs_travel_as_messages() -> None:
    sent = figures(
        accepted=4,
        dropped=4,
        lag_ns=7,
        users=3,
        operations={"web.get": operation(6, errors=2), "db.find": operation(2, cell=0)},
        scenarios=("slow", "busy"),
        cpu=0.5,
        rss_bytes=1 << 26,
    )
    message = msgpack.unpackb(msgpack.packb(sent.message()))
    assert Figures.from_message(message).message() == sent.message()
    assert Figures.from_message(message).operations == sent.operations
    assert Figures.from_message(message).scenarios == sent.scenarios
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
    assert total({}).workers == {}


def test_the_total_adds_operations_and_names_each_scenario_once() -> None:
    one = figures(operations={"web.get": operation(6, errors=2)}, scenarios=("slow", "busy"))
    other = figures(
        operations={"web.get": operation(4), "db.find": operation(3)}, scenarios=("busy", "late")
    )
    both = total({"one": Report(one), "other": Report(other)})
    assert both.operations == {"db.find": operation(3), "web.get": operation(10, errors=2)}
    assert both.scenarios == ("slow", "busy", "late")


def test_every_worker_has_a_row() -> None:
    told = figures(accepted=8, pending=4, users=3, asked_per_s=30.0, cpu=0.5, rss_bytes=7)
    workers = total({"b": Report(told, skew_s=0.25), "a": Report(figures())}).workers
    assert list(workers) == ["a", "b"]
    row = workers["b"]
    assert (row.name, row.state, row.users, row.asked_per_s) == ("b", "running", 3, 30.0)
    assert (row.traces, row.spans, row.cpu, row.rss_bytes, row.skew_s) == (3, 12, 0.5, 7, 0.25)
    assert row.unreported == 0  # still on its way


@pytest.mark.parametrize(("state", "unreported"), [(LOST, 4), (LEFT, 0)])
def test_who_takes_part_no_more_leaves_its_totals(state: str, unreported: int) -> None:
    gone = figures(
        accepted=8,
        pending=4,
        users=3,
        asked_per_s=30.0,
        lag_ns=9,
        lag_max_ns=9,
        queued_bytes=5,
        cpu=0.5,
        rss_bytes=7,
        operations={"web.get": operation(12)},
        scenarios=("slow",),
    )
    found = total({"gone": Report(gone, state), "there": Report(figures(users=2))})
    assert found.ledger["traces"].accepted == 16
    assert found.counts.spans == 20
    assert found.operations == gone.operations
    assert (found.users, found.asked_per_s, found.queued_bytes) == (2, 0.0, 0)
    assert (found.lag_ns, found.lag_max_ns, found.scenarios) == (0, 9, ())
    assert (found.cpu, found.rss_bytes) == (0.0, 0)
    row = found.workers["gone"]
    assert (row.state, row.spans, row.users, row.unreported) == (state, 12, 0, unreported)
