"""Reading a topology: from a file, URL or standard input to checked models.

Four passes look at one document, and all that they find is reported together, in file order:
the YAML itself, its keys, every field (by the models), and the references between the fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from motel_locust.topology import cycles, explaining, rules, warnings
from motel_locust.topology.composing import compose
from motel_locust.topology.diagnostics import Diagnostic, Mistake, Severity, TopologyError
from motel_locust.topology.document import Entries, Mark, PlacedMistake, Scalar, locate
from motel_locust.topology.model import Topology
from motel_locust.topology.outline import outline
from motel_locust.topology.part import Part
from motel_locust.topology.sources import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.topology.document import Node

__all__ = ["Reading", "Source", "parse_part", "parse_topology", "read_source", "read_topology"]

PartT = TypeVar("PartT", bound=Part)

# YAML 1.1 line breaks, which PyYAML counts.
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


_FORM: Final = frozenset({"wrong-type", "unknown-key", "duplicate-name"})
_UNUSED_IN_REPLAY: Final = {
    "services": _FORM
    | {"invalid-duration", "invalid-share", "invalid-number", "generator-form"}
    | {"unknown-operation", "ambiguous-reference", "call-cycle"},
    "traffic": _FORM,
    "scenarios": _FORM,
}
"""The sections that a replay ignores, and what must be right about them all the same."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A topology that can be used, the source it was read from, and what is odd about it."""

    source: Source
    topology: Topology
    warnings: tuple[Diagnostic, ...]


def read_topology(text: str) -> Reading:
    """Return the topology that *text* names: a path, an ``http(s)://`` URL, or ``-``.

    Raises:
        TopologyError: with every problem, in file order.
    """
    return parse_topology(read_source(text))


def parse_topology(source: Source) -> Reading:
    """Return the topology that *source* holds.

    Raises:
        TopologyError: with every problem, in file order.
    """
    page, root, problems = _compose(source)
    topology, mistakes = _read_models(root, Topology)
    mistakes += problems
    spelled = outline(root)
    mistakes += rules.check_references(spelled)
    mistakes += cycles.check_cycles(spelled)
    if isinstance(root, Entries) and _is_replay(root):
        topology, _ = _read_models(_as_replay(root), Topology)
        mistakes = [mistake for mistake in mistakes if _kept_in_replay(mistake)]
    if mistakes or topology is None:
        raise TopologyError(_in_file_order(page.place(root, mistakes)))
    odd = page.place(root, warnings.check(root, topology), severity="warning")
    return Reading(source, topology, tuple(_in_file_order(odd)))


def parse_part(source: Source, part: type[PartT]) -> PartT:
    """Return the *part* that *source* holds: another file than a topology, read by the same rules.

    Raises:
        TopologyError: with every problem, in file order.
    """
    page, root, problems = _compose(source)
    found, mistakes = _read_models(root, part)
    mistakes += problems
    if mistakes or found is None:
        raise TopologyError(_in_file_order(page.place(root, mistakes)))
    return found


def _compose(source: Source) -> tuple[_Page, Node, list[Mistake]]:
    """Return the lines of *source*, its document, and what is wrong with that one's keys."""
    text = _decode(source)
    page = _Page(source.name, _LINE_BREAK.split(text))
    try:
        root, problems = compose(text)
    except PlacedMistake as problem:
        raise TopologyError([page.diagnostic(problem, problem.mark)]) from None
    return page, root, [*problems, *rules.check_keys(root)]


def _read_models(root: Node, part: type[PartT]) -> tuple[PartT | None, list[Mistake]]:
    try:
        return part.model_validate(root), []
    except ValidationError as error:
        return None, list(explaining.explain(error))


def _is_replay(root: Entries) -> bool:
    mode = root.named.get("mode")
    return isinstance(mode, Scalar) and mode.text == "replay"


def _as_replay(root: Entries) -> Entries:
    """Return a replay's document without what a replay does not use."""
    kept = tuple(pair for pair in root.entries if pair[0].text not in _UNUSED_IN_REPLAY)
    return Entries(kept, root.mark, root.size)


def _kept_in_replay(found: Mistake) -> bool:
    section = found.path[0] if found.path else ""
    return section not in _UNUSED_IN_REPLAY or found.code in _UNUSED_IN_REPLAY[str(section)]


def _in_file_order(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    # A node that an alias repeats is found wrong at each place where it is used.
    unique = {(each.line, each.column, each.code, each.message): each for each in found}
    return [unique[key] for key in sorted(unique, key=lambda key: key[:2])]


def _decode(source: Source) -> str:
    content = source.content
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if wide else "UTF-8"
        byte = content[error.start]
        lines = content[: error.start].decode(encoding, "replace").split("\n")
        place = Diagnostic(
            source.name,
            len(lines),
            len(lines[-1]) + 1,
            f"not valid {name}: byte 0x{byte:02x} ({error.reason})",
            "invalid-encoding",
        )
        raise TopologyError([place]) from None


@dataclass(frozen=True, slots=True)
class _Page:
    """The lines of a source, in which mistakes find their places."""

    file: str
    lines: list[str]

    def place(
        self, root: Node, mistakes: Iterable[Mistake], *, severity: Severity = "error"
    ) -> Iterator[Diagnostic]:
        """Yield a diagnostic for each of *mistakes*, at the place where its path leads."""
        for mistake in mistakes:
            if isinstance(mistake, PlacedMistake):
                mark = mistake.mark
            else:
                mark = locate(root, mistake.path).mark(at_key=mistake.at_key)
            yield self.diagnostic(
                mistake,
                mark,
                where=_where(root, mistake.path),
                severity=severity,
            )

    def diagnostic(
        self, mistake: Mistake, mark: Mark, *, where: str = "", severity: Severity = "error"
    ) -> Diagnostic:
        """Return *mistake* as found at *mark*."""
        line = self.lines[mark.line - 1] if mark.line <= len(self.lines) else ""
        return Diagnostic(
            file=self.file,
            line=mark.line,
            column=mark.column,
            message=str(mistake),
            code=mistake.code,
            severity=severity,
            where=where,
            excerpt=line,
            width=max(1, min(mark.width, len(line) - mark.column + 1)),
        )


def _where(root: Node, path: tuple[str | int, ...]) -> str:
    """Return *path* as people say it; a list item that has a name is told by it too."""
    words = explaining.spoken(path) if path else []
    for length in range(1, len(path) + 1):
        if isinstance(path[length - 1], int):
            node = locate(root, path[:length]).node
            name = node.named.get("name") if isinstance(node, Entries) else None
            if isinstance(name, Scalar) and name.text:
                position = len(explaining.spoken(path[:length])) - 1
                words[position] += f" ({name.text})"
    return ", ".join(words)
