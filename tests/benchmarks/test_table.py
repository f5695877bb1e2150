from __future__ import annotations

import pytest

from benchmarks.table import Table, count, mib, millis, percent

ENDPOINTS = Table(
    ("endpoint", "spans/s", "note"),
    [("discard://", "4,000,000", ""), ("receiver", "950", "its own process")],
)


def test_a_table_is_aligned_numbers_to_the_right() -> None:
    assert ENDPOINTS.text() == "\n".join(
        [
            "endpoint      spans/s  note",
            "----------  ---------  ---------------",
            "discard://  4,000,000",
            "receiver          950  its own process",
        ]
    )


def test_a_table_in_markdown_says_how_its_columns_are_aligned() -> None:
    assert ENDPOINTS.markdown() == "\n".join(
        [
            "| endpoint | spans/s | note |",
            "| --- | ---: | --- |",
            "| discard:// | 4,000,000 |  |",
            "| receiver | 950 | its own process |",
        ]
    )


def test_a_table_without_rows_has_its_headings() -> None:
    table = Table(("users", "CPU"), [])
    assert table.text() == "users  CPU\n-----  ---"
    assert table.markdown() == "| users | CPU |\n| --- | --- |"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 headings"):
        Table(("users", "CPU"), [("10",)])


def test_numbers_are_written_with_their_units() -> None:
    assert count(1234567.8) == "1,234,568"
    assert percent(0.0125, 1) == "1.2 %"
    assert percent(-0.001, 1) == "-0.1 %"
    assert millis(1.2345) == "1,234.5 ms"
    assert mib(250 << 20) == "250 MiB"
