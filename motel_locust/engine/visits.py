"""What goes into a visit and what comes out of it: requests, their outcome, and spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.nodes import Site

# Traces of the batch: all of them, or some by their index. The first costs no gather.
Rows: TypeAlias = "NDArray[np.int64] | slice"
ALL: Final = slice(None)


class Requests(NamedTuple):
    """What arrives at one site: the traces, when each request starts, and the calling spans.

    Roots have none. ``entered`` are the ids of the spans with which requests entered the service,
    where it has instances; they are not known before the request has an id, but if the caller's
    instances serve it.
    """

    rows: Rows
    start_ns: NDArray[np.int64]
    parent_id: NDArray[np.uint64] | None
    entered: NDArray[np.uint64] | None = None

    def some(self, these: Rows) -> Requests:
        """Return the requests at the positions *these*."""
        parents = None if self.parent_id is None else self.parent_id[these]
        entered = None if self.entered is None else self.entered[these]
        return Requests(take(self.rows, these), self.start_ns[these], parents, entered)


class Outcome(NamedTuple):
    """When requests ended, and which failed, as the caller sees it."""

    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]

    def some(self, these: NDArray[np.int64]) -> Outcome:
        """Return the outcome of the requests at the positions *these*."""
        return Outcome(self.end_ns[these], self.failed[these])


class Own(NamedTuple):
    """What becomes of spans by themselves.

    took_ns  how long their operation works, int64[rows], or the same for all
    broken   bool[rows]             whether they fail by themselves
    gates    uint64[gates, rows]    the words that decide on calls
    """

    took_ns: NDArray[np.int64] | np.int64
    broken: NDArray[np.bool_]
    gates: NDArray[np.uint64]


class Visit(NamedTuple):
    """The spans of one site that are of one shape, one per request.

    ``local`` holds, per link of the operation, the latest span in the same trace, 0 for none.
    """

    site: Site
    requests: Requests
    span_id: NDArray[np.uint64]
    outcome: Outcome
    local: tuple[NDArray[np.uint64], ...]


def take(rows: Rows, some: Rows) -> Rows:
    """Return those of *rows* that *some* points at."""
    if isinstance(rows, slice):
        return some
    return rows if isinstance(some, slice) else rows[some]


def merged(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return all positions of *parts*, each of them ascending, in order."""
    # A stable sort looks for runs and merges them.
    return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts), kind="stable")


def ordinals(visits: Sequence[Visit]) -> NDArray[np.int64]:
    """Return how many spans of their operation precede those of *visits*, see `Site.ordinal`."""
    return np.repeat(
        [visit.site.ordinal for visit in visits], [visit.span_id.size for visit in visits]
    )
