"""What was released of each operation: how many spans, how many failed, how long they took.

Durations are counted in *cells*, 32 of them per octave, which come from the bits of a float32: its
exponent and the five highest bits of its mantissa. A cell is 3.1 % wide at most, so its geometric
middle is at most 1.6 % off. Histograms of any parts add up to that of the whole.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch

OCTAVE: Final = 32
"""Cells per octave."""
# A float32 has 23 bits of mantissa, below an exponent whose zero stands for 2**-127.
_SHIFT: Final = 23 - 5
_ONE: Final = 127 * OCTAVE
# Cell 0 is for 0 ns; cell 1 begins at 1 ns, and 2**63 ns is the first that no int64 reaches.
_CELLS: Final = 2 + 63 * OCTAVE

# Rows of one operation that are counted together: with few, the cost is that of calls into NumPy.
_ROWS_TOGETHER: Final = 16_384
# Where a stretch is a row or two, they would take more memory than what they hold.
_STRETCHES_TOGETHER: Final = 128


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """How many spans took how long; two of them add up.

    cells  int64[n]  the cells that are not empty, ascending
    spans  int64[n]  how many spans each holds
    """

    cells: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    spans: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def quantile_ns(self, share: float) -> float | None:
        """Return the duration that *share* of the spans, 0 to 1, do not exceed; at most 1.6 % off.

        Of n spans that is the one of rank ``ceil(share * n)``, at least the first. None if there
        is none.
        """
        if not self.cells.size:
            return None
        reached = self.spans.cumsum()
        rank = max(1, math.ceil(share * int(reached[-1])))
        return _middle_ns(int(self.cells[reached.searchsorted(rank)]))

    def __add__(self, other: Durations) -> Durations:
        return _sum((self, other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Durations):
            return NotImplemented
        return np.array_equal(self.cells, other.cells) and np.array_equal(self.spans, other.spans)

    # They hold arrays.
    __hash__ = None  # type: ignore[assignment]

    def message(self) -> list[int]:
        """Return the spans of one cell after the other, ``-n`` in place of n empty ones."""
        # A third of the bytes of a mapping, as most cells have neighbours.
        empty = np.diff(self.cells, prepend=-1) - 1
        gaps = empty.nonzero()[0]
        told: list[int] = np.insert(self.spans, gaps, -empty[gaps]).tolist()
        return told

    @classmethod
    def from_message(cls, message: Sequence[int]) -> Durations:
        """Return the durations in a *message*."""
        told = np.array(message, np.int64)
        following = np.maximum(1, -told).cumsum()
        return cls(following[told > 0] - 1, told[told > 0])


@dataclass(frozen=True, slots=True)
class OperationCounts:
    """What was released of one operation; two of them add up."""

    spans: int = 0
    errors: int = 0
    """Spans with status ERROR."""
    durations: Durations = field(default_factory=Durations)

    def __add__(self, other: OperationCounts) -> OperationCounts:
        return _total((self, other))

    def completed(self, earlier: OperationCounts) -> OperationCounts:
        """Return the counts with the durations of *earlier* ones, where none came with these."""
        return self if self.durations.cells.size else replace(self, durations=earlier.durations)

    def message(self, *, with_durations: bool = True) -> list[Any]:
        """Return the counts as plain values."""
        return [self.spans, self.errors, *([self.durations.message()] if with_durations else [])]

    @classmethod
    def from_message(cls, message: Sequence[Any]) -> OperationCounts:
        """Return the counts in a *message*."""
        spans, errors, *durations = message
        return cls(spans, errors, *map(Durations.from_message, durations))


def total_by_operation(
    parts: Iterable[Mapping[str, OperationCounts]],
) -> dict[str, OperationCounts]:
    """Return the sums of all *parts* by operation, in the order of their names."""
    by_operation = defaultdict(list)
    for part in parts:
        for ref, counts in part.items():
            by_operation[ref].append(counts)
    return {
        ref: found[0] if len(found) == 1 else _total(found)
        for ref, found in sorted(by_operation.items())
    }


def _total(found: Sequence[OperationCounts]) -> OperationCounts:
    return OperationCounts(
        sum(each.spans for each in found),
        sum(each.errors for each in found),
        _sum([each.durations for each in found]),
    )


class Outgoing:
    """A batch on its way out: its parts leave in order, and perhaps not all of them.

    It keeps what statistics need, a twentieth of the batch.
    """

    def __init__(self, batch: Batch) -> None:
        self._columns = [
            (
                each.shape.ref,
                (each.end_ns - each.start_ns).astype(np.float32),
                each.failed,
            )
            for each in batch.columns
        ]
        self._edges_ns: list[int] = batch.edges_ns.tolist()
        self._rows = batch.rows
        self._released_ns, self._counted = -1, 0  # before any Unix time, so nothing

    def release(self, edge_ns: int) -> bool:
        """Let the part leave that begins at *edge_ns*; return whether it was the last one."""
        self._released_ns = edge_ns
        return edge_ns == self._edges_ns[-1]

    @property
    def released(self) -> int:
        """How many parts have left."""
        return bisect_right(self._edges_ns, self._released_ns)

    def count(self, statistics: Statistics) -> None:
        """Count what has left since the last time."""
        released = self.released
        if released - self._counted == len(self._edges_ns):  # most batches leave at once
            for column in self._columns:
                statistics.add(*column)
        elif released > self._counted:
            starts, stops = self._rows[:, [self._counted, released]].T.tolist()
            for column, start, stop in zip(self._columns, starts, stops, strict=True):
                ref, durations, failed = column
                statistics.add(ref, durations[start:stop], failed[start:stop])
        self._counted = released


class Statistics:
    """The counts of all operations of one engine, as far as their spans were released."""

    def __init__(self) -> None:
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

    def add(self, ref: str, durations: NDArray[np.float32], failed: NDArray[np.bool_]) -> None:
        """Count spans of the operation *ref*.

        durations  float32[rows]  in ns; kept for a while, not written to
        failed     bool[rows]
        """
        if durations.size:
            self._tallies[ref].add(durations, failed)

    def operations(self) -> dict[str, OperationCounts]:
        """Return the counts by operation."""
        return {ref: tally.counts() for ref, tally in self._tallies.items()}


class _Tally:
    """The counts of one operation, while they grow."""

    def __init__(self) -> None:
        self._spans = self._errors = 0
        self._cells = np.zeros(_CELLS, np.int64)
        self._waiting: list[NDArray[np.float32]] = []
        self._rows = 0

    def add(self, durations: NDArray[np.float32], failed: NDArray[np.bool_]) -> None:
        self._errors += int(np.count_nonzero(failed))
        self._waiting.append(durations)
        self._rows += durations.size
        if self._rows >= _ROWS_TOGETHER or len(self._waiting) >= _STRETCHES_TOGETHER:
            self._settle()

    def counts(self) -> OperationCounts:
        self._settle()
        return OperationCounts(self._spans, self._errors, _durations(self._cells))

    def _settle(self) -> None:
        """Put what is waiting into its cells."""
        if not self._rows:
            return
        durations = np.concatenate(self._waiting)
        found = np.bincount(durations.view(np.int32) >> _SHIFT, minlength=_ONE - 1 + _CELLS)
        self._cells[0] += found[0]
        self._cells[1:] += found[_ONE:]
        self._spans += self._rows
        self._waiting, self._rows = [], 0


def _sum(parts: Sequence[Durations]) -> Durations:
    """Return the durations of all *parts* together."""
    spans = np.zeros(_CELLS, np.int64)
    for part in parts:
        spans[part.cells] += part.spans
    return _durations(spans)


def _durations(spans: NDArray[np.int64]) -> Durations:
    """Return as durations what *spans* holds: int64[_CELLS], by cell."""
    cells = spans.nonzero()[0]
    return Durations(cells, spans[cells])


def _middle_ns(cell: int) -> float:
    """Return the geometric middle of *cell*."""
    if not cell:
        return 0.0
    octave, step = divmod(cell - 1, OCTAVE)
    low, high = (2.0**octave * (1 + each / OCTAVE) for each in (step, step + 1))
    return math.sqrt(low * high)
