"""Walked stretches of time, and how a long one is handed out in pieces.

A long walk costs less a span, a small batch less memory until it has left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
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
    stretch: Stretch, stop_ns: int, batch: Batch, *, epoch_ns: int, about: int
) -> Iterator[Piece]:
    """Yield the *batch* of *stretch* in pieces much alike, of *about* so many spans.

    The traces of a part arrive in the tick at whose start, ``epoch_ns`` later, it is released; so
    none but the last piece ends within a tick. What the stretch tells besides arrivals is the same
    at its start and at its end.
    """
    spans, traces = (
        np.cumsum([0, *counts])
        for counts in zip(*((each.spans, each.traces) for each in batch.counts), strict=True)
    )
    count = max(1, round(spans[-1] / about))
    # The last part may have more than its share.
    cuts = spans[:-1].searchsorted(spans[-1] * np.arange(1, count) / count)
    starts_ns = (batch.edges_ns - epoch_ns).tolist()
    parts, start_ns = len(starts_ns), stretch.start_ns
    for first, last in pairwise(np.unique([0, *cuts, parts]).tolist()):
        end_ns = starts_ns[last] if last < parts else stop_ns
        own = replace(
            stretch,
            start_ns=start_ns,
            nth=stretch.nth + int(traces[first]),
            arrival_ns=stretch.arrival_ns[traces[first] : traces[last]],
        )
        yield Piece(own, end_ns, batch, first, last)
        start_ns = end_ns
