"""Whose durations a worker tells its master in a report: of many operations a few each time.

They are most of a report: 200 busy operations have 50,000 cells, which take 60 KB each three
seconds and hold up worker and master. Counts of spans and errors are told in every report, and in
its last one a worker tells everything. What is told is always the total since the run began, so a
report that is lost or comes twice changes nothing here either.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.statistics import OperationCounts

CELLS: Final = 6_000
"""So many cells are told in one report, about 17 KB; 30 busy operations have as many."""


class Rota:
    """The turns of one worker's operations, in the order of their names and then from the first."""

    def __init__(self) -> None:
        self._last = ""

    def take(self, operations: Mapping[str, OperationCounts]) -> set[str]:
        """Return the names of those of *operations* that are to be told next, one at the least."""
        names = sorted(operations)
        first = bisect_right(names, self._last)
        taken: set[str] = set()
        cells = 0
        for name in (*names[first:], *names[:first]):
            cells += operations[name].durations.cells.size
            if taken and cells > CELLS:
                break
            taken.add(name)
            self._last = name
        return taken
