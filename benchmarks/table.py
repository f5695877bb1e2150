"""Tables: aligned for a terminal, and in Markdown for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Table:
    """Cells that are text already, under their headings.

    Columns whose cells are all numbers, with or without a unit, are aligned to the right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headings):
                raise ValueError(f"{len(row)} cells under {len(self.headings)} headings: {row}")

    def text(self) -> str:
        """Return the table for a terminal: columns two blanks apart, no line ends in a blank."""
        widths = [max(map(len, column)) for column in self._columns()]
        lines = [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, self._right(), strict=True)
            ).rstrip()
            for row in (self.headings, *self.rows)
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        rule = ("---:" if right else "---" for right in self._right())
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.headings, rule, *self.rows))

    def _columns(self) -> list[tuple[str, ...]]:
        return list(zip(self.headings, *self.rows, strict=True))

    def _right(self) -> list[bool]:
        return [
            any(column[1:]) and all(cell[:1] in "-−0123456789" for cell in column[1:])
            for column in self._columns()
        ]


def count(number: float) -> str:
    """Return *number* without decimals, in groups of three digits."""
    return f"{number:,.0f}"


def percent(share: float, decimals: int = 0) -> str:
    """Return *share*, 0 to 1, in percent."""
    return f"{100 * share:.{decimals}f} %"


def millis(seconds: float) -> str:
    """Return *seconds* in milliseconds."""
    return f"{1000 * seconds:,.1f} ms"


def mib(size: float) -> str:
    """Return *size* bytes in MiB."""
    return f"{size / 2**20:,.0f} MiB"
