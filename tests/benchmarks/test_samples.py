from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import (
    NoWindowError,
    Sample,
    Window,
    quantile,
    read_diary,
    settled_window,
    slope,
    window_between,
)


def diary(*, users_from_s: float = 1.0, until_s: float = 20.0, spans_per_s: int = 100):
    """Return looks every half second at a process of one core's half and *spans_per_s*."""
    instants = [step / 2 for step in range(round(2 * until_s) + 1)]
    return [
        Sample(
            at_s=at_s,
            cpu_s=at_s / 2,
            endpoint_cpu_s=at_s / 4,
            rss_bytes=1,
            users=10 if at_s >= users_from_s else 3,
            traces=round(at_s * spans_per_s / 2),
            generated=round(at_s * spans_per_s),
            accepted=round(at_s * spans_per_s),
            late_s=(at_s / 1000,),
        )
        for at_s in instants
    ]


def test_a_diary_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "1.diary"
    text = "".join(sample.line() for sample in diary())
    path.write_text(text + text[:20])  # the last one is still being written
    assert read_diary(path) == diary()


def test_the_window_begins_when_all_users_are_there_and_things_have_settled() -> None:
    window = settled_window([diary(users_from_s=2.0)], settle_s=1.5, seconds=4)
    assert (window.from_s, window.until_s) == (3.5, 7.5)


def test_the_window_waits_for_the_first_spans_that_were_accepted() -> None:
    late = [replace(sample, accepted=max(0, sample.accepted - 600)) for sample in diary()]
    assert settled_window([late], settle_s=1.5, seconds=4).from_s == 8.0


def test_the_window_waits_for_the_last_process() -> None:
    diaries = [diary(users_from_s=1.0), diary(users_from_s=5.0)]
    window = settled_window(diaries, settle_s=1.0, seconds=2)
    assert (window.from_s, window.until_s) == (6.0, 8.0)


def test_rates_and_cores_are_those_of_the_window_alone() -> None:
    rested = [*diary(until_s=10), *(Sample(t, 5.0, 2.5, 1, 0, 250, 1000, 1000) for t in (11, 12))]
    window = window_between([rested], 4.0, 8.0)
    assert window.accepted_per_s == window.generated_per_s == 100
    assert window.traces_per_s == 50
    assert window.cpu == 0.5
    assert window.endpoint_cpu == 0.25


def test_rates_and_cores_of_processes_add_up_and_the_endpoint_counts_once() -> None:
    window = window_between([diary(spans_per_s=100), diary(spans_per_s=300)], 4.0, 8.0)
    assert window.accepted_per_s == 400
    assert window.cpu == 1.0
    assert window.endpoint_cpu == 0.25


def test_ticks_before_the_window_are_not_in_it() -> None:
    window = window_between([diary()], 4.0, 5.0)
    assert window.late_s == [0.0045, 0.005]


def test_a_window_is_as_long_as_it_is_to_be_wherever_the_looks_fall() -> None:
    window = window_between([diary()], 4.25, 4.75)
    assert (window.from_s, window.until_s) == (4.5, 5.0)


def test_a_process_that_ended_too_early_has_no_window() -> None:
    with pytest.raises(NoWindowError, match="ended before"):
        settled_window([diary(until_s=5)], settle_s=1.0, seconds=10)
    with pytest.raises(NoWindowError, match="never under way"):
        settled_window([[]], settle_s=1.0, seconds=1)
    with pytest.raises(NoWindowError, match="no process"):
        settled_window([], settle_s=1.0, seconds=1)


@given(st.lists(st.floats(0, 100, allow_nan=False), min_size=1), st.floats(0, 1))
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(values, share) -> None:
    ascending = sorted(values)
    found = quantile(ascending, share)
    # Rounded as the quantile itself: 0.7 of 10 values is 7 of them, not 7.000000000000001.
    needed = max(1, math.ceil(share * len(values)))
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_the_slope_of_a_line_is_its_own() -> None:
    assert slope([(0, 5), (1, 8), (2, 11)]) == 3
    assert slope([(10.0, 7.0), (20.0, 7.0)]) == 0


def test_a_window_of_nothing_accepted_is_zero_per_second() -> None:
    idle = [Sample(at_s, 0.1, 0.0, 1, users=10) for at_s in (1.0, 2.0)]
    assert Window([idle]).accepted_per_s == 0
