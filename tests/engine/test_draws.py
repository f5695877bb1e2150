from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.engine import draws

words = st.integers(0, 2**64 - 1)
weights = st.lists(st.integers(1, 10**12), min_size=1, max_size=8)


def column(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


@given(words)
def test_mixing_can_be_undone(word: int) -> None:
    mixed = draws.mix(column(word), column(0))
    assert draws.unmix(int(mixed[0])) == word


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))
def test_a_trace_id_gives_its_number_back(seed: int, number: int) -> None:
    ids = draws.TraceIds(seed)
    (trace_id,) = ids.ids(ids.keys(np.array([number])))
    assert ids.number(trace_id.tobytes()) == number


def test_an_altered_trace_id_is_refused() -> None:
    ids = draws.TraceIds(1)
    trace_id = bytearray(ids.ids(ids.keys(np.array([7])))[0].tobytes())
    for position in range(16):
        altered = bytes(
            trace_id[:position] + bytes([trace_id[position] ^ 1]) + trace_id[position + 1 :]
        )
        assert ids.number(altered) is None


def test_ids_of_two_seeds_differ() -> None:
    numbers = np.arange(1000)
    first, second = (draws.TraceIds(seed) for seed in (1, 2))
    assert not np.isin(first.keys(numbers), second.keys(numbers)).any()


def test_flipping_an_input_bit_flips_each_output_bit_half_the_time() -> None:
    inputs = draws.TraceIds(3).keys(np.arange(2_000))
    plain = draws.draw_words(inputs, np.uint64(0))
    for bit in range(0, 64, 7):
        flipped = draws.draw_words(inputs ^ np.uint64(1 << bit), np.uint64(0))
        differing = np.unpackbits((plain ^ flipped).view(np.uint8)).reshape(-1, 64).mean(axis=0)
        assert np.abs(differing - 0.5).max() < 6 * 0.5 / math.sqrt(inputs.size)


@given(weights, words)
def test_a_choice_falls_where_its_share_of_the_words_lies(shares: list[int], word: int) -> None:
    chosen = int(draws.draw_choices(column(word), draws.bounds(shares))[0])
    passed, total = sum(shares[:chosen]), sum(shares)
    # a bound is cut down to a whole word, so it may lie up to one word early
    assert Fraction(word + 1, 2**64) > Fraction(passed, total)
    assert Fraction(word, 2**64) < Fraction(passed + shares[chosen], total)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), words)
def test_an_integer_is_the_word_scaled_to_its_range(one: int, other: int, word: int) -> None:
    low, high = sorted((one, other))
    drawn = int(draws.draw_integers(column(word), low, high)[0])
    count = high - low + 1
    assert low <= drawn <= high
    if count == 2**64:
        return  # every word is a value
    scaled = word * count >> 64 if count > 2**32 else (word >> 32) * count >> 32
    assert drawn == low + scaled


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 3), (0, 2**40)])
def test_an_integer_reaches_both_ends(low: int, high: int) -> None:
    drawn = draws.draw_integers(column(0, 2**64 - 1), low, high)
    assert drawn.tolist() == [low, high]


def test_the_normal_has_its_moments_and_a_far_tail() -> None:
    size = 1_000_000
    drawn = draws.draw_normals(draws.TraceIds(9).keys(np.arange(size)))
    assert abs(drawn.mean()) < 4 / math.sqrt(size)
    assert abs(drawn.var() - 1) < 4 * math.sqrt(2 / size)
    assert abs((drawn**4).mean() - 3) < 4 * math.sqrt(96 / size)
    beyond = 1 - 0.999936657516334  # of 4 sigma, both sides
    assert abs((np.abs(drawn) > 4).mean() - beyond) < 4 * math.sqrt(beyond / size)
    extreme = draws.draw_normals(column(0, 2**64 - 1))
    assert extreme == pytest.approx([-5.2, 5.2], abs=0.1)
