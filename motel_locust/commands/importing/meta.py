"""The parent table of Meta's traces (ATC 2023): one row per parent, its children as a set."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import math
import re
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from motel_locust.commands.importing import cycles, figures
from motel_locust.commands.importing.draft import (
    Draft,
    DraftCall,
    DraftOperation,
    DraftService,
    Finding,
    Statement,
)
from motel_locust.commands.importing.faults import ImportFault

if TYPE_CHECKING:
    from motel_locust.commands.importing.faults import Place

COLUMNS: Final = (
    "parent_name",
    "children_set",
    "num_calls",
    "num_returning_calls",
    "concurrency_rate",
    "profile",
)
OPERATION: Final = "invoke"
BASE_NS: Final = 5_000_000
PER_CHILD_NS: Final = 1_000_000
LEAF_NS: Final = 1_000_000
"""Placeholders: the table has no durations."""
CELL_BYTES: Final = 64 << 20

_HASH_DIGITS: Final = 16
_NOT_IN_A_SLUG: Final = re.compile("[^a-z0-9]+")


@dataclass(slots=True)
class _Parent:
    """What the rows of one ingress id say."""

    ingress: str
    invocations: int = 0
    """As a parent."""
    called: int = 0
    """As a child."""
    errors: int = 0
    parallel: int = 0
    sequential: int = 0
    total_ns: int = 0
    squares_ns2: int = 0
    calls: dict[str, int] = field(default_factory=dict)


class Summary:
    """Takes rows and becomes a draft.

    Args:
        profile: keep only rows of this profile.
        include_empty: keep rows without children.
    """

    def __init__(self, *, profile: str | None, include_empty: bool) -> None:
        self._profile = profile
        self._include_empty = include_empty
        self._parents: dict[str, _Parent] = {}
        self._rows = 0
        self._kept = 0
        self._spans = 0
        self._traces = 0

    def take(self, stream: IO[bytes], place: Place) -> None:
        """Take the rows of *stream*.

        Raises:
            ImportFault: for a missing column, or a row that cannot be read.
        """
        csv.field_size_limit(CELL_BYTES)
        rows = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", newline=""))
        try:
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise place.fault(f"no column {', '.join(missing)}; is this Meta's parent table?")
            for row in rows:
                place.number = rows.line_num
                self._rows += 1
                self._take_row(row)
        except (ValueError, SyntaxError, csv.Error) as error:
            raise place.fault(str(error)) from None

    def _take_row(self, row: dict[str, str]) -> None:
        children = _children(row["children_set"])
        calls = _count(row, "num_calls")
        returning = _count(row, "num_returning_calls")
        concurrency = _number(row, "concurrency_rate")
        if self._profile is not None and row["profile"] != self._profile:
            return
        if not children and not self._include_empty:
            return
        weight = max(calls, 1)
        parent = self._parent(row["parent_name"])
        parent.invocations += weight
        parent.errors += max(calls - returning, 0)
        own_ns = BASE_NS + PER_CHILD_NS * len(children)
        parent.total_ns += own_ns * weight
        parent.squares_ns2 += own_ns**2 * weight
        if len(children) > 1:
            parent.parallel += weight * (concurrency > 0)
            parent.sequential += weight * (concurrency <= 0)
        for child in children:
            self._parent(child).called += weight
            name = _service(child)
            parent.calls[name] = parent.calls.get(name, 0) + weight
        self._kept += 1
        self._traces += weight
        self._spans += weight * (1 + len(children))

    def _parent(self, ingress: str) -> _Parent:
        name = _service(ingress)
        if name not in self._parents:
            self._parents[name] = _Parent(ingress)
        return self._parents[name]

    def draft(self) -> Draft:
        """Return the topology of all rows; of calls that lead back, the rarest are left out.

        Raises:
            ImportFault: if no row was kept.
        """
        if not self._kept:
            raise ImportFault(
                f"none of {figures.counted(self._rows, 'rows')} is left"
                + (f" of profile {self._profile}" if self._profile is not None else "")
                + ("" if self._include_empty else "; --include-empty keeps rows without children")
            )
        draft = Draft(
            traces=self._traces,
            spans=self._spans,
            window_s=0.0,
            rate=Statement("1/s", self._traces, "traces", "a guess: the table has no times"),
            findings=[
                Finding("", "durations are placeholders: the table has none"),
                *self._without_cycles(),
            ],
        )
        for name, parent in self._parents.items():
            draft.services[name] = DraftService(
                resource_attributes={"meta.ingress_id": parent.ingress},
                operations={OPERATION: _operation(parent)},
            )
        return draft

    def _without_cycles(self) -> list[Finding]:
        edges = {
            (caller, target): count
            for caller, parent in self._parents.items()
            for target, count in parent.calls.items()
        }
        findings = []
        while cycle := cycles.find(edges):
            told = cycles.told(cycle, edges)
            caller, target = cycles.lightest(cycle, edges)
            calls = edges.pop((caller, target))
            del self._parents[caller].calls[target]
            findings.append(
                Finding(
                    f"{caller} -> {target}",
                    f"left out, {figures.counted(calls, 'calls')}: it closed {told}",
                )
            )
        return findings


def _operation(parent: _Parent) -> DraftOperation:
    # A service that has rows of its own is described by these alone.
    if not parent.invocations:
        duration = Statement(figures.duration(LEAF_NS), parent.called, "calls", "a placeholder")
        return DraftOperation(duration)
    total = parent.invocations
    mean = parent.total_ns / total
    deviation = math.sqrt(max(parent.squares_ns2 / total - mean**2, 0))
    value = figures.duration(mean)
    if deviation >= mean / 100:
        value += f" +/- {figures.duration(deviation)}"
    errors = min(parent.errors, total)
    votes = parent.parallel + parent.sequential
    sequential = parent.sequential > parent.parallel
    return DraftOperation(
        duration=Statement(value, total, "calls", "a placeholder"),
        error_rate=Statement(
            figures.percentage(errors / total), total, "calls", figures.between(errors, total)
        )
        if errors
        else None,
        style=Statement("sequential", votes, "calls", f"{parent.sequential:,} of them so")
        if sequential
        else None,
        calls=[_call(target, parent.calls[target], total) for target in sorted(parent.calls)],
    )


def _call(target: str, hits: int, tries: int) -> DraftCall:
    probability = figures.decimal(hits / tries)
    return DraftCall(
        target=f"{target}.{OPERATION}",
        share=Statement(probability, tries, "calls", figures.between(hits, tries)),
        probability=probability if hits < tries and probability != "1" else "",
    )


def _service(ingress: str) -> str:
    slug = _NOT_IN_A_SLUG.sub("-", ingress.lower()).strip("-") or "ingress"
    digest = hashlib.sha256(ingress.encode("utf-8", "surrogatepass")).hexdigest()
    return f"meta-{slug}-{digest[:_HASH_DIGITS]}"


def _children(cell: str) -> list[str]:
    text = cell.strip()
    if text in ("", "set()"):
        return []
    value = ast.literal_eval(text)
    if not isinstance(value, (set, dict)) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"children_set {text[:60]!r} is not a set of texts")
    return sorted(value)


def _count(row: dict[str, str], column: str) -> int:
    number = _number(row, column)
    if number < 0 or number != int(number):
        raise ValueError(f"{column} {row[column]!r} is not a whole number of at least 0")
    return int(number)


def _number(row: dict[str, str], column: str) -> float:
    try:
        number = float(row[column] or 0)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} {row[column]!r} is not a number")
    return number
