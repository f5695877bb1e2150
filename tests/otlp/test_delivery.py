from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.otlp.delivery import (
    ENDS,
    LONGEST_WAIT_S,
    STEPS,
    Answer,
    Body,
    Cause,
    Delivery,
    Stage,
)


def delivery(*, now_s: float = 0.0) -> Delivery:
    return Delivery(Body("traces", b"", 1, 0.0, 0.0), now_s=now_s)


def test_no_step_leads_away_from_an_end() -> None:
    assert not [pair for pair in STEPS if pair[0] in ENDS]


def test_every_stage_but_the_first_can_be_reached_and_every_cause_is_of_use() -> None:
    assert set(STEPS.values()) == set(Stage) - {Stage.QUEUED}
    assert {cause for _, cause in STEPS} == set(Cause)


@given(st.lists(st.sampled_from(Cause), max_size=30))
def test_a_body_ends_once_and_stays_where_it_is(causes: list[Cause]) -> None:
    one = delivery()
    for cause in causes:
        before = one.stage
        if (before, cause) in STEPS:
            one.step(cause)
            assert not one.ended or before not in ENDS
        else:
            with pytest.raises(AssertionError, match=before.value):
                one.step(cause)
            assert one.stage is before


def test_an_illegal_step_names_stage_and_cause() -> None:
    message = "a body that is queued cannot move on: the endpoint took it"
    with pytest.raises(AssertionError, match=re.escape(message)):
        delivery().step(Cause.ACK)


def test_the_time_in_the_queue_ends_with_the_first_try() -> None:
    one = delivery(now_s=10.0)
    one.send(12.5)
    one.step(Cause.LOSS)
    one.send(20.0)
    assert (one.waited_s, one.tries) == (2.5, 2)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_waits_stay_within_half_and_one_and_a_half_of_the_limit(tries: int, jitter: float) -> None:
    one = delivery()
    one.tries = tries
    wait_s = one.wait_s(Answer(Cause.LOSS), jitter=lambda: jitter)
    assert 0.25 <= wait_s <= 1.5 * LONGEST_WAIT_S


def test_a_retry_after_of_nothing_still_backs_off() -> None:
    one = delivery()
    one.tries = 1
    assert one.wait_s(Answer(Cause.PUSHBACK, retry_after_s=0.0), jitter=lambda: 0.5) == 0.5
