from __future__ import annotations

from benchmarks.rounds import ROUNDS, in_turns


def test_cases_take_turns_and_are_compared_with_their_neighbours() -> None:
    called = []

    def measure(case: float) -> float:
        called.append(case)
        return case * len(called)

    slow, fast = in_turns((1.0, 10.0), measure)
    assert called == [1.0, 10.0] * ROUNDS
    assert (slow.own, fast.own) == ((1, 3, 5), (20, 40, 60))
    assert (slow.median(float), fast.median(float)) == (3, 40)
    assert (slow.ratio(float), fast.ratio(float)) == (1, 40 / 3)
