"""Spans as columns: what the engine hands to an encoder.

Shape words: ``rows`` spans of one shape in one batch; ``traces`` traces of the batch; ``chosen``
those rows of a shape that carry a link. Every array is built once and never written to again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

Value: TypeAlias = str | bool | int | float


class Kind(IntEnum):
    """``Span.SpanKind`` of opentelemetry/proto/trace/v1/trace.proto."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value on every row; has no column. A tuple is an array of strings."""

    key: str
    value: Value | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values. Column: int64[rows], the index into ``options``."""

    key: str
    options: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included. Column: int64[rows]."""

    key: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Double:
    """A floating-point number. Column: float64[rows]."""

    key: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """Text around a running number: ``number.join(parts)``. Column: int64[rows], at least 1."""

    key: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spelled:
    """One of ``distinct`` texts of ``length`` letters. Column: int64[rows], which of them, from 0.

    The column becomes text by :func:`motel_locust.engine.spelling.spell`.
    """

    key: str
    length: int
    distinct: int


Attribute: TypeAlias = Constant | Choice | Integer | Double | Numbered | Spelled


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Whatever was recorded of a span, event or link besides ids and times, already as OTLP has it.

    It stands in the place of attributes. Column: int64[rows], the index into ``options``, none of
    them empty.
    """

    options: tuple[bytes, ...]


ValueColumn: TypeAlias = "NDArray[np.int64] | NDArray[np.float64] | None"


def value_parts(columns: tuple[ValueColumn, ...], start: int, stop: int) -> tuple[ValueColumn, ...]:
    """Return the rows from *start* to before *stop* of each of *columns*: views."""
    return tuple(None if column is None else column[start:stop] for column in columns)


@dataclass(frozen=True, slots=True)
class EventShape:
    """An event that every row has, ``delay_ns`` after its span's start."""

    name: str
    delay_ns: int
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class LinkShape:
    """A link to another span, on the rows that have one: the latest of an operation, as a rule."""

    attributes: tuple[Attribute | Recorded, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What all rows of a block have in common: everything of a span but its columns.

    A failed row has status ERROR with ``message`` and, after the topology's events, an event
    ``exception`` at its end with attributes ``exception.type`` (``EXCEPTION_TYPE``) and
    ``exception.message`` (``exception_message``).
    """

    service: str
    name: str
    kind: Kind
    has_parent: bool
    attributes: tuple[Attribute | Recorded, ...]
    events: tuple[EventShape, ...] = ()
    links: tuple[LinkShape, ...] = ()
    message: str = "synthetic error"
    exception_message: str = "synthetic error"
    recorded: bool = False
    """Name and status stand in its one attribute, a ``Recorded``; failed rows get nothing more."""
    own_events: tuple[Recorded, ...] = ()
    """Events that some rows have, each at a time of its own."""
    resource: str = ""
    """Which of the service's resources, where recorded spans tell several apart."""
    edge: str = ""
    """Who calls whom, where these are the caller's side of calls: ``web -> db.query``."""

    @property
    def ref(self) -> str:
        """What the spans are counted under: their operation, or who calls whom."""
        return self.edge or f"{self.service}.{self.name}"

    @property
    def owner(self) -> str:
        """The resource, or the service where it has only one."""
        return self.resource or self.service


EXCEPTION_TYPE = "*errors.errorString"


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """The events that the rows of one shape have of one of its ``own_events``.

    chosen    int64[chosen]   rows of the shape's columns, ascending
    time_ns   int64[chosen]   Unix time
    recorded  int64[chosen]   the index into the options
    """

    chosen: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    recorded: NDArray[np.int64]

    def part(self, start: int, stop: int) -> EventColumns:
        """Return the events of the rows from *start* to before *stop*."""
        first, last = self.chosen.searchsorted([start, stop]).tolist()
        return EventColumns(
            self.chosen[first:last] - start, self.time_ns[first:last], self.recorded[first:last]
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinkColumns:
    """The links that the rows of one shape have for one ``LinkShape``.

    chosen    int64[chosen]   rows of the shape's columns, ascending
    trace_id  V16[chosen]
    span_id   uint64[chosen]  little-endian bytes are the id's bytes
    values    one column per attribute of the link's shape, over ``chosen``
    """

    chosen: NDArray[np.int64]
    trace_id: NDArray[np.void]
    span_id: NDArray[np.uint64]
    values: tuple[ValueColumn, ...]

    def part(self, start: int, stop: int) -> LinkColumns:
        """Return the links of the rows from *start* to before *stop*."""
        first, last = self.chosen.searchsorted([start, stop]).tolist()
        return LinkColumns(
            self.chosen[first:last] - start,
            self.trace_id[first:last],
            self.span_id[first:last],
            value_parts(self.values, first, last),
        )


# Not frozen, though nobody changes one: it would take three times as long to make, and of wide
# topologies thousands a second are made.
@dataclass(slots=True, eq=False)
class Columns:
    """The spans of one shape in one batch, in order of release: arrays of equal length.

    trace      int64[rows]    index of the trace in the batch; ascending unless in real time or
                              where a service has instances: then it is by parts and resources
    span_id    uint64[rows]   little-endian bytes are the id's bytes; never 0
    parent_id  uint64[rows]   as ``span_id``; None where the shape has no parent
    start_ns   int64[rows]    Unix time
    end_ns     int64[rows]    Unix time, not before ``start_ns``; ascending if in real time, but
                              for instances, where its ticks are
    failed     bool[rows]     True where the span's status is ERROR
    values     one column per attribute of the shape, None for a ``Constant``
    events     one tuple of columns per event of the shape, as ``values``
    links      one per link of the shape
    number     int64[rows]    what numbered texts of the span, its metrics and logs carry; None
                              where none does
    own_events one per own event of the shape
    resource   int64[rows]    which of the service's resources, see
                              :mod:`~motel_locust.engine.instances`; those of one part and resource
                              stand together. None where the shape's owner has them all
    """

    shape: Shape
    trace: NDArray[np.int64]
    span_id: NDArray[np.uint64]
    parent_id: NDArray[np.uint64] | None
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    failed: NDArray[np.bool_]
    values: tuple[ValueColumn, ...]
    events: tuple[tuple[ValueColumn, ...], ...] = ()
    links: tuple[LinkColumns, ...] = ()
    number: NDArray[np.int64] | None = None
    own_events: tuple[EventColumns, ...] = ()
    resource: NDArray[np.int64] | None = None

    def part(self, start: int, stop: int, *, first: int = 0) -> Columns:
        """Return the rows from *start* to before *stop*: views, but for those of links.

        Traces are counted from the *first* one.
        """
        rows = slice(start, stop)
        # Hundreds of shapes a batch, so not by `replace`, which takes three times as long.
        return Columns(
            shape=self.shape,
            trace=self.trace[rows] - first if first else self.trace[rows],
            span_id=self.span_id[rows],
            parent_id=None if self.parent_id is None else self.parent_id[rows],
            start_ns=self.start_ns[rows],
            end_ns=self.end_ns[rows],
            failed=self.failed[rows],
            values=value_parts(self.values, start, stop),
            events=self.events
            and tuple(value_parts(values, start, stop) for values in self.events),
            links=self.links and tuple(links.part(start, stop) for links in self.links),
            number=None if self.number is None else self.number[rows],
            own_events=self.own_events
            and tuple(events.part(start, stop) for events in self.own_events),
            resource=None if self.resource is None else self.resource[rows],
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """The simulation's counters; two of them add up."""

    traces: int = 0
    spans: int = 0
    errors: int = 0
    failed_traces: int = 0
    timeouts: int = 0
    retries: int = 0
    spans_bounded: int = 0
    spans_cut: int = 0
    queue_rejections: int = 0
    circuit_breaker_trips: int = 0
    circuit_breaker_opens: int = 0

    def __add__(self, other: Counts) -> Counts:
        return total((self, other))


_ALL_COUNTS: Final = attrgetter(*(each.name for each in fields(Counts)))


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sums of all *counts*, at least one."""
    return Counts(*map(sum, zip(*map(_ALL_COUNTS, counts), strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The spans of the traces that arrive in a stretch of time, ready to be encoded and let out.

    The batch leaves in parts: part *i* holds what is released from ``edges_ns[i]`` (included) to
    ``edges_ns[i + 1]`` (excluded; the last part has no end).

    trace_id    V16[traces]     ids in order of arrival
    arrival_ns  int64[traces]   Unix time, ascending
    columns     one per shape that occurs
    edges_ns    int64[parts]    Unix times of ticks, ascending
    rows        int64[columns, parts + 1]   part *i* of ``columns[c]`` is its rows
                ``rows[c, i]`` to ``rows[c, i + 1]``
    counts      one per part
    """

    trace_id: NDArray[np.void]
    arrival_ns: NDArray[np.int64]
    columns: tuple[Columns, ...]
    edges_ns: NDArray[np.int64]
    rows: NDArray[np.int64]
    counts: tuple[Counts, ...]

    def parts(self, first: int, stop: int) -> Batch:
        """Return the parts from *first* to before *stop*, where traces leave at their arrival."""
        passed = sum(each.traces for each in self.counts[:first])
        traces = slice(passed, passed + sum(each.traces for each in self.counts[first:stop]))
        rows = self.rows[:, first : stop + 1]
        occurring = (rows[:, 0] < rows[:, -1]).nonzero()[0]
        starts, stops = rows[:, 0].tolist(), rows[:, -1].tolist()
        return Batch(
            trace_id=self.trace_id[traces],
            arrival_ns=self.arrival_ns[traces],
            columns=tuple(
                self.columns[index].part(starts[index], stops[index], first=passed)
                for index in occurring.tolist()
            ),
            edges_ns=self.edges_ns[first:stop],
            rows=rows[occurring] - rows[occurring, :1],
            counts=self.counts[first:stop],
        )
