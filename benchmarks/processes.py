"""Several processes beside one, as fast as they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.endpoints import DISCARD
from benchmarks.rounds import in_turns
from benchmarks.runs import FULL, run
from benchmarks.table import Table, count, percent

if TYPE_CHECKING:
    from benchmarks.samples import Window

PROCESSES = (1, 2)


@dataclass(frozen=True, slots=True)
class Forked:
    """The speed of one or more processes into ``discard://``; medians of rounds that take turns.

    With more than one, a master runs besides; its CPU is not in ``cpu``.
    """

    processes: int
    accepted_per_s: float
    cpu: float
    accepted_per_cpu_s: float
    """Spans for each second of CPU: what a process costs, however many share the machine."""
    ratio: float
    """To one process, median of the rounds' ratios."""


def measure_all(*, seconds: float) -> list[Forked]:
    """Return the figures of each number of processes."""
    played = in_turns(PROCESSES, lambda number: _measure(number, seconds))
    return [
        Forked(
            number,
            rounds.median(lambda window: window.accepted_per_s),
            rounds.median(lambda window: window.cpu),
            rounds.median(lambda window: window.accepted_per_s / window.cpu),
            rounds.ratio(lambda window: window.accepted_per_s),
        )
        for number, rounds in zip(PROCESSES, played, strict=True)
    ]


def _measure(number: int, seconds: float) -> Window:
    asked = FULL if number == 1 else (*FULL, "--processes", str(number))
    return run(DISCARD, asked, seconds=seconds).window


def table(rows: list[Forked]) -> Table:
    """Return *rows* as a table."""
    return Table(
        ("processes", "spans/s", "times one process", "CPU", "spans for a second of CPU"),
        [
            (
                *(count(row.processes), count(row.accepted_per_s), f"{row.ratio:.2f}"),
                *(percent(row.cpu), count(row.accepted_per_cpu_s)),
            )
            for row in rows
        ],
    )
