from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.otlp.ledger import Ledger, LedgerError

OUTCOMES = ("accepted", "rejected", "failed", "dropped")


def ledger_of(
    generated: int, *, signal: str = "traces", reason: str = "because", **ended: int
) -> Ledger:
    ledger = Ledger([signal])
    ledger.generate(signal, generated)
    ledger.settle(signal, **ended, reason=reason)
    return ledger


def test_items_are_pending_until_they_end() -> None:
    ledger = Ledger()
    ledger.generate("traces", 10)
    assert ledger.pending == 10
    ledger.settle("traces", accepted=6, rejected=1, reason="partial success")
    assert ledger.as_dict() == {
        "traces": {
            "generated": 10,
            "accepted": 6,
            "rejected": 1,
            "failed": 0,
            "dropped": 0,
            "pending": 3,
            "ambiguous": 0,
        }
    }


def test_settling_more_than_was_generated_names_both_sides() -> None:
    with pytest.raises(LedgerError, match="generated 10 items, but settled 11 with -1 pending"):
        ledger_of(10, accepted=11)


def test_counts_that_were_tampered_with_name_both_sides() -> None:
    ledger = ledger_of(10, accepted=4)
    ledger["traces"].accepted += 1
    with pytest.raises(LedgerError, match="generated 10 items, but settled 5 with 6 pending"):
        ledger.generate("traces", 0)


def test_nothing_can_be_unsettled() -> None:
    with pytest.raises(LedgerError, match="none can be below 0"):
        ledger_of(10, accepted=4, failed=-1)


def test_losses_have_reasons_by_signal_and_outcome() -> None:
    ledger = ledger_of(10, failed=3, reason="connection refused")
    ledger.settle("traces", failed=2, reason="connection refused")
    ledger.settle("traces", dropped=1, reason="queue full")
    assert ledger.reasons() == {
        "traces": {"failed": {"connection refused": 5}, "dropped": {"queue full": 1}}
    }


def test_the_loss_ratio_is_what_did_not_arrive_of_what_was_generated() -> None:
    ledger = ledger_of(10, accepted=6, rejected=2, failed=1, dropped=1)
    assert ledger["traces"].loss_ratio == 0.4
    ledger.merge(ledger_of(10, signal="logs", accepted=10))
    assert ledger.loss_ratio == 0.2
    assert Ledger().loss_ratio == 0.0


def test_ambiguous_items_stand_apart() -> None:
    ledger = ledger_of(3, accepted=3)
    ledger.doubt("traces", 3)
    ledger.doubt("traces", 3)
    assert ledger["traces"].ambiguous == 6
    assert ledger["traces"].loss_ratio == 0.0


counts = st.lists(st.integers(0, 10**12), min_size=5, max_size=5)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    ledger = Ledger(draw(st.sets(st.sampled_from(["traces", "metrics", "logs"]))))
    for signal in ledger:
        *ended, pending = draw(counts)
        ledger.generate(signal, sum(ended) + pending)
        for outcome, items in zip(OUTCOMES, ended, strict=True):
            ledger.settle(signal, **{outcome: items}, reason=draw(st.sampled_from("ab")))
        ledger.doubt(signal, draw(st.integers(0, 100)))
    return ledger


@given(st.lists(ledgers(), max_size=4), st.randoms(use_true_random=False))
def test_a_merged_ledger_balances_and_does_not_depend_on_the_order(parts, random) -> None:
    def merged() -> Ledger:
        whole = Ledger(["traces", "metrics", "logs"])
        for part in parts:
            whole.merge(part)
        return whole

    forwards = merged()
    random.shuffle(parts)
    assert merged().to_message() == forwards.to_message()
    for signal in forwards:
        forwards[signal].check()
    generated = sum(part[signal].generated for part in parts for signal in part)
    assert sum(forwards[signal].generated for signal in forwards) == generated


@given(ledgers())
def test_a_ledger_survives_the_way_to_another_process(ledger: Ledger) -> None:
    told = Ledger.from_message(ledger.to_message())
    assert told.as_dict() == ledger.as_dict()
    assert told.reasons() == ledger.reasons()


def test_a_message_that_does_not_balance_is_refused() -> None:
    message = ledger_of(10, accepted=4).to_message()
    message["traces"]["counts"]["pending"] = 5
    with pytest.raises(LedgerError, match="generated 10 items, but settled 4 with 5 pending"):
        Ledger.from_message(message)
