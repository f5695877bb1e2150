"""The figures of a run: what one process tells the others, and what their sum is.

All are totals since the run began, or the state at present, never differences: a report that is
lost or comes twice changes nothing, and the order of reports does not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from motel_locust.engine.columns import Counts
from motel_locust.engine.statistics import OperationCounts, total_by_operation
from motel_locust.otlp.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from motel_locust.otlp.ledger import Signal

THIS_PROCESS: Final = "this process"
"""The name of the only worker where there is no cluster."""

RUNNING: Final = "running"
LOST: Final = "lost"
"""The state of a worker that went away without its last report."""
LEFT: Final = "left"
"""The state of a worker that went away after its last report."""


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One process that took part in a run: a row of the table of workers."""

    name: str
    state: str
    users: int
    asked_per_s: float
    traces: int
    spans: int
    data_points: int
    log_records: int
    lag_ns: int
    queued_bytes: int
    cpu: float
    """Cores in use at present, 1 being one of them."""
    rss_bytes: int
    skew_s: float
    """How far its clock is ahead of the master's; 0 where nobody has measured it."""
    unreported: int
    """Items that were pending when a lost worker reported for the last time."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened so far, on one process or on all."""

    ledger: Ledger = field(default_factory=lambda: Ledger(()))
    counts: Counts = field(default_factory=Counts)
    """The simulation's counters, of what was released."""
    operations: Mapping[str, OperationCounts] = field(default_factory=dict)
    """What was released of each operation, by its ref, ``service.operation``."""
    overflowed: Mapping[str, int] = field(default_factory=dict)
    """Measurements without a series of their own, by ``service: metric``."""
    scenarios: tuple[str, ...] = ()
    """The names of those that are active at present, in merge order, each once."""
    users: int = 0
    asked_per_s: float = 0.0
    """Traces per second that the topologies ask for at present, for the users there are."""
    lag_ns: int = 0
    lag_max_ns: int = 0
    queued_bytes: int = 0
    simulated_ns: int = 0
    """Simulated time that was let out: arrivals are the integral of the rate over it."""
    elapsed_ns: int = 0
    """From the first release on to the last one."""
    cpu: float = 0.0
    """Cores in use at present, of all processes that generate."""
    rss_bytes: int = 0
    """Memory of all processes that generate."""
    workers: Mapping[str, WorkerFigures] = field(default_factory=dict)
    """The processes that took part, by Locust's id; those that were lost as well."""

    def generated(self, signal: Signal) -> int:
        """Return the items of *signal* that were generated; 0 where it is not sent."""
        return self.ledger[signal].generated if signal in self.ledger else 0

    def message(self, durations_of: Collection[str] | None = None) -> dict[str, Any]:
        """Return the figures as Locust's messages carry them, without those of workers.

        With durations of some operations only: *durations_of*, None being all.
        """
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "workers"}
        return {
            **plain,
            "ledger": self.ledger.to_message(),
            "counts": asdict(self.counts),
            "operations": {
                ref: each.message(with_durations=durations_of is None or ref in durations_of)
                for ref, each in self.operations.items()
            },
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Figures:
        """Return the figures in a *message*."""
        return cls(
            **{
                **message,
                "ledger": Ledger.from_message(message["ledger"]),
                "counts": Counts(**message["counts"]),
                "operations": {
                    ref: OperationCounts.from_message(each)
                    for ref, each in message["operations"].items()
                },
                "scenarios": tuple(message["scenarios"]),
            }
        )

    def completed(self, earlier: Figures) -> Figures:
        """Return them with the durations that *earlier* ones told and these did not."""
        known = earlier.operations
        operations = {
            ref: each.completed(known[ref]) if ref in known else each
            for ref, each in self.operations.items()
        }
        return replace(self, operations=operations)

    def over(self) -> Figures:
        """Return what remains of them when their process takes part no more: the totals."""
        return replace(
            self,
            scenarios=(),
            users=0,
            asked_per_s=0.0,
            lag_ns=0,
            queued_bytes=0,
            cpu=0.0,
            rss_bytes=0,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a master knows of one worker: the figures that it last told, and what became of it."""

    figures: Figures = field(default_factory=Figures)
    state: str = RUNNING
    """For people; only ``LOST`` and ``LEFT`` say that the worker takes part no more."""
    skew_s: float = 0.0

    @property
    def present(self) -> Figures:
        """What it contributes now."""
        return self.figures.over() if self.state in (LOST, LEFT) else self.figures

    def row(self, name: str) -> WorkerFigures:
        """Return its row in the table of workers."""
        figures = self.present
        return WorkerFigures(
            name=name,
            state=self.state,
            users=figures.users,
            asked_per_s=figures.asked_per_s,
            traces=figures.counts.traces,
            spans=figures.counts.spans,
            data_points=figures.generated("metrics"),
            log_records=figures.generated("logs"),
            lag_ns=figures.lag_ns,
            queued_bytes=figures.queued_bytes,
            cpu=figures.cpu,
            rss_bytes=figures.rss_bytes,
            skew_s=self.skew_s,
            unreported=figures.ledger.pending if self.state == LOST else 0,
        )


def total(reports: Mapping[str, Report]) -> Figures:
    """Return the figures of all workers, by name, together: sums, of lag and time the greatest."""
    parts = [report.present for report in reports.values()]
    ledger = Ledger(())
    for part in parts:
        ledger.merge(part.ledger)
    return Figures(
        ledger=ledger,
        counts=sum((part.counts for part in parts), Counts()),
        operations=total_by_operation(part.operations for part in parts),
        overflowed=sum((Counter(part.overflowed) for part in parts), Counter()),
        scenarios=tuple(dict.fromkeys(chain.from_iterable(part.scenarios for part in parts))),
        users=sum(part.users for part in parts),
        asked_per_s=sum(part.asked_per_s for part in parts),
        lag_ns=max((part.lag_ns for part in parts), default=0),
        lag_max_ns=max((part.lag_max_ns for part in parts), default=0),
        queued_bytes=sum(part.queued_bytes for part in parts),
        simulated_ns=max((part.simulated_ns for part in parts), default=0),
        elapsed_ns=max((part.elapsed_ns for part in parts), default=0),
        cpu=sum(part.cpu for part in parts),
        rss_bytes=sum(part.rss_bytes for part in parts),
        workers={name: report.row(name) for name, report in sorted(reports.items())},
    )
