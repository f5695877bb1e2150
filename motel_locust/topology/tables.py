"""Tables: rows out of a file, of which attributes take their values."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """The values of a column, each once, and for each row the index of the one that it has."""

    options: tuple[str | int, ...]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[str | int]) -> Column:
        """Return the column that has *values*, one for each row."""
        index: dict[str | int, int] = {}
        rows = tuple(index.setdefault(value, len(index)) for value in values)
        return cls(tuple(index), rows)

    @property
    def values(self) -> list[str | int]:
        """The values, one for each row."""
        return [self.options[index] for index in self.rows]


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file that a topology names.

    Rows that have the weight 0 are left out.
    """

    name: str
    columns: Mapping[str, Column]
    weights: tuple[float, ...] | None
    """None where all rows are equally likely."""


def name_of(file: str) -> str:
    """Return the name of the table at the path *file*, however that is written."""
    return file if "//" in file else posixpath.normpath(file)  # of a URL nothing is taken away
