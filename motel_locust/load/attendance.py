"""Who takes part in a run: a place for each process, and what became of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from motel_locust.load.figures import LEFT, LOST, RUNNING, Report

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from motel_locust.load.figures import Figures


class Attendance:
    """The workers of one run, by their id; *first* are those that are there when it begins.

    A *place* is the number of a process among all that ever took part, from 0. It makes trace ids
    unique, so it is given anew for every run: numbers that grew with every worker that ever
    connected would some day reach their limit. One process that enters twice gets two.

    Attributes:
        reports: What is known of each worker; lost ones stay.
    """

    def __init__(self, run: str, first: Iterable[str]) -> None:
        self.run = run
        self.reports: dict[str, Report] = {}
        self._reserved = {worker: place for place, worker in enumerate(first)}
        self._free = count(len(self._reserved))
        self._places: dict[str, int] = {}
        self._over: set[str] = set()

    def enter(self, worker: str, entry: str) -> int:
        """Return the place of *worker*; the same as long as it asks with the same *entry*."""
        if entry not in self._places:
            place = self._reserved.pop(worker, None)
            self._places[entry] = next(self._free) if place is None else place
            self.reports.setdefault(worker, Report())
        return self._places[entry]

    def report(self, worker: str, figures: Figures, *, skew_s: float, over: bool) -> None:
        """Take what *worker* tells; *over* says that it has ended its part of the run."""
        known = self.reports.get(worker, Report())
        self.reports[worker] = replace(
            known, figures=figures.completed(known.figures), skew_s=skew_s
        )
        if over:
            self._over.add(worker)

    def look(self, present: Collection[str], *, ended: bool = False) -> Iterator[tuple[str, str]]:
        """Yield each worker whose state has changed, with the new one.

        *present* are those that are connected and not silent. Who went away after its last report
        has left, who went away before is lost, until it is heard again. Once the run has *ended*
        nobody leaves it: the summary is written before the workers quit, the report after.
        """
        for worker, report in self.reports.items():
            state = RUNNING
            if worker not in present:
                state = LEFT if worker in self._over else LOST
            if state != report.state and not (ended and state == LEFT):
                self.reports[worker] = replace(report, state=state)
                yield worker, state
