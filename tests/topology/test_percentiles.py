"""Durations by percentiles: what is read, what is refused, and what is drawn of them."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.engine import draws
from motel_locust.topology.model import Operation
from motel_locust.topology.percentiles import INNER, NAMES, PercentileDistribution

MS = 1_000_000
SHARES = {name: float(name[1:]) / 100 for name in NAMES}


def distribution(**written: str) -> PercentileDistribution:
    """Return what an operation makes of the percentiles *written*; ``p99_9`` for ``p99.9``."""
    percentiles = {name.replace("_", "."): text for name, text in written.items()}
    found = Operation.model_validate({"duration": percentiles}).duration
    assert isinstance(found, PercentileDistribution)
    return found


@st.composite
def distributions(draw: st.DrawFn) -> PercentileDistribution:
    others = draw(st.sets(st.sampled_from(list(INNER)), min_size=1)) | {"p50", "p99"}
    names = [name for name in NAMES if name in others | draw(st.sets(st.sampled_from(NAMES)))]
    values = st.lists(st.integers(1, 10**11), min_size=len(names), max_size=len(names), unique=True)
    return PercentileDistribution(tuple(zip(names, sorted(draw(values)), strict=True)))


def test_every_percentile_can_be_written() -> None:
    found = distribution(
        p100="9s", p99_9="8s", p99="7s", p95="6s", p90="5s", p75="4s", p50="3s", p0="0s"
    )
    seconds = (0, 3, 4, 5, 6, 7, 8, 9)
    assert found.points == tuple(zip(NAMES, (each * 1000 * MS for each in seconds), strict=True))
    assert str(found).startswith("{p0: 0s, p50: 3s, ")


def test_an_unset_percentile_is_none() -> None:
    found = Operation.model_validate({"duration": {"p50": "1ms", "p90": None, "p99": "2ms"}})
    assert found == Operation.model_validate({"duration": {"p50": "1ms", "p99": "2ms"}})


@given(distributions())
def test_each_percentile_is_met_and_values_never_fall(found: PercentileDistribution) -> None:
    for name, value_ns in found.points:
        if name in INNER:
            assert found.at(INNER[name]) == pytest.approx(value_ns, rel=1e-9)
    steps = [found.at(quantile) for quantile in np.linspace(-6, 6, 101).tolist()]
    assert steps == sorted(steps)
    given = dict(found.points)
    assert given.get("p0", 0) <= steps[0]
    assert steps[-1] <= given.get("p100", math.inf)


def test_two_points_are_a_log_normal() -> None:
    found = distribution(p50="20ms", p99="400ms")
    sigma = math.log(20) / NormalDist().inv_cdf(0.99)
    for quantile in (-3.0, -0.5, 0.0, 1.7, 4.0):
        assert found.at(quantile) == pytest.approx(20 * MS * math.exp(sigma * quantile))
    assert found.mean_ns == pytest.approx(20 * MS * math.exp(sigma**2 / 2), rel=0.01)


@given(distributions())
def test_a_share_of_the_draws_is_below_each_percentile(found: PercentileDistribution) -> None:
    rows = 200_000
    words = draws.draw_words(np.arange(rows, dtype=np.uint64), np.uint64(7))
    drawn = draws.draw_quantiles(words, draws.curve(found.at), 0)
    for name, value_ns in found.points:
        share = SHARES[name]
        # Between two neighbours of the curve, a hundredth of a deviation apart, it goes straight.
        cell = 0.011 * NormalDist().pdf(INNER[name]) if name in INNER else 0.0
        tolerance = 4 * math.sqrt(share * (1 - share) / rows) + cell
        assert np.mean(drawn < value_ns * (1 - 1e-9)) <= share + tolerance
        assert np.mean(drawn <= value_ns * (1 + 1e-9)) >= share - tolerance


@given(distributions(), st.floats(-3, 3))
def test_the_share_above_a_value_is_that_of_its_quantile(
    found: PercentileDistribution, quantile: float
) -> None:
    given = dict(found.points)
    value_ns = int(found.at(quantile))
    above = found.share_above(value_ns)
    if given.get("p0", 0) < value_ns < given.get("p100", math.inf) and value_ns > 10**6:
        assert above == pytest.approx(1 - NormalDist().cdf(quantile), abs=1e-4)
    assert found.share_above(given.get("p100", 2**70)) == 0
    assert found.share_above(-2) == 1


def test_curves_can_be_joined() -> None:
    one, other = (draws.curve(distribution(p50="1ms", p99=upper).at) for upper in ("2ms", "9ms"))
    words = draws.draw_words(np.arange(1000, dtype=np.uint64), np.uint64(7))
    at = np.where(np.arange(1000) % 2, one.size, 0)
    drawn = draws.draw_quantiles(words, np.concatenate((one, other)), at)
    assert (drawn[::2] == draws.draw_quantiles(words[::2], one, 0)).all()
    assert (drawn[1::2] == draws.draw_quantiles(words[1::2], other, 0)).all()
