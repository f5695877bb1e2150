"""The text of a source, in which mistakes find their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from motel_locust.topology import explaining
from motel_locust.topology.diagnostics import Diagnostic, Mistake, Severity, TopologyError
from motel_locust.topology.document import Entries, Mark, PlacedMistake, Scalar, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.topology.document import Node
    from motel_locust.topology.sources import Source

# YAML 1.1 line breaks, which PyYAML counts.
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def in_file_order(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return what was found in one source by its place, each once."""
    # A node that an alias repeats is found wrong at each place where it is used.
    unique = {(each.line, each.column, each.code, each.message): each for each in found}
    return [unique[key] for key in sorted(unique, key=lambda key: key[:2])]


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a source."""

    file: str
    text: str
    lines: list[str]

    @classmethod
    def of(cls, source: Source) -> Page:
        """Return the text of *source*.

        Raises:
            TopologyError: if it is neither UTF-8 nor marked UTF-16.
        """
        text = decode(source)
        return cls(source.name, text, _LINE_BREAK.split(text))

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


def decode(source: Source) -> str:
    """Return the text of *source*.

    Raises:
        TopologyError: if it is neither UTF-8 nor marked UTF-16.
    """
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
