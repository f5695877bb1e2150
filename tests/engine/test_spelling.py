"""Texts of one length: how many there are, and which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.engine.columns import Spelled
from motel_locust.engine.spelling import permuted, spell, text
from motel_locust.topology.spellings import LETTERS, least_length
from tests.oracles.spelling import spelled


def texts(attribute: Spelled, numbers: np.ndarray) -> list[str]:
    content = spell(attribute, numbers).tobytes().decode()
    length = attribute.length
    return [content[at : at + length] for at in range(0, len(content), length)]


@pytest.mark.parametrize(
    ("length", "distinct"),
    [(1, 1), (1, 32), (2, 33), (2, 1024), (3, 5000), (11, 5000), (12, 5000), (40, 5000)],
)
def test_there_are_exactly_so_many_texts_of_exactly_that_length(length: int, distinct: int) -> None:
    found = texts(Spelled("k", length, distinct), np.arange(distinct))
    assert len(set(found)) == distinct
    assert {len(each) for each in found} == {length}
    assert set("".join(found)) <= set(LETTERS)


@given(
    st.text(max_size=5),
    st.sampled_from([1, 2, 11, 12, 13, 24, 25, 100, 1000]),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=5),
)
def test_a_text_is_what_plain_python_makes(key: str, length: int, numbers: list[int]) -> None:
    numbers = [number % 32 ** min(length, 12) for number in numbers]
    attribute = Spelled(key, length, max(numbers) + 1)
    wanted = [spelled(key, number, length) for number in numbers]
    assert texts(attribute, np.array(numbers)) == wanted
    assert text(attribute, numbers[0]) == wanted[0]


def test_large_texts_are_made_in_portions_that_do_not_show() -> None:
    attribute = Spelled("payload", 65_536, 100)
    found = texts(attribute, np.arange(7))
    assert found == [text(attribute, number) for number in range(7)]
    assert len(set(found)) == 7


def test_attributes_have_texts_of_their_own() -> None:
    one, other = (set(texts(Spelled(key, 8, 1000), np.arange(1000))) for key in "ab")
    assert not one & other


@pytest.mark.parametrize("bits", [5, 10, 15])
def test_numbers_are_permuted(bits: int) -> None:
    found = permuted(np.arange(2**bits), key=12_345, bits=bits)
    assert sorted(found.tolist()) == list(range(2**bits))
    assert (np.diff(found.astype(np.int64)) != 1).mean() > 0.9


@pytest.mark.parametrize("distinct", [1, 2, 31, 32, 33, 1024, 1025, 32_768, 32_769, 10**9, 10**12])
def test_the_least_length(distinct: int) -> None:
    wanted = min(n for n in range(1, 99) if len(LETTERS) ** n >= distinct)
    assert least_length(distinct) == wanted
