from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.importing.ids import (
    parse_free_id,
    parse_id,
    parse_ns,
    parse_rfc3339,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([8, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_an_id_reads_in_every_form(content: bytes) -> None:
    size = len(content)
    for text in (
        content.hex(),
        content.hex().upper(),
        b64encode(content).decode(),
        b64encode(content).decode().rstrip("="),
        urlsafe_b64encode(content).decode(),
    ):
        assert parse_id(text, size) == content


@pytest.mark.parametrize("text", ["", "abc", "g" * 16, "é" * 16, 5, None, "0" * 15, "=" * 16])
def test_what_is_no_id_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="id"):
        parse_id(text, 8)


def test_ids_of_jaeger_may_be_short_or_anything() -> None:
    assert parse_free_id("abc", 8) == bytes.fromhex("0000000000000abc")
    assert parse_free_id("1" * 32, 16) == bytes.fromhex("1" * 32)
    assert parse_free_id("span-1", 8) != parse_free_id("span-2", 8)
    with pytest.raises(ValueError, match="id"):
        parse_free_id("", 8)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("2026-03-01T10:00:00.000000125Z", 1_772_359_200_000_000_125),
        ("2026-03-01T11:00:00.5+01:00", 1_772_359_200_500_000_000),
        ("2026-03-01T10:00:00.1234567891Z", 1_772_359_200_123_456_789),
    ],
)
def test_times_keep_all_nanoseconds(text: str, time_ns: int) -> None:
    assert parse_rfc3339(text) == time_ns


@pytest.mark.parametrize(
    "text", ["", "2026-03-01", "2026-13-01T10:00:00Z", 5, "0001-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_rfc3339(text)


@pytest.mark.parametrize("value", [-1, 2**63, "soon", None, [], float("inf")])
def test_nanoseconds_have_bounds(value: object) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_ns(value)
