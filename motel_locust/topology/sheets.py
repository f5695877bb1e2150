"""A file of comma-separated values as rows and columns, with the places of what is wrong in it."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from motel_locust.topology.diagnostics import Mistake, TopologyError, quoted
from motel_locust.topology.document import Mark, PlacedMistake
from motel_locust.topology.pages import Page, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.topology.sources import Source

MOST_ROWS: Final = 100_000
MOST_TOLD: Final = 10
"""So many problems of one file are told: the others are mostly the same."""

# Those that the csv module counts as line breaks; a page of YAML has some more.
_LINE_BREAK: Final = re.compile("\r\n|[\n\r]")
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it is written in the file *name*: a header, and rows of as many cells.

    ``lines`` has the line on which each row begins.
    """

    name: str
    text: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def cells(self, column: str) -> list[str]:
        """Return the texts below *column*, which the header has."""
        place = self.header.index(column)
        return [row[place] for row in self.rows]

    def values(self, column: str) -> tuple[str | int, ...]:
        """Return the values of *column*: whole numbers if all are written as such, else texts."""
        cells = self.cells(column)
        if all(map(_NUMBER.fullmatch, cells)):
            numbers = tuple(map(int, cells))
            if min(numbers) in _INT64 and max(numbers) in _INT64:
                return numbers
        return tuple(cells)

    def weights(self, column: str) -> tuple[float, ...]:
        """Return the weights in *column*.

        Raises:
            TopologyError: where they are no numbers, negative, or all 0.
        """
        found: list[float] = []
        wrong: list[tuple[int, Mistake]] = []
        for row, cell in enumerate(self.cells(column)):
            try:
                found.append(_weight(cell))
            except Mistake as mistake:
                wrong.append((row, mistake))
        if not wrong and not any(found):
            message = f"all weights in {quoted(column)} are 0"
            raise _told(self.name, self.text, [PlacedMistake("out-of-range", message, Mark(1, 1))])
        if wrong:
            place, lines = self.header.index(column), _LINE_BREAK.split(self.text)
            problems = [
                PlacedMistake(each.code, str(each), self._mark(row, place, lines))
                for row, each in wrong[:MOST_TOLD]
            ]
            raise _told(self.name, self.text, problems)
        return tuple(found)

    def _mark(self, row: int, place: int, lines: list[str]) -> Mark:
        """Return where a cell is; where its row begins if that is not plain to see."""
        line, cells = self.lines[row], self.rows[row]
        if lines[line - 1] != ",".join(cells):
            return Mark(line, 1)
        before = sum(len(cell) + 1 for cell in cells[:place])
        return Mark(line, before + 1, max(1, len(cells[place])))


def _weight(cell: str) -> float:
    try:
        weight = float(cell)
    except ValueError:
        message = f"weight {quoted(cell)} is not a number"
        raise Mistake("invalid-number", message) from None
    if not math.isfinite(weight):
        raise Mistake("invalid-number", f"weight {quoted(cell)} is not a finite number")
    if weight < 0:
        raise Mistake("out-of-range", f"weight {quoted(cell)} is negative; write 0 or more")
    return weight


def parse_sheet(source: Source) -> Sheet:
    """Return the table in *source*, as RFC 4180 has it: commas, quotes, a header line.

    Raises:
        TopologyError: with what is wrong with it.
    """
    text = decode(source)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    problems: list[PlacedMistake] = []
    try:
        for line, cells in _records(text):
            if not header:
                header = cells
                problems += list(_wrong_header(header, line))
            elif len(cells) != len(header):
                message = f"has {len(header)} columns in its header, but {len(cells)} here"
                problems.append(_invalid(message, line))
            elif len(rows) == MOST_ROWS:
                problems.append(_invalid(f"is below the last of {MOST_ROWS:,} rows", line))
            else:
                rows.append(cells)
                lines.append(line)
            if len(problems) >= MOST_TOLD:
                break
        if not rows and not problems:
            message = "has no rows; a header and at least one row below it are needed"
            problems.append(_invalid(message, 1))
    except PlacedMistake as problem:
        problems.append(problem)
    if problems:
        raise _told(source.name, text, problems)
    return Sheet(source.name, text, tuple(header), rows, lines)


def _told(name: str, text: str, problems: Iterable[PlacedMistake]) -> TopologyError:
    page = Page(name, text, _LINE_BREAK.split(text))
    return TopologyError([page.diagnostic(each, each.mark) for each in problems])


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not an empty line, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _invalid(f"is not CSV: {error}", reader.line_num) from None


def _wrong_header(header: Iterable[str], line: int) -> Iterator[PlacedMistake]:
    seen: set[str] = set()
    for name in header:
        if name in seen:
            yield _invalid(f"has two columns called {quoted(name)}", line)
        seen.add(name)


def _invalid(message: str, line: int) -> PlacedMistake:
    return PlacedMistake("invalid-rows", message, Mark(max(line, 1), 1))
