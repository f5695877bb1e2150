from __future__ import annotations

import msgpack

from motel_locust.engine.columns import Counts
from motel_locust.load.figures import Figures, Report, total
from motel_locust.load.run import Run
from tests.load.examples import RUN, figures


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
