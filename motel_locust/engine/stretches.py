"""Walked stretches of time, and how a long one is handed out in pieces.

A long walk costs less a span, a small batch less memory until it has left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.links import History, Latest
    from motel_locust.engine.state import State


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A walked stretch of time: what to go back to when users change inside it."""

    start_ns: int
    nth: int
    arrival_ns: NDArray[np.int64]
    history: Mapping[str, History]
    latest: Mapping[str, Latest]
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch up to ``stop_ns``: the parts of ``whole`` from ``first`` to before ``last``."""

    stretch: Stretch
    stop_ns: int
    whole: Batch
    first: int
    last: int

    def batch(self) -> Batch:
        """Return the spans."""
        if self.last - self.first == len(self.whole.edges_ns):
            return self.whole
        return self.whole.parts(self.first, self.last)


def pieces(
    stretch: Stretch, stop_ns: int, batch: Batch, *, epoch_ns: int, most: int
) -> Iterator[Piece]:
    """Yield the *batch* of *stretch*, in pieces of at most *most* spans or one part.

    The traces of a part arrive in the tick at whose start, ``epoch_ns`` later, it is released; so
    none but the last piece ends within a tick. What the stretch tells besides arrivals is the same
    at its start and at its end.
    """
    passed = np.array([0, *(each.spans for each in batch.counts)]).cumsum()
    traces = np.array([0, *(each.traces for each in batch.counts)]).cumsum().tolist()
    starts_ns = (batch.edges_ns - epoch_ns).tolist()
    parts, first, start_ns = len(starts_ns), 0, stretch.start_ns
    while first < parts:
        fits = int(passed.searchsorted(passed[first] + most, "right")) - 1
        last = max(fits, first + 1)
        end_ns = stop_ns if last == parts else starts_ns[last]
        arrival_ns = stretch.arrival_ns[traces[first] : traces[last]]
        nth = stretch.nth + traces[first]
        own = replace(stretch, start_ns=start_ns, nth=nth, arrival_ns=arrival_ns)
        yield Piece(own, end_ns, batch, first, last)
        first, start_ns = last, end_ns
