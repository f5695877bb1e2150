"""The same load from few users and from many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.endpoints import DISCARD
from benchmarks.rounds import in_turns
from benchmarks.runs import options, run
from benchmarks.table import Table, count, millis, percent

if TYPE_CHECKING:
    from benchmarks.runs import Finished

USERS = (1, 10, 1_000, 10_000)
PER_S = 50_000.0
"""So much that the load is most of the cost, and a small part of a core all the same."""
SETTLE_S = 2.5
"""Ten thousand users at once are started in a second or so."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a number of users costs at a fixed total rate; medians of rounds that take turns."""

    users: int
    asked_per_s: float
    reached_per_s: float
    lag_max_s: float
    """Of the whole run, so that of the instant at which Locust starts all users too."""
    cpu: float
    ratio: float
    """To the cost of one user, median of the rounds' ratios."""


def measure_all(*, seconds: float) -> list[Crowd]:
    """Return the figures of each number of users."""
    played = in_turns(USERS, lambda users: _measure(users, seconds))
    return [
        Crowd(
            users,
            PER_S,
            reached_per_s=rounds.median(lambda each: each.window.traces_per_s),
            lag_max_s=max(each.lag_max_s for each in rounds.own),
            cpu=rounds.median(lambda each: each.window.cpu),
            ratio=rounds.ratio(lambda each: each.window.cpu),
        )
        for users, rounds in zip(USERS, played, strict=True)
    ]


def _measure(users: int, seconds: float) -> Finished:
    return run(DISCARD, options(PER_S), seconds=seconds, users=users, settle_s=SETTLE_S)


def table(rows: list[Crowd]) -> Table:
    """Return *rows* as a table."""
    return Table(
        ("users", "traces/s asked", "reached", "greatest lag", "CPU", "times one user's"),
        [
            (
                *(count(row.users), count(row.asked_per_s), count(row.reached_per_s)),
                *(millis(row.lag_max_s), percent(row.cpu, 1), f"{row.ratio:.2f}"),
            )
            for row in rows
        ],
    )
