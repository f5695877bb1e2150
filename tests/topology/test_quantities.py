from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.topology import quantities
from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.quantities import (
    DurationDistribution,
    NumberDistribution,
    format_duration,
    parse_duration,
    parse_duration_distribution,
    parse_number_distribution,
    parse_rate,
    parse_share,
)

INT64_MAX = 2**63 - 1
S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("30ms", 30_000_000),
        ("1m30s", 90 * S),
        ("30s1m", 90 * S),  # in any order
        ("1h1h", 7200 * S),  # and again
        ("1h30m10s", 5410 * S),
        ("1.5h", 5400 * S),
        (".5s", S // 2),
        ("1.s", S),
        ("-1.5s", -3 * S // 2),
        ("+2us", 2000),
        ("2µs", 2000),  # micro sign
        ("2μs", 2000),  # Greek mu
        ("1.9ns", 1),  # what is finer is cut off
        ("0.9ns", 0),
        ("0.000000001s", 1),
        ("2562047h47m16.854775807s", INT64_MAX),
        ("-2562047h47m16.854775808s", -INT64_MAX - 1),
        ("000000000000000000000000000001s", S),
    ],
)
def test_a_duration_is_read(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "+", "-", "5", "0.5", "00", "1 s", "1m 30s", " 1s", "1s ", "1e3ms", "1_000ms"),
        *("1d", "1w", "1S", "1Ms", "s", ".s", ".", "1..5s", "1s-1s", "--1s", "١s", "1µ", "fast"),
        *("2562047h47m16.854775808s", "9223372036854775808ns", "9" * 5000 + "s"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_duration(text)
    assert caught.value.code == "invalid-duration"
    assert len(str(caught.value)) < 250


@given(st.integers(-INT64_MAX - 1, INT64_MAX))
def test_a_printed_duration_reads_back_equal(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (90 * S, "1m30s"), (1_500_000, "1.5ms"), (3600 * S, "1h"), (-5, "-5ns")],
)
def test_a_duration_prints_as_people_write_it(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@pytest.mark.parametrize(
    ("text", "mean_ns", "deviation_ns"),
    [
        ("10ms", 10_000_000, 0),
        ("10ms +/- 2ms", 10_000_000, 2_000_000),
        ("10ms ± 2ms", 10_000_000, 2_000_000),
        ("  10ms+/-2ms  ", 10_000_000, 2_000_000),
        ("10ms±20ms", 10_000_000, 20_000_000),  # a deviation above the mean is fine
        ("10ms +/- 0", 10_000_000, 0),
    ],
)
def test_a_duration_distribution_is_read(text: str, mean_ns: int, deviation_ns: int) -> None:
    assert parse_duration_distribution(text) == DurationDistribution(mean_ns, deviation_ns)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0s", "-1ms", "10ms +/- -1ms", "10ms +/-", "+/- 1ms", "10ms +- 2ms", "10ms ± 20%"),
        *("1ms +/- 1ms +/- 1ms", "1ms ± 1ms ± 1ms", "1ms +/- 1ms ± 1ms"),
    ],
)
def test_what_is_no_duration_distribution_is_refused(text: str) -> None:
    with pytest.raises(Mistake):
        parse_duration_distribution(text)


@given(st.integers(1, INT64_MAX), st.integers(0, INT64_MAX))
def test_a_printed_duration_distribution_reads_back_equal(mean_ns: int, deviation_ns: int) -> None:
    distribution = DurationDistribution(mean_ns, deviation_ns)
    assert parse_duration_distribution(str(distribution)) == distribution


@pytest.mark.parametrize(
    ("text", "mean", "deviation"),
    [
        ("0.65", 0.65, 0.0),
        ("-3 +/- 1.5", -3.0, 1.5),
        ("1e3±.5", 1000.0, 0.5),
        ("1_000", 1000.0, 0.0),  # Go's float reader takes underscores between digits
    ],
)
def test_a_number_distribution_is_read(text: str, mean: float, deviation: float) -> None:
    assert parse_number_distribution(text) == NumberDistribution(mean, deviation)


@pytest.mark.parametrize(
    "text", ["", "a", "nan", "inf", ".inf", "0x10", "1 +/- -1", "1 +/-", "1_", "1e400", "1 2"]
)
def test_what_is_no_number_distribution_is_refused(text: str) -> None:
    with pytest.raises(Mistake):
        parse_number_distribution(text)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)
def test_a_printed_number_distribution_reads_back_equal(mean: float, deviation: float) -> None:
    distribution = NumberDistribution(mean, abs(deviation))
    assert parse_number_distribution(str(distribution)) == distribution


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("5%", 0.05),
        ("0.05", 0.05),
        (" 5 % ", 0.05),
        ("+5%", 0.05),
        ("0", 0.0),
        ("-0", 0.0),
        ("1", 1.0),
        ("100%", 1.0),
        (".5", 0.5),
        ("5.%", 0.05),
        ("1e-3", 0.001),
        ("5e-1%", 0.005),
    ],
)
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share, abs=0, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid-share"),
        (" ", "invalid-share"),
        ("%", "invalid-share"),
        ("five", "invalid-share"),
        ("5 percent", "invalid-share"),
        ("nan", "invalid-share"),
        ("inf%", "invalid-share"),
        ("0x1p-2", "invalid-share"),
        ("5%%", "invalid-share"),
        ("٥%", "invalid-share"),
        ("1.0001", "out-of-range"),
        ("5", "out-of-range"),
        ("-0.1", "out-of-range"),
        ("100.1%", "out-of-range"),
        ("-1%", "out-of-range"),
    ],
)
def test_what_is_no_share_is_refused(text: str, code: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_share(text)
    assert caught.value.code == code


@given(st.floats(0, 1))
def test_a_printed_ratio_reads_back_equal(share: float) -> None:
    assert parse_share(repr(share)) == share


@pytest.mark.parametrize(
    ("text", "per_s"),
    [
        ("10/s", 10.0),
        ("010/sec", 10.0),
        ("+10/Second", 10.0),
        ("300/m", 5.0),
        ("300/MIN", 5.0),
        ("30/minutes", 0.5),
        ("36/h", 0.01),
        ("3600/hours", 1.0),
        ("12.5/s", 12.5),
        (".5/s", 0.5),
        ("1000000/s", 1e6),  # no greatest value
    ],
)
def test_a_rate_is_read(text: str, per_s: float) -> None:
    rate = parse_rate(text)
    assert rate.per_s == pytest.approx(per_s, rel=1e-15)
    assert str(rate) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "/s", "10/", "10 /s", "10/ s", " 10/s", "10/s ", "10/s/s", "1e3/s", "1_0/s"),
        *("ten/s", "10/d", "10/ms", "0/s", "0.0/s", "-1/s", "inf/s", "nan/s", "9" * 400 + "/s"),
        "0." + "0" * 400 + "1/h",
    ],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(Mistake):
        parse_rate(text)


@given(
    st.decimals(min_value="0.0001", max_value="1e9", places=4),
    st.sampled_from(sorted(quantities.RATE_UNITS_S)),
)
def test_a_rate_is_its_number_by_its_unit(number: object, unit: str) -> None:
    expected = float(str(number)) / quantities.RATE_UNITS_S[unit]
    assert math.isclose(parse_rate(f"{number:f}/{unit}").per_s, expected)
