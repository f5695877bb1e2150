"""Zipf's law, from one word each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from motel_locust.engine import draws
from motel_locust.engine.ranks import HEAD, ranking
from tests.oracles.spelling import rank, zipf

DRAWS = 400_000
WORDS = draws.draw_words(np.arange(DRAWS, dtype=np.uint64), np.uint64(draws.key("ranks")))


def assert_share(hits: int, chance: float, what: object) -> None:
    error = math.sqrt(chance * (1 - chance) / DRAWS)
    assert abs(hits / DRAWS - chance) <= 4 * error, what


@pytest.mark.parametrize("skew", [0, 0.5, 1, 1.1, 2])
@pytest.mark.parametrize("count", [1, 2, 100, HEAD, HEAD + 1, 5_000])
def test_ranks_have_the_shares_of_zipfs_law(count: int, skew: float) -> None:
    found = np.bincount(ranking(count, skew)(WORDS), minlength=count)
    chances = zipf(count, skew)
    assert found.size == count
    for k in {0, 1, 2, 9, 99, HEAD - 1, HEAD, count - 1} & set(range(count)):
        assert_share(int(found[k]), chances[k], k)
    for low, high in ((0, 10), (10, 100), (100, HEAD), (HEAD, 2 * HEAD), (2 * HEAD, count)):
        assert_share(int(found[low:high].sum()), sum(chances[low:high]), (low, high))


@pytest.mark.parametrize("skew", [0.7, 1, 1.1])
def test_ranks_out_of_very_many_have_the_shares_of_zipfs_law(skew: float) -> None:
    count = 10**9
    found = ranking(count, skew)(WORDS)

    def total(last: int) -> float:
        """The sum of k**-skew, by Euler and Maclaurin, good to 1 in 10**12 from 1000 on."""
        head = math.fsum(k**-skew for k in range(1, 1000))
        area = math.log(last / 1000) if skew == 1 else math.nan
        if skew != 1:
            area = (last ** (1 - skew) - 1000 ** (1 - skew)) / (1 - skew)
        ends = (1000**-skew + last**-skew) / 2
        slopes = skew * (1000 ** (-skew - 1) - last ** (-skew - 1)) / 12
        return head + area + ends + slopes

    edges = [10**power for power in range(3, 10)]
    for low, high in zip([1000, *edges], [*edges, count], strict=True):
        hits = int(np.count_nonzero((found >= low) & (found < high)))
        assert_share(hits, (total(high) - total(low)) / total(count), (low, high))
    assert_share(int(np.count_nonzero(found == 0)), 1 / total(count), 0)
    assert found.max() < count


@pytest.mark.parametrize("skew", [3, 10])
def test_steep_laws_keep_to_their_ranks(skew: float) -> None:
    found = ranking(10**12, skew)(WORDS)
    assert found.min() == 0
    assert_share(int(np.count_nonzero(found)), 1 - zipf(1000, skew)[0], "beyond the first")
    edges = np.array([0, 2**64 - 1], np.uint64)
    low, high = ranking(10**12, skew)(edges).tolist()
    assert low == 0 < high < 10**12


@pytest.mark.parametrize(("count", "skew"), [(5, 1.1), (900, 0.3), (3_000, 1)])
def test_a_rank_is_that_of_plain_python(count: int, skew: float) -> None:
    words = WORDS[:2_000]
    wanted = [rank(count, skew, word) for word in words.tolist()]
    found = ranking(count, skew)(words)
    # Beyond the table a rank's end may be off by a part in 10**7.
    assert np.abs(found - wanted).max() <= 1
    assert np.count_nonzero(found != wanted) <= (2 if count > HEAD else 0)
