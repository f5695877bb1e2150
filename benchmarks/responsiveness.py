"""Whether others on the event loop get their turn while the pump runs at full speed."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.endpoints import COLLECTOR, DISCARD, free_port, networked, running
from benchmarks.generation import PRODUCTION, TOPOLOGIES
from benchmarks.runs import FULL, TOPOLOGY, run
from benchmarks.samples import quantile
from benchmarks.table import Table, count, millis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.endpoints import Endpoint

POLL_S = 0.5
"""Locust's page asks every two seconds."""


@dataclass(frozen=True, slots=True)
class Responsive:
    """How late a ticker of 10 ms was, and how long the web UI took to answer, under full load."""

    topology: str
    endpoint: str
    accepted_per_s: float
    ticks: int
    late_p50_s: float
    late_p99_s: float
    late_max_s: float
    answers: int
    """Of ``GET /stats/requests``, which the page of a running test asks for."""
    answer_p50_s: float
    answer_max_s: float


def measure_all(*, seconds: float) -> list[Responsive]:
    """Return the figures of runs of each topology into nothing, and of one into the Collector."""
    topologies = (*TOPOLOGIES, PRODUCTION)
    rows = [measure(DISCARD, topology=topology, seconds=seconds) for topology in topologies]
    if COLLECTOR in networked():
        with running(COLLECTOR) as collector:
            rows.append(measure(collector, seconds=seconds))
    return rows


def measure(endpoint: Endpoint, *, seconds: float, topology: Path = TOPOLOGY) -> Responsive:
    """Return the figures of one run with the web UI."""
    port, answers = free_port(), _Answers()
    with answers.asking(port):
        window = run(
            endpoint, FULL, seconds=seconds, topology=topology, ticker=True, web_port=port
        ).window
    late_s, took_s = window.late_s, answers.between(window.from_s, window.until_s)
    return Responsive(
        topology.stem,
        endpoint.name,
        window.accepted_per_s,
        ticks=len(late_s),
        late_p50_s=quantile(late_s, 0.5),
        late_p99_s=quantile(late_s, 0.99),
        late_max_s=late_s[-1],
        answers=len(took_s),
        answer_p50_s=quantile(took_s, 0.5),
        answer_max_s=took_s[-1],
    )


class _Answers:
    """What the web UI answered, and when."""

    def __init__(self) -> None:
        self._took: list[tuple[float, float]] = []
        self._over = threading.Event()

    @contextmanager
    def asking(self, port: int) -> Iterator[None]:
        """Ask again and again meanwhile."""
        asking = threading.Thread(target=self._ask, args=[port])
        asking.start()
        try:
            yield
        finally:
            self._over.set()
            asking.join()

    def _ask(self, port: int) -> None:
        while not self._over.wait(POLL_S):
            began_s = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/stats/requests")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):  # it does not listen yet, or no longer
                pass
            else:
                self._took.append((began_s, time.monotonic() - began_s))
            finally:
                connection.close()

    def between(self, from_s: float, until_s: float) -> list[float]:
        """Return how long each answer took that was asked for in this time, in ascending order."""
        return sorted(took_s for at_s, took_s in self._took if from_s <= at_s <= until_s)


def table(rows: list[Responsive]) -> Table:
    """Return *rows* as a table."""
    return Table(
        (
            *("topology", "endpoint", "spans/s", "ticks", "late, median", "99 of 100", "at most"),
            *("web answers", "median", "at most"),
        ),
        [
            (
                *(row.topology, row.endpoint, count(row.accepted_per_s), count(row.ticks)),
                *map(millis, (row.late_p50_s, row.late_p99_s, row.late_max_s)),
                *(count(row.answers), millis(row.answer_p50_s), millis(row.answer_max_s)),
            )
            for row in rows
        ],
    )
