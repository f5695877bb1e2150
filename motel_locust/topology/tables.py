"""Tables: rows out of a file, of which attributes take their values."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file that a topology names, of one value for each row.

    Rows that have the weight 0 are left out.
    """

    name: str
    columns: Mapping[str, tuple[str | int, ...]]
    weights: tuple[float, ...] | None
    """None where all rows are equally likely."""


def name_of(file: str) -> str:
    """Return the name of the table at the path *file*, however that is written."""
    return file if "//" in file else posixpath.normpath(file)  # of a URL nothing is taken away
