from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.load.history import OLDER, RECENT, REPORT_S, History
from tests.load.examples import figures

if TYPE_CHECKING:
    from motel_locust.load.figures import Figures


def at_rate(spans_per_s: float, at_s: float, **others: object) -> Figures:
    return figures(accepted=round(spans_per_s * at_s), **others)


def test_one_process_is_seen_as_it_is() -> None:
    history = History()
    for second in range(1, 31):
        history.observe(second, {"one": at_rate(400, second, asked_per_s=100.0, lag_ns=10**9)})
    present = history.present()
    assert present.spans_per_s == present.accepted_per_s == pytest.approx(400)
    assert (present.traces_per_s, present.asked_per_s, present.lag_s) == (100, 100, 1)
    assert [rate.spans_per_s for rate in history.rates(1000)] == pytest.approx([400] * 30)


@settings(max_examples=50)
@given(
    rates=st.lists(st.integers(4, 100_000), min_size=1, max_size=5),
    phase_s=st.lists(st.floats(0.0, 2.99), min_size=5, max_size=5),
)
def test_reports_that_come_apart_make_an_even_rate(rates: list[int], phase_s: list[float]) -> None:
    history = History(delay_s=REPORT_S)
    for second in range(1, 61):
        parts = {}
        for worker, rate in enumerate(rates):
            reported_s = second - (second - phase_s[worker]) % 3
            if reported_s > 0:
                parts[f"worker {worker}"] = at_rate(rate, reported_s)
        history.observe(float(second), parts)
    # The tests' clock is as coarse as the history's: a report is noticed up to a second later.
    for rate in history.rates(1000)[10:]:
        assert rate.spans_per_s == pytest.approx(sum(rates), rel=0.01, abs=2)


def test_the_end_is_exact_whatever_came_late() -> None:
    history = History(delay_s=REPORT_S)
    for second in range(1, 20):
        history.observe(second, {"one": at_rate(40, second - second % 3)})
    history.close(21.5, {"one": figures(accepted=1000, dropped=5), "late": figures(accepted=8)})
    last = history.samples()[-1]
    assert (last.at_s, last.accepted, last.dropped, last.spans) == (21.5, 1008, 5, 1013)
    assert history.present().spans_per_s == 0
    history.close(30.0, {})


def test_a_long_run_stays_small_and_loses_no_item() -> None:
    history = History()
    for second in range(1, 50_001):
        history.observe(second, {"one": at_rate(4, second)})
    samples = history.samples()
    assert len(samples) <= OLDER + RECENT + 1
    assert samples[0].at_s == 0
    assert [b.at_s - a.at_s for a, b in zip(samples[-60:], samples[-59:], strict=False)] == [1] * 59
    for points in (1, 7, 240, 10_000):
        rates = history.rates(points)
        assert len(rates) <= points
        assert rates[-1].at_s == 50_000
        assert all(rate.spans_per_s == pytest.approx(4, abs=0.01) for rate in rates)


def test_a_worker_that_is_gone_keeps_its_totals_and_asks_for_nothing() -> None:
    history = History(delay_s=REPORT_S)
    told = at_rate(40, 9, asked_per_s=10.0, users=1)
    for second in range(1, 30):
        history.observe(second, {"one": told if second < 12 else told.over()})
    present = history.present()
    assert (present.spans_per_s, present.asked_per_s, present.users) == (0, 0, 0)
    assert history.samples()[-1].spans == 360
    assert history.present_of("one").spans_per_s == 0
    assert history.present_of("nobody").spans_per_s == 0


def test_scenarios_are_noted_from_when_to_when() -> None:
    history = History()
    for second in range(1, 20):
        scenarios = ("outage",) if 3 <= second <= 6 or second >= 15 else ()
        history.observe(second, {"one": at_rate(4, second, scenarios=scenarios)})
    assert [(each.scenario, each.from_s, each.to_s) for each in history.spells] == [
        ("outage", 3, 6), ("outage", 15, 19),
    ]  # fmt: skip


def test_a_run_that_has_not_begun_has_an_empty_history() -> None:
    history = History()
    assert history.rates(100) == []
    assert history.present().traces_per_s == 0
    assert history.as_dict()["at_s"] == []
