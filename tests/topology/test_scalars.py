"""What scalars are: the tables of the language, row by row."""

from __future__ import annotations

import math
from typing import Any

import pytest

from motel_locust.topology import kinds
from motel_locust.topology.composing import compose
from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.document import Entries, Node
from motel_locust.topology.scalars import print_float, printed, resolve


def node(written: str) -> Node:
    root, problems = compose(f"key: {written}\n")
    assert not problems
    assert isinstance(root, Entries)
    return root.named["key"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("12", 12),
        ("-3", -3),
        ("+7", 7),
        ("1_000", 1000),
        ("-1_0", -10),
        ("0", 0),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0o17", 15),
        ("0777", 511),
        ("0b101", 5),
        ("-0x1F", -31),
        ("+0b11", 3),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775809", -9223372036854775809.0),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("1.5E-4", 0.00015),
        ("08", 8.0),
        ("09", 9.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        *((word, word) for word in ("1e400", "yes", "no", "on", "off", "y", "n", "1:30", "5%")),
        *(
            (word, word)
            for word in ("=", "0o8", "_1", "1__a", "0x", "0xG", "+", ".", "12e", "1.2.3")
        ),
        ('"5"', "5"),
        ("'true'", "true"),
        ('""', ""),
        ("|\n  5\n", "5\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!float 5", 5.0),
        ("!!binary aGk=", "hi"),
        ("!foo bar", "bar"),
        ("!foo 5", "5"),
        ("! 5", "5"),
        ("2024-13-40", "2024-13-40"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05"),
    ],
)
def test_an_unquoted_scalar_is_what_it_looks_like(written: str, value: Any) -> None:
    resolved = resolve(node(written))
    assert type(resolved) is type(value)
    assert resolved == value


def test_nan_is_a_float() -> None:
    assert math.isnan(resolve(node(".NaN")))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2024-01-02", "2024-01-02 00:00:00 +0000 UTC"),
        ("2024-1-2", "2024-01-02 00:00:00 +0000 UTC"),
        ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05 +0000 UTC"),
        ("2024-01-02t3:4:5.25+02:00", "2024-01-02 03:04:05.25 +0200 +0200"),
        ("2024-01-02 03:04:05", "2024-01-02 03:04:05 +0000 UTC"),
        ("18446744073709551615", "18446744073709551615"),
        ("[a, 1]", "[a 1]"),
        ("[a, ~, 1.5, true]", "[a <nil> 1.5 true]"),
        ("{b: 1, a: [2]}", "map[a:[2] b:1]"),
        ("[]", "[]"),
        ("{}", "map[]"),
        ("[1e3, 1e21, 1e-5]", "[1000 1e+21 1e-05]"),
    ],
)
def test_what_otlp_has_no_type_for_becomes_text(written: str, text: str) -> None:
    assert kinds.any_value(node(written)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (100.0, "100"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (123456789.125, "123456789.125"),
        (1e20, "100000000000000000000"),
        (1.5e21, "1.5e+21"),
        (-2.5e-7, "-2.5e-07"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_floats_print_as_go_prints_them(value: float, text: str) -> None:
    assert print_float(value) == text


def test_a_printed_mapping_is_sorted_by_key() -> None:
    assert printed(node("{z: 1, a: {y: ~, b: x}}")) == "map[a:map[b:x y:<nil>] z:1]"


@pytest.mark.parametrize(
    "written",
    ["1.10", "true", "0x1F", "2024-01-02", "on", "12:30", "1e3", "-.5", "0o17", "=", "GET /a b"],
)
def test_a_text_field_keeps_what_is_written(written: str) -> None:
    assert kinds.text(node(written)) == written


@pytest.mark.parametrize(
    ("written", "value"),
    [("12", 12), ("0x1F", 31), ("1e3", 1000), ("2.0", 2), ("-5", -5), ("!!int '7'", 7)],
)
def test_a_whole_number_is_read_in_any_notation(written: str, value: int) -> None:
    assert kinds.whole_number(node(written)) == value


@pytest.mark.parametrize(
    "written",
    ['"5"', "true", ".inf", ".nan", "five", "2.9", "[5]", "9223372036854775808", "5%", "on"],
)
def test_what_is_no_whole_number_is_refused(written: str) -> None:
    with pytest.raises(Mistake):
        kinds.whole_number(node(written))


@pytest.mark.parametrize(("written", "value"), [("12", 12.0), (".5", 0.5), ("0x10", 16.0)])
def test_a_number_is_read(written: str, value: float) -> None:
    assert kinds.number(node(written)) == value


@pytest.mark.parametrize("written", ['"5"', "50%", "true", ".inf", "-.inf", ".nan", "{a: 1}"])
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(Mistake):
        kinds.number(node(written))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((word, True) for word in ("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on")),
        *((word, True) for word in ("On", "ON", '"yes"', "'on'")),
        *((word, False) for word in ("false", "n", "N", "no", "No", "NO", "off", "Off", "OFF")),
    ],
)
def test_a_flag_has_many_words(written: str, value: bool) -> None:
    assert kinds.flag(node(written)) is value


@pytest.mark.parametrize("written", ["1", "0", '"true"', "tRUE", "yES", "oN", "maybe", "[true]"])
def test_what_is_no_flag_is_refused(written: str) -> None:
    with pytest.raises(Mistake):
        kinds.flag(node(written))
