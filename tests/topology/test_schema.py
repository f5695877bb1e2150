"""The JSON Schema against the language: it accepts what the reader accepts, and refuses its part.

The judge of what a file holds is the language's own reading of YAML, as JSON would have it.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from motel_locust.topology import patterns, quantities
from motel_locust.topology.composing import compose
from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.document import Entries, Items, PlacedMistake, Scalar, locate
from motel_locust.topology.reading import Source, parse_topology
from motel_locust.topology.scalars import resolve
from motel_locust.topology.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import ValidationError

    from motel_locust.topology.document import Node

ROOT = Path(__file__).parents[2]
GOOD = sorted([*ROOT.glob("topologies/*.yaml"), *ROOT.glob("tests/topology/accepted/*.yaml")])
PROBLEMS = sorted(ROOT.glob("tests/topology/problems/*.yaml"))
SCHEMA = json_schema()
VALIDATOR = Draft7Validator(SCHEMA)

NEEDS_THE_WHOLE = {
    *("duplicate-name", "unknown-operation", "ambiguous-reference", "self-link"),
    *("unknown-override", "misplaced-override", "not-called", "unknown-metric", "fixed-metric"),
    *("call-cycle", "scenario-cycle", "invalid-yaml", "invalid-key", "invalid-merge"),
    *("unknown-domain", "unknown-reference", "unknown-instance"),
    *("unknown-variant", "unknown-baggage", "too-many-variants"),
    *("unreadable-source", "unknown-column"),
}
"""Codes of what a schema cannot tell: it sees neither YAML's syntax nor two places at once."""
COMPARES = re.compile(
    r"is not above min|is above peak_multiplier|is not below burst_interval|above its end"
    r"|weights that add up|is out of range|is above the greatest|finite number"
    r"|does not fit 64 bits|\.nan|percentiles must rise|is too short for|rows are kept together"
)
"""Messages that compare two values, or tell of numbers that JSON does not have."""
STRICTER = {"replay"}
"""A replay ignores what it does not use; the schema asks of it what it asks of every file."""


def as_json(node: Node) -> Any:
    match node:
        case Entries():
            return {key: as_json(value) for key, value in node.named.items()}
        case Items():
            return [as_json(item) for item in node.items]
        case Scalar():
            value = resolve(node)
            return node.text if isinstance(value, datetime) else value


def leaves(error: ValidationError) -> Iterator[ValidationError]:
    yield error
    for inner in error.context:
        yield from leaves(inner)


def lines(root: Node, error: ValidationError) -> set[int]:
    """Return the lines that *error* may mean: of the value, or of the key above it."""
    found = set()
    for leaf in leaves(error):
        spot = locate(root, tuple(leaf.absolute_path))
        found |= {spot.mark().line, spot.mark(at_key=True).line}
        of_keys = leaf.validator in ("additionalProperties", "propertyNames")
        if (of_keys or "propertyNames" in leaf.absolute_schema_path) and isinstance(
            spot.node, Entries
        ):
            found |= {key.mark.line for key in spot.node.keys.values()}
    return found


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_the_reader_accepts_the_schema_accepts(path: Path) -> None:
    root, _ = compose(path.read_text())
    assert [error.message for error in VALIDATOR.iter_errors(as_json(root))] == []


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_what_the_schema_can_tell_of_a_problem_it_tells(path: Path) -> None:
    try:
        root, _ = compose(path.read_text())
    except (PlacedMistake, UnicodeDecodeError):
        return  # no document, so nothing for a schema
    try:
        parse_topology(Source(str(path), path.read_bytes()))
        problems = []
    except TopologyError as error:
        problems = error.problems
    told = [lines(root, error) for error in VALIDATOR.iter_errors(as_json(root))]
    # What a file of rows has wrong is nothing that the topology shows.
    problems = [problem for problem in problems if problem.file == str(path)]
    wrong = {problem.line for problem in problems}
    if path.stem not in STRICTER:
        for found in told:
            assert found & wrong, f"the schema refuses line {found}, the reader does not"

    for problem in problems:
        if problem.code in NEEDS_THE_WHOLE or COMPARES.search(problem.message):
            continue
        assert any(problem.line in found for found in told), problem.headline


TEXTS = st.one_of(
    st.text(st.sampled_from("0159.+-_eE% /hmsnuµ±"), max_size=8),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "+", "-", " "]),
        st.sampled_from(["0", "1", "05", "1.5", ".5", "5.", "100", "101", "1e2", "1_0", "0.0"]),
        st.sampled_from(["", "%", "ms", "h", "m3s", "us", "/s", "/Min", "/hours", "/d", "ms.5s"]),
        st.sampled_from(["", " ", " +/- 1ms", "±2", "+/-0.5", " +/- -1s", "+/-0"]),
    ),
)


def reads(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


@settings(max_examples=300)
@given(TEXTS)
def test_a_pattern_matches_what_its_grammar_reads(text: str) -> None:
    for schema, parse in (
        (patterns.DURATION, quantities.parse_duration),
        (patterns.DURATION_DISTRIBUTION, quantities.parse_duration_distribution),
        (patterns.NUMBER_DISTRIBUTION, quantities.parse_number_distribution),
        (patterns.RATE, quantities.parse_rate),
    ):
        if re.fullmatch(r"\s*-[0.a-zµμ]*\s*|.*(\+/-|±)\s*-0.*", text):
            continue  # a minus before nothing but zeros is read, and not worth a longer pattern
        matches = re.search(schema["pattern"], text) is not None
        assert matches == reads(parse, text), (text, schema["pattern"])
    # Of ratios in quotes, and of percentages with an exponent, the pattern tells the form only.
    if re.search(patterns.SHARE["pattern"], text) is None and "-0" not in text:
        assert not reads(quantities.parse_share, text)


def test_an_editor_is_told_what_would_be_right() -> None:
    assert json.dumps(SCHEMA).count('"patternErrorMessage"') > 15
    assert SCHEMA["definitions"]["Call"]["anyOf"][0]["pattern"] == patterns.REF["pattern"]
    assert "``" not in json.dumps(SCHEMA)


def test_the_schema_is_one_of_draft_7() -> None:
    Draft7Validator.check_schema(SCHEMA)
    named = set(re.findall(r"#/definitions/(\w+)", json.dumps(SCHEMA)))
    assert named == set(SCHEMA["definitions"])
