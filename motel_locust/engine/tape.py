"""A tape: recorded traces as columns, from which any number of replays are copied.

Shape words: ``traces`` of the tape; ``rows`` spans of one shape; ``picks``, traces picked from the
tape to be sent, each as often as it is to be. A *word* stands for a recorded id: the id itself
where ids are preserved, else a hash of it, from which new ids are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.columns import Batch, Columns, Counts, EventColumns, LinkColumns
from motel_locust.engine.ranges import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Shape


@dataclass(frozen=True, slots=True, eq=False)
class EventTrack:
    """What the rows of one track have of one of its shape's own events.

    chosen    int64[chosen]  rows of the track, ascending
    time_ns   int64[chosen]  after the trace's first start; may be negative
    recorded  int64[chosen]
    """

    chosen: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    recorded: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LinkTrack:
    """What the rows of one track have of one of its shape's links.

    chosen    int64[chosen]      rows of the track, ascending
    trace     uint64[chosen, 2]  words of the trace linked to
    span      uint64[chosen]     word of the span linked to
    recorded  int64[chosen]
    """

    chosen: NDArray[np.int64]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    recorded: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The spans of one shape.

    trace     int64[rows]   index of the trace on the tape, ascending
    span      uint64[rows]  word of the span's id
    parent    uint64[rows]  word of the parent's id; None where the shape has no parent
    start_ns  int64[rows]   after the trace's first start
    end_ns    int64[rows]   after the trace's first start, not before ``start_ns``
    failed    bool[rows]
    recorded  int64[rows]
    """

    shape: Shape
    trace: NDArray[np.int64]
    span: NDArray[np.uint64]
    parent: NDArray[np.uint64] | None
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]
    recorded: NDArray[np.int64]
    events: tuple[EventTrack, ...]
    links: tuple[LinkTrack, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Recorded traces in the order of their first starts.

    trace     uint64[traces, 2]  words of the trace's id
    start_ns  int64[traces]      first start, Unix time, ascending
    spans     int64[traces]
    failed    bool[traces]       whether a root failed
    preserved                    whether words are ids
    end_ns                       the last end of all, Unix time
    """

    trace: NDArray[np.uint64]
    start_ns: NDArray[np.int64]
    spans: NDArray[np.int64]
    failed: NDArray[np.bool_]
    tracks: tuple[Track, ...]
    preserved: bool
    end_ns: int

    def batch(
        self,
        picked: NDArray[np.int64],
        keys: NDArray[np.uint64],
        *,
        start_ns: NDArray[np.int64],
        tick_ns: NDArray[np.int64],
        pause: Callable[[], object],
    ) -> Batch:
        """Return the traces *picked*, at least one, each with ids and times of its own.

        picked    int64[picks]      indexes of traces on the tape
        keys      uint64[picks, 2]  what new ids are drawn from; of no effect where they are
                                    preserved
        start_ns  int64[picks]      Unix time of the traces' first starts
        tick_ns   int64[picks]      Unix time of the tick at which each one is released, ascending

        *pause* is called after every shape.
        """
        ids = _Ids(keys, drawn=not self.preserved)
        columns = []
        for track in self.tracks:
            found = _columns(track, picked, start_ns, ids)
            if found is not None:
                columns.append(found)
                pause()
        first = np.flatnonzero(np.diff(tick_ns, prepend=-1))
        edges = np.append(first, picked.size)
        rows = [each.trace.searchsorted(edges) for each in columns]
        return Batch(
            trace_id=ids.traces(self.trace[picked], np.arange(picked.size)),
            arrival_ns=tick_ns,
            columns=tuple(columns),
            edges_ns=tick_ns[first],
            rows=np.array(rows, np.int64).reshape(len(rows), edges.size),
            counts=_counts(self.failed[picked], columns, rows, edges),
        )


class _Ids:
    """The ids of one batch, from words and the keys of its picks."""

    def __init__(self, keys: NDArray[np.uint64], *, drawn: bool) -> None:
        self._keys, self._drawn = keys, drawn

    def spans(self, word: NDArray[np.uint64], pick: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the ids of spans: uint64[rows]; *word* as long as *pick*."""
        return draws.draw_ids(self._keys[pick, 0], word) if self._drawn else word

    def traces(self, words: NDArray[np.uint64], pick: NDArray[np.int64]) -> NDArray[np.void]:
        """Return the ids of traces: V16[rows]; *words* uint64[rows, 2]."""
        # Either half has a key of its own, so that all 128 bits tell traces apart.
        halves = draws.draw_words(self._keys[pick], words) if self._drawn else words
        return np.ascontiguousarray(halves).view("V16")[:, 0]


def _columns(
    track: Track, picked: NDArray[np.int64], first_ns: NDArray[np.int64], ids: _Ids
) -> Columns | None:
    """Return what *picked* has of *track*, None if nothing."""
    low, high = track.trace.searchsorted(picked), track.trace.searchsorted(picked, "right")
    pick, row = ranges(low, high)
    if not row.size:
        return None
    shift_ns = first_ns[pick]
    events, links = [], []
    for event in track.events:
        at, which = ranges(event.chosen.searchsorted(row), event.chosen.searchsorted(row, "right"))
        events.append(EventColumns(at, event.time_ns[which] + shift_ns[at], event.recorded[which]))
    for link in track.links:
        at, which = ranges(link.chosen.searchsorted(row), link.chosen.searchsorted(row, "right"))
        links.append(
            LinkColumns(
                at,
                ids.traces(link.trace[which], pick[at]),
                ids.spans(link.span[which], pick[at]),
                (link.recorded[which],),
            )
        )
    return Columns(
        shape=track.shape,
        trace=pick,
        span_id=ids.spans(track.span[row], pick),
        parent_id=None if track.parent is None else ids.spans(track.parent[row], pick),
        start_ns=track.start_ns[row] + shift_ns,
        end_ns=track.end_ns[row] + shift_ns,
        failed=track.failed[row],
        values=(track.recorded[row],),
        own_events=tuple(events),
        links=tuple(links),
    )


def _counts(
    failed: NDArray[np.bool_],
    columns: Sequence[Columns],
    rows: Sequence[NDArray[np.int64]],
    edges: NDArray[np.int64],
) -> tuple[Counts, ...]:
    """Return the counters of each part, whose traces and rows lie between *edges* and *rows*."""
    spans = sum((np.diff(row) for row in rows), np.zeros(edges.size - 1, np.int64))
    errors = sum(
        (_between(each.failed, row) for each, row in zip(columns, rows, strict=True)),
        np.zeros(edges.size - 1, np.int64),
    )
    table = np.stack((np.diff(edges), spans, errors, _between(failed, edges)))
    return tuple(Counts(*part) for part in table.T.tolist())


def _between(counted: NDArray[np.bool_], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of *counted* are True between neighbouring *edges*: int64[edges - 1]."""
    return np.diff(np.concatenate(([0], counted.cumsum()))[edges])
