from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from motel_locust.commands.importing import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (0.0123456, "0.0123"),
        (1234567, "1230000"),
        (1e-7, "0.0000001"),
        (1, "1"),
        (0, "0"),
    ],
)
def test_decimals_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert figures.decimal(value) == text


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (12_345_678, "12.3ms"),
        (1, "1ns"),
        (0.2, "1ns"),
        (999_900, "1ms"),
        (61.2e9, "1m1.2s"),
        (450, "450ns"),
    ],
)
def test_durations_have_three_digits_and_are_never_zero(value_ns: float, text: str) -> None:
    assert figures.duration(value_ns) == text


@pytest.mark.parametrize(
    ("per_s", "text"),
    [
        (20.01, "20/s"),
        (12.5, "750/m"),
        (0.3, "18/m"),
        (0.005, "18/h"),
        (123456.7, "123457/s"),
        (1e-9, "1/h"),
    ],
)
def test_a_rate_is_a_whole_number_of_the_first_unit_that_is_near(per_s: float, text: str) -> None:
    assert figures.rate(per_s) == text


def test_a_share_is_told_with_its_interval() -> None:
    assert figures.between(5, 10) == "24-76 %"
    assert figures.between(0, 1000) == "0.00-0.38 %"
    assert figures.between(3000, 3000) == "99.87-100.00 %"


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1, 2, 3, 5])
def test_what_was_cut_off_at_zero_is_found_again(ratio: float) -> None:
    law = NormalDist(ratio * 1e6, 1e6)
    drawn = np.maximum([law.inv_cdf((step + 0.5) / 100_000) for step in range(100_000)], 0)
    mean, deviation = figures.normal_behind(float(drawn.mean()), float(drawn.std()))
    assert mean == pytest.approx(ratio * 1e6, rel=0.002)
    assert deviation == pytest.approx(1e6, rel=0.002)


def test_a_longer_tail_than_can_be_said_keeps_its_mean() -> None:
    mean, deviation = figures.normal_behind(100.0, 500.0)
    law = NormalDist(mean, deviation)
    drawn = np.maximum([law.inv_cdf((step + 0.5) / 100_000) for step in range(100_000)], 0)
    assert drawn.mean() == pytest.approx(100, rel=0.002)
