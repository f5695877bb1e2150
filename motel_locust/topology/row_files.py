"""The files of rows that a topology names: found, read, and what is wrong with them told.

A person writes ``{rows: {file: customers.csv, column: name, weight: share}}``. Rows are kept
together across attributes, so a file has one column of weights in the whole topology, given with
any of the attributes that draw from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from motel_locust.topology.diagnostics import (
    Diagnostic,
    Mistake,
    Step,
    TopologyError,
    quoted,
    suggestion,
)
from motel_locust.topology.document import Entries, Scalar, walk
from motel_locust.topology.sheets import Sheet, parse_sheet
from motel_locust.topology.sources import read_beside
from motel_locust.topology.tables import Column, Table, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.topology.document import Node
    from motel_locust.topology.sources import Source

_KEYS: Final = ("file", "column", "weight")


@dataclass(frozen=True, slots=True)
class _Reference:
    """A ``rows`` of the document: what is written for each of its keys, and where it stands."""

    path: tuple[Step, ...]
    written: Mapping[str, str]

    @property
    def name(self) -> str:
        return name_of(self.written["file"])

    def mistake(self, key: str, code: str, message: str) -> Mistake:
        return Mistake(code, message, path=(*self.path, key), complete=True)


class RowFiles:
    """The files that the document *root*, read from *source*, takes rows from."""

    def __init__(self, root: Node, source: Source) -> None:
        self.contents: dict[str, bytes] = {}
        """By name, for whoever reads the document again elsewhere."""
        self.tables: dict[str, Table] = {}
        """By name, those with which nothing is wrong."""
        self.mistakes: list[Mistake] = []
        """What is wrong in the document."""
        self.problems: list[Diagnostic] = []
        """What is wrong in the files."""
        by_name: dict[str, list[_Reference]] = {}
        for reference in _references(root):
            by_name.setdefault(reference.name, []).append(reference)
        for name, references in by_name.items():
            sheet = self._sheet(references[0], source)
            if sheet is not None:
                self._fill(name, sheet, references)

    def _sheet(self, reference: _Reference, source: Source) -> Sheet | None:
        try:
            content = read_beside(source, reference.name)
        except TopologyError as error:
            for problem in error.problems:
                message = f"file {quoted(reference.written['file'])} {problem.message}"
                self.mistakes.append(reference.mistake("file", problem.code, message))
            return None
        self.contents[reference.name] = content.content
        try:
            return parse_sheet(content)
        except TopologyError as error:
            self.problems += error.problems
            return None

    def _fill(self, name: str, sheet: Sheet, references: list[_Reference]) -> None:
        known = len(self.mistakes) + len(self.problems)
        weight = None
        for reference in references:
            self.mistakes += _unknown_columns(reference, sheet)
            given = reference.written.get("weight")
            if given is None or given not in sheet.header:
                continue
            if weight is not None and given != weight:
                message = f"weight {quoted(given)} is not {quoted(weight)}, which other "
                message += f"attributes from {quoted(name)} have: rows are kept together, so they "
                message += "have one weight"
                self.mistakes.append(reference.mistake("weight", "conflicting-keys", message))
            weight = weight or given
        weights = None
        if weight is not None:
            try:
                weights = sheet.weights(weight)
            except TopologyError as error:
                self.problems += error.problems
        if len(self.mistakes) + len(self.problems) > known:
            return
        chosen = {reference.written["column"] for reference in references}
        values = {each: sheet.values(each) for each in sorted(chosen)}
        if weights is not None and 0 in weights:
            values = {each: _where(found, weights) for each, found in values.items()}
            weights = _where(weights, weights)
        columns = {each: Column.of(found) for each, found in values.items()}
        self.tables[name] = Table(name, columns, weights)


_Value = TypeVar("_Value")


def _where(values: tuple[_Value, ...], weights: tuple[float, ...]) -> tuple[_Value, ...]:
    return tuple(value for value, weight in zip(values, weights, strict=True) if weight)


def _references(root: Node) -> Iterator[_Reference]:
    """Yield each ``rows`` of an attribute that names a file and a column."""
    for path, node in walk(root):
        if path[-3:-2] == ("attributes",) and path[-1] == "rows" and isinstance(node, Entries):
            written = {
                key: each.text
                for key in _KEYS
                if isinstance(each := node.named.get(key), Scalar) and not each.null and each.text
            }
            if {"file", "column"} <= written.keys():
                yield _Reference(path, written)


def _unknown_columns(reference: _Reference, sheet: Sheet) -> Iterator[Mistake]:
    for key in ("column", "weight"):
        column = reference.written.get(key)
        if column is not None and column not in sheet.header:
            near = suggestion(column, sheet.header) or f"; it has {_shown(sheet.header)}"
            message = f"file {quoted(reference.name)} has no column {quoted(column)}{near}"
            yield reference.mistake(key, "unknown-column", message)


_MOST_SHOWN: Final = 12


def _shown(header: tuple[str, ...]) -> str:
    shown = ", ".join(map(quoted, header[:_MOST_SHOWN]))
    return f"{shown} and others" if len(header) > _MOST_SHOWN else shown
