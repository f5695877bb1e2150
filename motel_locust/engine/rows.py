"""The tables of a walk in waves: spans, and the requests that they send.

A request is one repetition of a call, however often it is tried. Rows of both tables are numbered
in the order in which they are made.
"""

from __future__ import annotations

import numpy as np


class Table:
    """Columns that grow together; what lies beyond ``size`` is not yet anybody's."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def add(self, count: int) -> slice:
        """Return where *count* more elements are."""
        start, self.size = self.size, self.size + count
        columns = type(self).__slots__
        capacity = getattr(self, columns[0]).size
        if self.size > capacity:
            more = max(self.size, 2 * capacity) - capacity
            for name in columns:
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.empty(more, column.dtype))))
        return slice(start, self.size)


class Rows(Table):
    """Spans.

    node       int64   index of the node
    trace      int64   index of the trace
    span_id    uint64
    request    int64   that made it; of no meaning for roots
    place      int64   of the span among those that its caller gets from the same entry
    start_ns   int64   after the start of its request; in the end, Unix time
    own_ns     int64   its own time
    took_ns    int64   from start to end, once settled
    failed     bool    once settled; before that, whether it broke on its own
    settled    bool
    first      int64   its first request
    requests   int64   how many it has
    entered    uint64  with which span its request entered the service; of no meaning where no
                       service has instances
    """

    __slots__ = (
        "entered",
        "failed",
        "first",
        "node",
        "own_ns",
        "place",
        "request",
        "requests",
        "settled",
        "span_id",
        "start_ns",
        "took_ns",
        "trace",
    )

    def __init__(self, capacity: int) -> None:
        super().__init__()
        integers = np.empty((9, capacity), np.int64)
        self.node, self.trace, self.request, self.place, self.start_ns = integers[:5]
        self.own_ns, self.took_ns, self.first, self.requests = integers[5:]
        self.span_id, self.entered = np.empty((2, capacity), np.uint64)
        self.failed, self.settled = np.empty((2, capacity), np.bool_)


class Requests(Table):
    """Requests.

    caller     int64   row of the calling span
    entry      int64
    place      int64   of the attempt under way, see `Rows`
    row        int64   that attempt's span
    took_ns    int64   until that attempt started; once settled, until the caller went on
    start_ns   int64   after its caller's start, once the caller is settled
    failed     bool
    """

    __slots__ = ("caller", "entry", "failed", "place", "row", "start_ns", "took_ns")

    def __init__(self, capacity: int) -> None:
        super().__init__()
        integers = np.empty((6, capacity), np.int64)
        self.caller, self.entry, self.place, self.row, self.took_ns, self.start_ns = integers
        self.failed = np.empty(capacity, np.bool_)
