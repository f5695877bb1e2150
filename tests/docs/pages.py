"""Pages of the documentation as scripts: what a reader would write and type, in order.

A block ```` ```yaml file=shop.yaml ```` is a file that the reader writes. The blocks of
```` ```sh run ```` are typed into one shell, one after the other. A block ```` ```text prints ````
shows what the block before it prints: its lines come in that order among the others, with … for
what differs each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = re.compile(r"^( *)```(.*?)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(
    r"(?<=localhost:|127\.0\.0\.1:)\d{4,5}|(?<=localhost )\d{4,5}"
    r"|(?<=-port )\d{4,5}|(?<= port: )\d{4,5}"
)


@dataclass(slots=True)
class Step:
    """Commands, and lines of what they print."""

    commands: str
    prints: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """What a reader of a page types and writes, in order."""

    steps: list[Step] = field(default_factory=list)
    files: list[tuple[int, str, str]] = field(default_factory=list)
    """Before which step, name, content."""

    def script(self, mark: str, written: Path) -> str:
        """Return one script of all steps, which prints *mark* before each.

        The files lie in the folder *written* by their number until it is their turn.
        """
        lines = ["trap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT"]
        for place, step in enumerate(self.steps):
            lines += [
                f"cp {written / str(number)} {name}"
                for number, (before, name, _) in enumerate(self.files)
                if before == place
            ]
            lines += [f"echo '{mark}'", step.commands]
        return "\n".join(lines)


def read_page(path: Path, free_port: Callable[[], int]) -> Page:
    """Return the page at *path*, with its ports replaced by free ones."""
    ports: dict[str, str] = {}

    def free(match: re.Match[str]) -> str:
        return ports.setdefault(match[0], str(free_port()))

    page = Page()
    for indent, kind, content in _BLOCK.findall(_PORT.sub(free, path.read_text())):
        text = re.sub(f"^{indent}", "", content, flags=re.MULTILINE)
        _, _, role = kind.partition(" ")
        if role.startswith("file="):
            page.files.append((len(page.steps), role.removeprefix("file="), text))
        elif role == "run":
            page.steps.append(Step(text))
        elif role == "prints":
            page.steps[-1].prints += text.splitlines()
        else:
            assert not role, f"a block of {path.name} is called {role}"
    return page


def missing(wanted: list[str], printed: str) -> str | None:
    """Return the first of the lines *wanted* that does not come in *printed*, after the others."""
    lines = iter(line.rstrip() for line in printed.splitlines())
    for want in wanted:
        pattern = ".*".join(map(re.escape, want.rstrip().split("…")))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return want
    return None
