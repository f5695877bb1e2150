"""Links: who was the latest span of an operation, when another one starts.

While a batch is walked, ``latest`` holds for every trace the last started span of each operation
that somebody links to, so links inside a trace are known at once. Links to earlier traces are
settled when the whole batch is walked, as a later visit may still belong to an earlier trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

NOBODY = np.uint64(0)


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest span of one operation: its trace's key and its id, both 0 while there is none."""

    trace_key: np.uint64 = NOBODY
    span_id: np.uint64 = NOBODY


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Who was latest before each trace of a batch, for one operation.

    trace_key  uint64[traces + 1]   entry *j*: as it stood before trace *j*; the last: after all
    span_id    uint64[traces + 1]
    """

    trace_key: NDArray[np.uint64]
    span_id: NDArray[np.uint64]

    def at(self, trace: int) -> Latest:
        """Return the latest span before *trace*."""
        return Latest(self.trace_key[trace], self.span_id[trace])


class LinkTable:
    """The latest spans of the operations that are linked to, during one batch."""

    def __init__(self, refs: Iterable[str], traces: int) -> None:
        self._latest = {ref: np.zeros(traces, np.uint64) for ref in refs}

    def local(
        self, refs: tuple[str, ...], rows: NDArray[np.int64] | slice
    ) -> tuple[NDArray[np.uint64], ...]:
        """Return, per operation of *refs*, its latest span in each row's own trace."""
        return tuple(self._latest[ref][rows].copy() for ref in refs)

    def start(self, ref: str, rows: NDArray[np.int64] | slice, span: NDArray[np.uint64]) -> None:
        """Record that *span*, one of operation *ref* per row, has started."""
        self._latest[ref][rows] = span

    def settle(
        self, trace_key: NDArray[np.uint64], before: Mapping[str, Latest]
    ) -> dict[str, History]:
        """Return who was latest when: *before* tells how it stood before the batch."""
        return {
            ref: _history(latest, trace_key, before.get(ref, Latest()))
            for ref, latest in self._latest.items()
        }


def _history(latest: NDArray[np.uint64], trace_key: NDArray[np.uint64], before: Latest) -> History:
    passed = np.where(latest != NOBODY, np.arange(1, latest.size + 1), 0)
    np.maximum.accumulate(passed, out=passed)
    entry = np.concatenate(([0], passed))
    return History(
        trace_key=np.concatenate((np.array([before.trace_key], np.uint64), trace_key))[entry],
        span_id=np.concatenate((np.array([before.span_id], np.uint64), latest))[entry],
    )
