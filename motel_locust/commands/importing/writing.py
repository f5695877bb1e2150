"""A draft as the YAML of a topology, with what each statement rests on as a comment."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from motel_locust.commands.importing.figures import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.commands.importing.draft import (
        Draft,
        DraftCall,
        DraftOperation,
        DraftService,
        Statement,
    )

COMMENT_COLUMN: Final = 48
"""Comments stand below each other as far as lines are shorter."""

# What is plain to every reader of YAML: no sign that could mean something, no word that could be
# taken for another type.
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./{}-]*( [A-Za-z0-9_./{}-]+)*", re.ASCII)
_WORDS: Final = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
)
_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What JSON leaves as it is, and YAML takes for a line break or refuses."""


def text(value: str) -> str:
    """Return *value* as a YAML scalar that is this text, whatever it looks like."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """Return *value* in double quotes; what cannot stand in UTF-8 becomes U+FFFD."""
    return _UNSAFE.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    letter = match.group()
    return "\\uFFFD" if "\ud800" <= letter <= "\udfff" else f"\\u{ord(letter):04X}"


def written(draft: Draft) -> str:
    """Return the YAML of *draft*."""
    return "\n".join(_aligned(_topology(draft))) + "\n"


Line = tuple[str, str]
"""The text of a line, and its comment."""


def _aligned(lines: Iterator[Line]) -> Iterator[str]:
    for line, comment in lines:
        yield f"{line:<{COMMENT_COLUMN}}  # {comment}" if comment else line


def _topology(draft: Draft) -> Iterator[Line]:
    yield (
        (
            f"# Imported from {counted(draft.traces, 'traces')}, {counted(draft.spans, 'spans')},"
            f" {draft.window_s:.1f} s observed."
        ),
        "",
    )
    yield "# Review it before use: comments tell what each value rests on, 19 times in 20.", ""
    yield "version: 1", ""
    yield "", ""
    yield "services:", ""
    for name in sorted(draft.services):
        yield f"  {text(name)}:", ""
        yield from _service(draft.services[name])
    yield "", ""
    yield "traffic:", ""
    yield _line("  rate", draft.rate)
    if draft.poisson:
        yield _line("  arrivals", draft.poisson)
    if draft.roots:
        yield "  roots:", ""
        for ref in sorted(draft.roots):
            yield _line(f"    {text(ref)}", draft.roots[ref])


def _line(key: str, statement: Statement) -> Line:
    return f"{key}: {statement.value}", statement.ground


def _texts(indent: str, key: str, values: Mapping[str, str]) -> Iterator[Line]:
    if values:
        yield f"{indent}{key}:", ""
        for name in sorted(values):
            yield f"{indent}  {text(name)}: {quoted(values[name])}", ""


def _service(service: DraftService) -> Iterator[Line]:
    yield from _texts("    ", "resource_attributes", service.resource_attributes)
    yield from _texts("    ", "attributes", service.attributes)
    yield "    operations:", ""
    for name in sorted(service.operations):
        yield f"      {text(name)}:", ""
        yield from _operation(service.operations[name])


def _operation(operation: DraftOperation) -> Iterator[Line]:
    indent = " " * 8
    yield _line(f"{indent}duration", operation.duration)
    if operation.error_rate:
        yield _line(f"{indent}error_rate", operation.error_rate)
    if operation.style:
        yield _line(f"{indent}call_style", operation.style)
    if operation.attributes:
        yield f"{indent}attributes:", ""
        for key in sorted(operation.attributes):
            yield _line(f"{indent}  {text(key)}", operation.attributes[key])
    if operation.calls:
        yield f"{indent}calls:", ""
        for call in operation.calls:
            yield from _call(f"{indent}  ", call)


def _call(indent: str, call: DraftCall) -> Iterator[Line]:
    fields = list(_fields(call))
    if not fields:
        yield f"{indent}- {text(call.target)}", call.share.ground
        return
    yield f"{indent}- target: {text(call.target)}", call.share.ground
    for key, value, comment in fields:
        yield f"{indent}  {key}: {value}", comment


def _fields(call: DraftCall) -> Iterator[tuple[str, str, str]]:
    if call.probability:
        yield "probability", call.probability, ""
    if call.condition:
        yield "condition", call.condition, ""
    if call.count > 1:
        yield "count", str(call.count), ""
    if call.detached:
        yield "async", "true", ""
    if call.producer:
        yield "producer", "true", ""
    for key, statement in (
        ("timeout", call.timeout),
        ("retries", call.retries),
        ("retry_backoff", call.backoff),
    ):
        if statement:
            yield key, statement.value, statement.ground
