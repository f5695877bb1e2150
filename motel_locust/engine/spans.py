"""What a walk is given, and what it leaves: traces with their counters, and spans by shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.shapes import ShapePlan


class Traces:
    """The traces of a batch, and what a walk counts of each.

    number      int64[traces]    trace numbers, in order of arrival
    trace_key   uint64[traces]
    arrival_ns  int64[traces]    Unix time
    failed      bool[traces]     whether the root failed
    timeouts, retries, cut       int64[traces]
    spans       int64[traces]    None where no trace can reach the limit
    """

    def __init__(
        self,
        number: NDArray[np.int64],
        trace_key: NDArray[np.uint64],
        arrival_ns: NDArray[np.int64],
    ) -> None:
        self.number, self.trace_key, self.arrival_ns = number, trace_key, arrival_ns
        self.failed = np.zeros(number.size, np.bool_)
        self.timeouts = np.zeros(number.size, np.int64)
        self.retries = np.zeros(number.size, np.int64)
        self.cut = np.zeros(number.size, np.int64)
        self.spans: NDArray[np.int64] | None = None


class Spans(NamedTuple):
    """The spans of one shape, in order of release.

    trace, start_ns, end_ns   int64[rows]
    span_id, parent_id        uint64[rows]   no parents where the shape has none
    failed                    bool[rows]
    ordinal                   int64[rows]    how many spans of the operation precede each one in a
                                             trace where all calls occur; None if none is numbered
    local                     per link of the operation, uint64[rows], the latest span in the same
                              trace, 0 for none
    entered                   uint64[rows]   ids of the spans with which requests entered the
                                             service; None where it has no instances
    """

    trace: NDArray[np.int64]
    span_id: NDArray[np.uint64]
    parent_id: NDArray[np.uint64] | None
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]
    ordinal: NDArray[np.int64] | None
    local: tuple[NDArray[np.uint64], ...] = ()
    entered: NDArray[np.uint64] | None = None

    def some(self, rows: NDArray[np.int64]) -> Spans:
        """Return those at *rows*, in their order, without what they entered with."""
        return Spans(
            trace=self.trace[rows],
            span_id=self.span_id[rows],
            parent_id=None if self.parent_id is None else self.parent_id[rows],
            start_ns=self.start_ns[rows],
            end_ns=self.end_ns[rows],
            failed=self.failed[rows],
            ordinal=None if self.ordinal is None else self.ordinal[rows],
            local=tuple(each[rows] for each in self.local),
        )


class Walked(Protocol):
    """A walk that is over."""

    @property
    def steps(self) -> int:
        """How often it went through arrays of spans, whatever their size."""

    def spans(self, *, by_end: bool) -> Iterator[tuple[ShapePlan, Spans]]:
        """Return each shape's spans in order of their traces, or *by_end* in that of their ends.

        Those of one trace, or that end together, are in an order that no other trace changes.
        """


def order_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stable order of *keys*, which are at least 0: int64[rows]."""
    # NumPy sorts 16 bits by radix: 3 ns a row instead of 20.
    small = keys.astype(np.uint16) if keys.size and keys.max() < 1 << 16 else keys
    return small.argsort(kind="stable")


Item = TypeVar("Item", bound=np.generic)


def join(parts: Sequence[NDArray[Item]]) -> NDArray[Item]:
    """Return *parts*, at least one, as one array."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
