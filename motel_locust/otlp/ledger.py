"""The ledger: how every item ended, per signal.

An item is a span, a data point or a log record. It is *pending* from the moment it is generated
until it ends in exactly one of four ways:

    generated = accepted + rejected + failed + dropped + pending

holds at every instant, for every process and for their sums. Pending is counted, not computed, so
that an item that is settled twice or forgotten breaks the equation and is found at once.

*Ambiguous* stands apart: an item counts there once for each try whose answer was lost, as it may
have arrived all the same. The endpoint's own count lies between accepted and accepted + ambiguous.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Signal = Literal["traces", "metrics", "logs"]
Loss = Literal["rejected", "failed", "dropped"]
LOSSES: Final[tuple[Loss, ...]] = ("rejected", "failed", "dropped")


class LedgerError(AssertionError):
    """An item was settled twice, or never generated: a bug of ours, never the endpoint's doing."""


class CountsMessage(TypedDict):
    """What a worker tells its master about one signal; plain values only."""

    counts: dict[str, int]
    reasons: list[tuple[Loss, str, int]]


@dataclass(slots=True)
class Counts:
    """The items of one signal by how they ended."""

    generated: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    dropped: int = 0
    pending: int = 0
    ambiguous: int = 0
    reasons: Counter[tuple[Loss, str]] = field(default_factory=Counter)
    """Items by (loss, reason); reasons are few short texts without ids or addresses."""

    @property
    def lost(self) -> int:
        """Items that ended any other way than accepted."""
        return self.rejected + self.failed + self.dropped

    @property
    def loss_ratio(self) -> float:
        """Lost items of those generated, 0 to 1; 0 where nothing was generated."""
        return self.lost / self.generated if self.generated else 0.0

    def check(self) -> None:
        """Raise LedgerError unless the counts balance."""
        ended = self.accepted + self.lost
        if self.generated != ended + self.pending or self.pending < 0:
            raise LedgerError(
                f"generated {self.generated} items, but settled {ended} with {self.pending} pending"
            )
        if self.lost != self.reasons.total():
            raise LedgerError(f"lost {self.lost} items, with reasons for {self.reasons.total()}")

    def add(self, other: Counts) -> None:
        """Add the counts of another process."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.check()

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, in the order of the equation."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS: Final = ("generated", "accepted", "rejected", "failed", "dropped", "pending", "ambiguous")


class Ledger:
    """The counts of one process, or of several, summed."""

    def __init__(self, signals: Iterable[Signal] = ("traces",)) -> None:
        self._counts: dict[Signal, Counts] = {signal: Counts() for signal in signals}

    def __getitem__(self, signal: Signal) -> Counts:
        return self._counts[signal]

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._counts)

    def generate(self, signal: Signal, items: int) -> None:
        """Count *items* as generated; they are pending until settled."""
        counts = self._counts[signal]
        counts.generated += items
        counts.pending += items
        counts.check()

    def settle(
        self,
        signal: Signal,
        *,
        accepted: int = 0,
        rejected: int = 0,
        failed: int = 0,
        dropped: int = 0,
        reason: str = "",
    ) -> None:
        """Count pending items as ended; those that were lost, for *reason*."""
        counts = self._counts[signal]
        if min(accepted, rejected, failed, dropped) < 0:
            raise LedgerError(
                f"settled {accepted} accepted, {rejected} rejected, {failed} failed and {dropped}"
                f" dropped items, of {counts.pending} pending; none can be below 0"
            )
        counts.accepted += accepted
        counts.rejected += rejected
        counts.failed += failed
        counts.dropped += dropped
        counts.pending -= accepted + rejected + failed + dropped
        for loss, items in zip(LOSSES, (rejected, failed, dropped), strict=True):
            if items:
                counts.reasons[loss, reason] += items
        counts.check()

    def doubt(self, signal: Signal, items: int) -> None:
        """Count *items* as ambiguous, once more: the answer of a try with them was lost."""
        self._counts[signal].ambiguous += items

    @property
    def pending(self) -> int:
        """Items of all signals that have not ended yet."""
        return sum(counts.pending for counts in self._counts.values())

    @property
    def loss_ratio(self) -> float:
        """Lost items of all signals, of those generated, 0 to 1."""
        total = Counts()
        for counts in self._counts.values():
            total.add(counts)
        return total.loss_ratio

    def merge(self, other: Ledger) -> None:
        """Add the counts of *other*; signals that only it knows come to stand here too."""
        for signal, counts in other._counts.items():
            self._counts.setdefault(signal, Counts()).add(counts)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts by signal and name: what ``--summary`` writes."""
        return {signal: counts.as_dict() for signal, counts in self._counts.items()}

    def reasons(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the lost items by signal, loss and reason; only those that occurred."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for signal, counts in self._counts.items():
            for (loss, reason), items in sorted(counts.reasons.items()):
                found.setdefault(signal, {}).setdefault(loss, {})[reason] = items
        return found

    def to_message(self) -> dict[Signal, CountsMessage]:
        """Return the ledger as plain values, for another process; see :meth:`from_message`."""
        return {
            signal: {
                "counts": counts.as_dict(),
                "reasons": [(*key, items) for key, items in sorted(counts.reasons.items())],
            }
            for signal, counts in self._counts.items()
        }

    @classmethod
    def from_message(cls, message: Mapping[Signal, CountsMessage]) -> Ledger:
        """Return the ledger that another process told; raise LedgerError if it does not balance."""
        ledger = cls(message)
        for signal, told in message.items():
            counts = Counts()
            for name in COUNTS:
                setattr(counts, name, told["counts"][name])
            counts.reasons.update({(loss, why): items for loss, why, items in told["reasons"]})
            ledger._counts[signal].add(counts)
        return ledger
