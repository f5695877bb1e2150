"""The figures of a run: what one process tells the others, and what their sum is.

All are totals since the run began, never differences: a report that is lost or comes twice changes
nothing, and the order of reports does not matter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from motel_locust.engine.columns import Counts
from motel_locust.otlp.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened so far, on one process or on all."""

    ledger: Ledger = field(default_factory=Ledger)
    counts: Counts = field(default_factory=Counts)
    """The simulation's counters, of what was released."""
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

    def message(self) -> dict[str, Any]:
        """Return the figures as Locust's messages carry them."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {
            **plain,
            "ledger": self.ledger.to_message(),
            "counts": asdict(self.counts),
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Figures:
        """Return the figures in a *message*."""
        ledger, counts = Ledger.from_message(message["ledger"]), Counts(**message["counts"])
        return cls(**{**message, "ledger": ledger, "counts": counts})


def total(parts: Iterable[Figures]) -> Figures:
    """Return the figures of all processes together: sums, of lag and elapsed time the greatest."""
    parts = list(parts)
    ledger = Ledger()
    for part in parts:
        ledger.merge(part.ledger)
    return Figures(
        ledger=ledger,
        counts=sum((part.counts for part in parts), Counts()),
        users=sum(part.users for part in parts),
        asked_per_s=sum(part.asked_per_s for part in parts),
        lag_ns=max((part.lag_ns for part in parts), default=0),
        lag_max_ns=max((part.lag_max_ns for part in parts), default=0),
        queued_bytes=sum(part.queued_bytes for part in parts),
        simulated_ns=max((part.simulated_ns for part in parts), default=0),
        elapsed_ns=max((part.elapsed_ns for part in parts), default=0),
    )
