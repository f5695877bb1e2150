from __future__ import annotations

import copy
import random

import locust.stats
import msgpack
import numpy as np
import pytest
from locust.stats import RequestStats

from motel_locust.load.stats import METHOD, foreign_errors, log_items, set_back


class Clock:
    """Stands in for the module `time` that Locust's statistics read."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(locust.stats, "time", clock)
    return clock


def everything(stats: RequestStats) -> dict:
    entries = {"total": stats.total, **stats.entries}
    return {
        "entries": {
            key: (
                entry.serialize(),
                entry.to_dict(),
                dict(entry.response_times_cache or {}),
                entry.get_current_response_time_percentile(0.9),
            )
            for key, entry in entries.items()
        },
        "errors": {key: error.serialize() for key, error in stats.errors.items()},
    }


def test_many_at_once_count_as_one_by_one(clock: Clock) -> None:
    bulk, single = RequestStats(), RequestStats()
    draw = random.Random(4)
    for _ in range(400):
        clock.now_s += draw.choice([0.0, 0.01, 0.4, 1.7])
        items, each = draw.randint(1, 300), draw.randint(50, 400)
        ack_ms = draw.choice([None, 0.0, 3.0, 147.0, 3432.0])
        lost = draw.choice([0, 0, 1, items])
        error = draw.choice(["queue full", "429"])
        log_items(
            bulk, "traces", items=items, ack_ms=ack_ms, size=items * each, lost=lost, error=error
        )
        for nth in range(items):
            single.log_request(METHOD, "spans", ack_ms, each)
            if nth < lost:
                single.log_error(METHOD, "spans", error)
    assert everything(bulk) == everything(single)


def test_a_body_that_does_not_divide_keeps_its_bytes(clock: Clock) -> None:
    stats = RequestStats()
    log_items(stats, "logs", items=3, ack_ms=1.0, size=100)
    assert stats.total.total_content_length == 100
    assert stats.entries["log records", METHOD].num_requests == 3


def test_numpy_numbers_stop_at_the_door(clock: Clock) -> None:
    stats = RequestStats()
    log_items(stats, "traces", items=np.int64(7), ack_ms=2.5, size=np.int64(70), lost=np.int64(2))
    assert msgpack.packb(stats.serialize_stats())
    assert msgpack.packb(stats.serialize_errors())


def test_no_items_are_no_request(clock: Clock) -> None:
    stats = RequestStats()
    log_items(stats, "traces", items=0, ack_ms=2.5, size=0)
    assert not stats.entries


def test_only_failures_of_others_are_foreign(clock: Clock) -> None:
    stats = RequestStats()
    log_items(stats, "traces", items=5, ack_ms=None, size=70, lost=5, error="queue full")
    assert not foreign_errors(stats)
    stats.log_error("GET", "/", "500")
    assert foreign_errors(stats)


def test_a_report_is_told_in_the_masters_time() -> None:
    stats = RequestStats()
    log_items(stats, "traces", items=5, ack_ms=3.0, size=100, lost=2, error="dropped: full")
    entry = stats.entries["spans", "OTLP"]
    second = int(entry.last_request_timestamp)
    reported = {"stats": [entry.serialize()], "stats_total": stats.total.serialize()}
    before = copy.deepcopy(reported)

    set_back(reported, 7.4)
    for told, own in zip(
        [*reported["stats"], reported["stats_total"]],
        [*before["stats"], before["stats_total"]],
        strict=True,
    ):
        assert told["num_reqs_per_sec"] == {second - 7: 5}
        assert told["num_fail_per_sec"] == {second - 7: 2}
        assert told["last_request_timestamp"] == own["last_request_timestamp"] - 7
        assert told["start_time"] == own["start_time"] - 7
        assert told["num_requests"] == own["num_requests"]


def test_a_clock_that_is_right_changes_no_report() -> None:
    stats = RequestStats()
    reported = {"stats": [], "stats_total": stats.total.serialize()}
    before = copy.deepcopy(reported)
    set_back(reported, -0.3)
    assert reported == before
