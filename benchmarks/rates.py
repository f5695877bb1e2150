"""Rates asked and reached, and what they cost beside a Locust process that does nothing.

An idle process runs all the while, so that its cost is that of the same seconds: what a wake-up
costs changes from minute to minute by more than the figures that matter here.
"""

from __future__ import annotations

import statistics
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import others
from benchmarks.endpoints import COLLECTOR, DISCARD, STDOUT, networked, running
from benchmarks.runs import idle_run, options, run
from benchmarks.table import Table, count, millis, percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.endpoints import Endpoint
    from benchmarks.runs import Finished
    from benchmarks.samples import Window

RATES = (100, 1_000, 5_000, 10_000, 50_000, 100_000)

ROUNDS = {100: 3, 1_000: 3}
"""How often a rate is run, else once: the smaller the cost, the more it scatters."""

KEPT_UP = 0.95
"""Below this share of the rate, or of the spans, an endpoint does not keep up."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One rate: what was asked for, what came, and what it cost; medians where there are rounds.

    CPU is in cores, of each process alone. ``added_cpu`` is that of the run less that of the idle
    process in the same seconds.
    """

    endpoint: str
    asked_per_s: float
    """Traces per second, as the next."""
    reached_per_s: float
    spans: int
    """All spans of the last round, drain included."""
    accepted: int
    lag_max_s: float
    cpu: float
    idle_cpu: float
    added_cpu: float
    endpoint_cpu: float

    @property
    def kept_up(self) -> bool:
        """Whether the generator let out what was asked for, and the endpoint took it."""
        return (
            self.reached_per_s >= KEPT_UP * self.asked_per_s
            and self.accepted >= KEPT_UP * self.spans
        )


def measure_all(*, seconds: float) -> list[Reached]:
    """Return the figures of every endpoint and rate, up to the first that it does not keep up with.

    What an endpoint does not keep up with is in the list too.
    """
    rows = []
    places = [nullcontext(DISCARD), nullcontext(STDOUT), *map(running, networked())]
    with idle_run() as idle:
        for place in places:
            with place as endpoint:
                for per_s in RATES:
                    rows.append(measure(endpoint, per_s, idle, seconds=seconds))
                    if not rows[-1].kept_up:
                        break
    return rows


def measure(
    endpoint: Endpoint, per_s: float, idle: Callable[[Window], Window], *, seconds: float
) -> Reached:
    """Return the figures of one rate; *idle* gives what the idle process did in a window."""
    rounds: list[tuple[Finished, float]] = []
    for _ in range(ROUNDS.get(int(per_s), 1)):
        finished = run(endpoint, options(per_s), seconds=seconds)
        rounds.append((finished, idle(finished.window).cpu))
    last = rounds[-1][0].ledger
    return Reached(
        endpoint=endpoint.name,
        asked_per_s=per_s,
        reached_per_s=statistics.median(each.window.traces_per_s for each, _ in rounds),
        spans=last["generated"],
        accepted=last["accepted"],
        lag_max_s=max(each.lag_max_s for each, _ in rounds),
        cpu=statistics.median(each.window.cpu for each, _ in rounds),
        idle_cpu=statistics.median(idle_cpu for _, idle_cpu in rounds),
        added_cpu=statistics.median(each.window.cpu - idle_cpu for each, idle_cpu in rounds),
        endpoint_cpu=statistics.median(each.window.endpoint_cpu for each, _ in rounds),
    )


def _motel_cpu(row: Reached) -> float | None:
    """Return what motel published for the same rate and endpoint."""
    profile = {
        STDOUT.name: others.MOTEL_STDOUT_CPU,
        COLLECTOR: others.MOTEL_OTLP_CPU,
    }
    return profile.get(row.endpoint, {}).get(row.asked_per_s)


def table(rows: list[Reached]) -> Table:
    """Return *rows* as a table."""
    return Table(
        (
            *("endpoint", "traces/s asked", "reached", "spans", "accepted", "greatest lag"),
            *("CPU", "idle Locust", "added", "CPU of the endpoint", "motel's CPU, published"),
        ),
        [
            (
                *(row.endpoint, count(row.asked_per_s), count(row.reached_per_s)),
                *(count(row.spans), count(row.accepted), millis(row.lag_max_s)),
                *(percent(row.cpu, 1), percent(row.idle_cpu, 1), percent(row.added_cpu, 1)),
                percent(row.endpoint_cpu, 1) if row.endpoint_cpu else "",
                percent(motel) if (motel := _motel_cpu(row)) else "",
            )
            for row in rows
        ],
    )
