"""How large traces turned out, told from their spans.

Shape words: ``traces``; ``rows``, the spans of all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class SpanColumns(Protocol):
    """Spans as the engine makes them; see :class:`motel_locust.engine.columns.Columns`."""

    @property
    def trace(self) -> NDArray[np.int64]:
        """Index of the trace."""

    @property
    def span_id(self) -> NDArray[np.uint64]:
        """Never 0."""

    @property
    def parent_id(self) -> NDArray[np.uint64] | None:
        """None where these spans are roots."""

    @property
    def start_ns(self) -> NDArray[np.int64]:
        """Unix time."""

    @property
    def end_ns(self) -> NDArray[np.int64]:
        """Unix time."""


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """The sizes of traces: int64[traces] each.

    spans       how many the trace has
    depth       calls from its root to its deepest span
    fan_out     the most children that one of its spans has
    latency_ns  how long its root takes
    """

    spans: NDArray[np.int64]
    depth: NDArray[np.int64]
    fan_out: NDArray[np.int64]
    latency_ns: NDArray[np.int64]


def measure(parts: Sequence[SpanColumns], *, traces: int) -> Sizes:
    """Return the sizes of the *traces* whose spans are in *parts*; every trace has a root."""
    trace = np.concatenate([each.trace for each in parts])
    span_id = np.concatenate([each.span_id for each in parts])
    parent_id = np.concatenate([_parents(each) for each in parts])
    took_ns = np.concatenate([each.end_ns - each.start_ns for each in parts])
    order = span_id.argsort()
    roots = parent_id == 0
    up = np.where(roots, np.arange(trace.size), 0)
    children = (~roots).nonzero()[0]
    up[children] = order[span_id[order].searchsorted(parent_id[children])]
    found = np.zeros((3, traces), np.int64)
    np.maximum.at(found[0], trace, _depths(up))
    np.maximum.at(found[1], trace, np.bincount(up[children], minlength=trace.size))
    found[2, trace[roots]] = took_ns[roots]
    return Sizes(np.bincount(trace, minlength=traces), *found)


def join(parts: Sequence[Sizes]) -> Sizes:
    """Return the sizes of all traces of *parts*, in order."""
    return Sizes(
        np.concatenate([each.spans for each in parts]),
        np.concatenate([each.depth for each in parts]),
        np.concatenate([each.fan_out for each in parts]),
        np.concatenate([each.latency_ns for each in parts]),
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some values, by nearest rank, and the greatest of them."""

    p50: int
    p95: int
    p99: int
    greatest: int


def spread(values: NDArray[np.int64]) -> Spread:
    """Return the spread of *values*, at least one."""
    ascending = np.sort(values)
    p50, p95, p99 = (
        int(ascending[max(math.ceil(percent * ascending.size / 100) - 1, 0)])
        for percent in (50, 95, 99)
    )
    return Spread(p50, p95, p99, int(ascending[-1]))


def _parents(spans: SpanColumns) -> NDArray[np.uint64]:
    given = spans.parent_id
    return np.zeros(spans.trace.size, np.uint64) if given is None else given


def _depths(up: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many steps lead from each row up to its root, which points at itself.

    In plain Python: ``[0 if up[row] == row else 1 + depth(up[row]) for row in range(len(up))]``
    """
    depth: NDArray[np.int64] = (up != np.arange(up.size)).astype(np.int64)
    # Every pass doubles the steps that are known, so that chains of thousands take a dozen.
    while True:
        further = depth[up]
        if not further.any():
            return depth
        depth += further
        up = up[up]
