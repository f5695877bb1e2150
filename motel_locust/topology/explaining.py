"""From what pydantic found to mistakes in the words of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from motel_locust.topology.diagnostics import Mistake, Mistakes, Step, quoted
from motel_locust.topology.part import Part, Unknown, Written, unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

_ONE_OF: Final = {
    "services": "service",
    "operations": "operation",
    "attributes": "attribute",
    "resource_attributes": "resource attribute",
    "instance_attributes": "instance attribute",
    "weights": "instance",
    "baggage": "baggage",
    "override": "override",
    "metrics": "metric",
    "roots": "root",
    "variants": "variant",
    "when": "baggage",
}
"""Mappings whose keys are names, and what one of their entries is called."""


def explain(error: ValidationError) -> Iterator[Mistake]:
    """Yield every mistake in *error*, with its path from the top of the document."""
    for found in error.errors(include_url=False):
        yield from _mistakes(found)


def _mistakes(found: Any) -> Iterator[Mistake]:
    path: tuple[Step, ...] = found["loc"]
    given = found["input"]
    if found["type"] == "extra_forbidden":
        assert isinstance(given, Unknown)  # Part leaves no other value under an unknown key
        yield unknown_key(str(path[-1]), given.part.keys(), given.part.title, path=path[:-1])
    elif found["type"] == "missing":
        yield _missing(path, given.part if isinstance(given, Written) else Part)
    else:
        cause = found["ctx"]["error"]  # every validator of ours raises one of two
        for mistake in cause.mistakes if isinstance(cause, Mistakes) else (cause,):
            yield _placed(mistake, path)


def _missing(path: tuple[Step, ...], part: type[Part]) -> Mistake:
    key = str(path[-1])
    message = f"{key} is missing; write {part.examples[key]}"
    return Mistake("missing-key", message, path=path, complete=True)


def _placed(mistake: Mistake, path: tuple[Step, ...]) -> Mistake:
    at_key = mistake.at_key
    if path and path[-1] == "[key]":
        path, at_key = path[:-1], True
    path += mistake.path
    message = str(mistake)
    if not mistake.complete:
        message = f"{spoken(path)[-1]} {message}"
    return Mistake(mistake.code, message, path=path, at_key=at_key, complete=True)


def spoken(path: tuple[Step, ...]) -> list[str]:
    """Return *path* as people say it: ``service "web"``, ``operation "get"``, ``calls[0]``."""
    words: list[str] = []
    steps = list(path)
    while steps:
        step = steps.pop(0)
        if step in _ONE_OF and steps and isinstance(steps[0], str):
            words.append(f"{_ONE_OF[str(step)]} {quoted(str(steps.pop(0)))}")
        elif isinstance(step, int) and words:
            # Below values come a pair and its side, which nobody counts.
            words[-1] += f"[{step}]" if words[-1] != "values" else ""
        else:
            words.append(str(step))
    return words or ["the document"]
