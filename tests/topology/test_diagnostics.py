from __future__ import annotations

import pytest

from motel_locust.topology.diagnostics import (
    CODES,
    WARNING_CODES,
    Diagnostic,
    TopologyError,
    listed,
    quoted,
    suggestion,
)


def test_a_problem_shows_its_place_in_its_line() -> None:
    diagnostic = Diagnostic(
        "shop.yaml", 14, 11, 'no operation "databse.query"', "unknown-operation",
        excerpt="        - databse.query", width=13,
    )  # fmt: skip
    assert str(diagnostic) == (
        'shop.yaml:14:11: no operation "databse.query" [unknown-operation]\n'
        "   |\n"
        "14 |         - databse.query\n"
        "   |           ^~~~~~~~~~~~~"
    )


def test_a_caret_stands_below_its_character_after_tabs() -> None:
    lines = str(Diagnostic("t", 1, 3, "m", "c", excerpt="\t\tab", width=2)).splitlines()
    assert lines[-2:] == ["1 | \t\tab", "  | \t\t^~"]


@pytest.mark.parametrize("column", [1, 5000, 9_999])
def test_of_a_long_line_only_the_part_around_the_place_is_shown(column: int) -> None:
    excerpt = "a" * (column - 1) + "X" + "a" * (10_000 - column)
    lines = str(Diagnostic("t", 1, column, "m", "c", excerpt=excerpt, width=4000)).splitlines()
    assert all(len(line) <= 170 for line in lines)
    assert lines[2][lines[3].index("^")] == "X"


def test_a_problem_of_the_whole_source_has_no_place() -> None:
    assert str(Diagnostic("t.yaml", 0, 0, "is gone", "gone")) == "t.yaml: is gone [gone]"


def test_a_report_is_every_problem_in_order() -> None:
    problems = [Diagnostic("t", line, 1, "m", "c") for line in (1, 2)]
    assert str(TopologyError(problems)) == "t:1:1: m [c]\nt:2:1: m [c]"


def test_suggestions_are_close_and_few() -> None:
    assert suggestion("databse.query", ["database.query", "web.get"]) == (
        '; did you mean "database.query"?'
    )
    assert suggestion("web.get", ["catalogue.describe"]) == ""
    assert suggestion("aaaa", ["aaab", "aaac", "aaad", "aaae"]).count('"') == 6


def test_quoted_text_is_short_and_printable() -> None:
    assert quoted('a"b\n\x07') == '"a"b\\n\\x07"'
    assert len(quoted("x" * 1000)) == 62


def test_words_are_listed_as_in_a_sentence() -> None:
    assert (listed(["a"]), listed(["a", "b"]), listed("abc", "and")) == (
        "a",
        "a or b",
        "a, b and c",
    )


def test_codes_are_kebab_case_and_told_apart() -> None:
    codes = [*CODES, *WARNING_CODES]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)
