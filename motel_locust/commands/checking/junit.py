"""Verdicts as JUnit XML, which build servers show as tests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from motel_locust.commands.checking.markup import legal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from motel_locust.commands.checking.verdict import Row


def junit(rows: Sequence[Row], *, source: str) -> bytes:
    """Return *rows* as one suite, called after *source*, with a case for each."""
    failed = sum(not row.passed for row in rows)
    counts = {"tests": str(len(rows)), "failures": str(failed), "errors": "0", "skipped": "0"}
    suites = Element("testsuites", counts)
    suite = SubElement(
        suites, "testsuite", {"name": legal(f"motel-locust check {source}"), **counts}
    )
    for row in rows:
        case = SubElement(suite, "testcase", {"classname": legal(source), "name": row.name})
        told = f"{row.value} of {row.limit}, {row.scenarios.label}"
        if row.where:
            told += f": {' > '.join(row.where)}"
        told = legal(told)
        if row.passed:
            SubElement(case, "system-out").text = told
        else:
            SubElement(case, "failure", {"message": told, "type": "limit"})
    indent(suites)
    content: bytes = tostring(suites, encoding="utf-8", xml_declaration=True)
    return content + b"\n"
