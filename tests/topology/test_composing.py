"""The YAML that a topology may be written in, and the YAML that it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.topology.composing import MAX_DEPTH, MAX_REPEATED_NODES, compose
from motel_locust.topology.document import Entries, Items, Node, PlacedMistake, Scalar, locate


def plain(node: Node) -> object:
    """The tree as Python values: every scalar as it is written, None where it is null."""
    if isinstance(node, Scalar):
        return None if node.null else node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def read(text: str) -> object:
    root, problems = compose(text)
    assert not problems
    return plain(root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("~", None),
        ("{a: 1.10, b: on}", {"a": "1.10", "b": "on"}),
        ('{"a": [1, "2"]}', {"a": ["1", "2"]}),  # JSON is YAML
        ("a: 1\r\nb: 2\r\n", {"a": "1", "b": "2"}),
        ("a: 1\n---\nb: {{{\n", {"a": "1"}),  # a second document is not even parsed
        ("--- # one\na: 1\n...\n", {"a": "1"}),
        ("a: &x [1]\nb: *x\n", {"a": ["1"], "b": ["1"]}),
        ("on: 1\n404: 2\n12:30: 3\n0x1F: 4\n", {"on": "1", "404": "2", "12:30": "3", "0x1F": "4"}),
        ("a: !foo bar\n", {"a": "bar"}),
        ("a: !!binary aGk=\n", {"a": "hi"}),
    ],
)
def test_yaml_is_read(text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("merged", "value"),
    [
        ("{<<: *a, own: 3}", {"own": "3", "x": "1", "y": "2"}),
        ("{x: 9, <<: *a}", {"x": "9", "y": "2"}),  # own keys win wherever the merge stands
        ("{<<: *a, x: ~}", {"x": None, "y": "2"}),  # even where they are null
        ("{<<: [*b, *a]}", {"x": "7", "z": "8", "y": "2"}),  # the earlier mapping wins
        ("{<<: {q: 1}}", {"q": "1"}),
        ("{<<: *chained}", {"own": "5", "x": "1", "y": "2"}),
        ("{'<<': 1}", {"<<": "1"}),  # quoted, it is an ordinary key
    ],
)
def test_merge_keys_fill_in_what_is_not_there(merged: str, value: object) -> None:
    anchors = "x-a: &a {x: 1, y: 2}\nx-b: &b {x: 7, z: 8}\nx-c: &chained {<<: *a, own: 5}\n"
    document = read(f"{anchors}it: {merged}\n")
    assert isinstance(document, dict)
    assert document["it"] == value


DEEP_BLOCK = "\n".join(" " * depth + "a:" for depth in range(500))


@pytest.mark.parametrize("text", ["[" * 1_000_000, "- " * 100_000, "{a: " * 5000, DEEP_BLOCK])
def test_deep_nesting_is_refused_where_it_becomes_too_deep(text: str) -> None:
    with pytest.raises(PlacedMistake) as caught:
        compose(text)
    assert caught.value.code == "too-deep"
    assert caught.value.mark.column > MAX_DEPTH


def test_nesting_up_to_the_limit_is_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, levels):
        repeated = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{repeated}]")
    return "\n".join(lines)


def test_aliases_may_not_repeat_more_than_the_limit() -> None:
    with pytest.raises(PlacedMistake) as caught:
        compose(laughs(9))
    assert caught.value.code == "excessive-aliases"
    # At the alias that is one too many, after no more nodes than the limit: not after 10^9.
    assert caught.value.mark.line == 5


def test_what_aliases_repeat_is_counted_with_all_that_is_in_it() -> None:
    root, _ = compose(laughs(3))
    assert isinstance(root, Entries)
    assert root.named["a2"].size == 1 + 10 * (1 + 10 * 11)
    assert root.size < MAX_REPEATED_NODES


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: *b\n", "unknown-anchor", 1, 4),
        ("a: &b [*b]\n", "excessive-aliases", 1, 8),
        ("a: [1\nb: 2\n", "invalid-yaml", 2, 2),
        ("a: b: c\n", "invalid-yaml", 1, 5),
        ("a:\n\tb: 1\n", "invalid-yaml", 2, 1),
        ("a: 'b\n", "invalid-yaml", 2, 1),
        ("a: %\n", "invalid-yaml", 1, 4),
        ("a: @b\n", "invalid-yaml", 1, 4),
        ("ab: \0\n", "invalid-yaml", 1, 5),
        ("a: 1\nb: \x07\n", "invalid-yaml", 2, 4),
        ("a: !e!x 1\n", "invalid-yaml", 1, 4),
        ("%YAML 3.0\n---\na: 1\n", "invalid-yaml", 1, 1),
    ],
)
def test_what_is_no_yaml_is_refused_at_its_place(
    text: str, code: str, line: int, column: int
) -> None:
    with pytest.raises(PlacedMistake) as caught:
        compose(text)
    mistake = caught.value
    assert (mistake.code, mistake.mark.line, mistake.mark.column) == (code, line, column)


def test_places_count_characters_from_one() -> None:
    root, _ = compose("größe:\n  - ß: [a, ünder, 'c']\n")
    mark = locate(root, ("größe", 0, "ß", 1)).mark()
    assert (mark.line, mark.column, mark.width) == (2, 12, 5)
    assert locate(root, ("größe", 0, "ß", 2)).mark().width == 3  # quotes included
    key = locate(root, ("größe", 0, "ß")).mark(at_key=True)
    assert (key.line, key.column, key.width) == (2, 5, 1)


def test_what_is_missing_is_placed_at_the_key_that_misses_it() -> None:
    root, _ = compose("a:\n  b: {c: 1}\n")
    mark = locate(root, ("a", "b", "d", "e")).mark()
    assert (mark.line, mark.column) == (2, 3)


def test_list_items_are_counted_without_nulls() -> None:
    root, _ = compose("[~, a, ~, b]")
    node = locate(root, (1,)).node
    assert isinstance(node, Scalar)
    assert node.text == "b"


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        _, problems = compose(text)
    except PlacedMistake as mistake:
        problems = [mistake]
    assert all(problem.mark.line >= 1 and problem.mark.column >= 1 for problem in problems)
