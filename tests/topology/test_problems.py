"""Every message of the language, word for word: ``problems/*.yaml`` and what is said about them.

``pytest tests/topology --rewrite-problems`` writes the ``.out`` files anew; read the difference.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from motel_locust.topology.diagnostics import CODES, WARNING_CODES, TopologyError
from motel_locust.topology.reading import Source, parse_topology

FOLDER = Path(__file__).parent / "problems"
PROBLEMS = sorted(FOLDER.glob("*.yaml"))
FILES = {path.name: path.read_bytes() for path in FOLDER.glob("*.csv")}


def report(path: Path) -> str:
    source = Source(path.name, path.read_bytes(), files=FILES)
    try:
        found = parse_topology(source).warnings
    except TopologyError as error:
        found = error.problems
    return "".join(f"{diagnostic}\n" for diagnostic in found)


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_the_report_is_as_written(path: Path, rewrite_problems: bool) -> None:
    expected = path.with_suffix(".out")
    if rewrite_problems:
        expected.write_text(report(path))
    assert report(path) == expected.read_text()


def test_every_code_of_a_document_has_a_golden_file() -> None:
    told = {
        code
        for path in PROBLEMS
        for code in re.findall(
            r"^\S+: .*\[([a-z-]+)\]$", path.with_suffix(".out").read_text(), re.MULTILINE
        )
    }
    by_other_tests = {
        "url-timeout",
        "url-status",
        "too-many-redirects",
        "too-large",
        "too-deep",
        "unknown-reference",
    }
    assert told == (CODES.keys() | WARNING_CODES.keys()) - by_other_tests


def test_no_message_shows_the_machinery() -> None:
    text = "".join(path.with_suffix(".out").read_text() for path in PROBLEMS)
    for word in ("pydantic", "Value error", "NoneType", "dict", "tuple", "Scalar", "Entries"):
        assert word not in text
