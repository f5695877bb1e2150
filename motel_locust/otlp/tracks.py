"""The spans of one shape, put on a track one by one."""

from __future__ import annotations

import marshal
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from motel_locust.engine.columns import EXCEPTION_TYPE, LinkShape, Recorded, Shape
from motel_locust.engine.recorded import ERROR, OK, UNSET, RecordedStatus
from motel_locust.engine.tape import EventTrack, LinkTrack, Track
from motel_locust.otlp.attributes import key_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Kind
    from motel_locust.engine.recorded import RecordedAttributes, RecordedSpan

MADE_UP: Final = "synthetic error"
"""What is said of a span of which nothing but ``"error": true`` was recorded."""


class TrackBuilder:
    """Puts the spans of one service, operation, kind and resource on a track."""

    def __init__(
        self, *, service: str, operation: str, kind: Kind, has_parent: bool, resource: str
    ) -> None:
        self._shape = Shape(service, operation, kind, has_parent, (), resource=resource)
        self._trace, self._start_ns, self._end_ns = array("q"), array("q"), array("q")
        self._span, self._parent = array("Q"), array("Q")
        self._failed = bytearray()
        self._contents = _Contents()
        self._events: list[_Events] = []
        self._links: list[_Links] = []

    def add(
        self,
        span: RecordedSpan,
        *,
        trace: int,
        first_ns: int,
        start_ns: int,
        end_ns: int,
        word: int,
        parent: int,
        links: Sequence[tuple[bytes, int]],
    ) -> None:
        """Add *span* of the trace of number *trace*, which first started at *first_ns*.

        *word* and *parent* are the words of its id and its parent's (without meaning where there is
        none), *links* those of the spans that it is linked to.
        """
        row = len(self._trace)
        self._trace.append(trace)
        self._start_ns.append(start_ns - first_ns)
        self._end_ns.append(end_ns - first_ns)
        self._span.append(word)
        self._parent.append(parent)
        self._failed.append(span.failed)
        made_up = span.failed and span.status is None
        status = RecordedStatus(ERROR, MADE_UP) if made_up else span.status or _NO_STATUS
        self._contents.add(_span, span.operation, span.attributes, status.code, status.message)
        events = [(event.time_ns, event.name, event.attributes) for event in span.events]
        if made_up:
            events.append((end_ns, "exception", _EXCEPTION))
        for nth, (time_ns, name, attributes) in enumerate(events):
            if nth == len(self._events):
                self._events.append(_Events())
            self._events[nth].add(row, time_ns - first_ns, name, attributes)
        for nth, (link, words) in enumerate(zip(span.links, links, strict=True)):
            if nth == len(self._links):
                self._links.append(_Links())
            self._links[nth].add(row, words, link.attributes)

    def build(self, index: NDArray[np.int64]) -> Track:
        """Return the track; *index*, int64[traces], tells where a trace's number is on the tape."""
        trace = index[np.frombuffer(self._trace, np.int64)]
        order = trace.argsort(kind="stable")
        row = np.empty_like(order)
        row[order] = np.arange(order.size)
        return Track(
            shape=replace(
                self._shape,
                attributes=(self._contents.options,),
                own_events=tuple(events.contents.options for events in self._events),
                links=tuple(LinkShape((links.contents.options,)) for links in self._links),
                recorded=True,
            ),
            trace=trace[order],
            span=np.frombuffer(self._span, np.uint64)[order],
            parent=np.frombuffer(self._parent, np.uint64)[order]
            if self._shape.has_parent
            else None,
            start_ns=np.frombuffer(self._start_ns, np.int64)[order],
            end_ns=np.frombuffer(self._end_ns, np.int64)[order],
            failed=np.frombuffer(self._failed, np.bool_)[order],
            recorded=self._contents.index[order],
            events=tuple(events.build(row) for events in self._events),
            links=tuple(links.build(row) for links in self._links),
        )


_NO_STATUS: Final = RecordedStatus(UNSET)
_EXCEPTION: Final = {"exception.type": EXCEPTION_TYPE, "exception.message": MADE_UP}


class _Events:
    """The nth events of the spans that have so many."""

    def __init__(self) -> None:
        self.contents = _Contents()
        self._chosen, self._time_ns = array("q"), array("q")

    def add(self, row: int, time_ns: int, name: str, attributes: RecordedAttributes) -> None:
        self._chosen.append(row)
        self._time_ns.append(time_ns)
        self.contents.add(_event, name, attributes)

    def build(self, row: NDArray[np.int64]) -> EventTrack:
        chosen, order = _moved(self._chosen, row)
        time_ns = np.frombuffer(self._time_ns, np.int64)[order]
        return EventTrack(chosen, time_ns, self.contents.index[order])


class _Links:
    """The nth links of the spans that have so many."""

    def __init__(self) -> None:
        self.contents = _Contents()
        self._chosen, self._trace, self._span = array("q"), bytearray(), array("Q")

    def add(self, row: int, words: tuple[bytes, int], attributes: RecordedAttributes) -> None:
        trace, span = words
        self._chosen.append(row)
        self._trace += trace
        self._span.append(span)
        self.contents.add(_link, attributes)

    def build(self, row: NDArray[np.int64]) -> LinkTrack:
        chosen, order = _moved(self._chosen, row)
        return LinkTrack(
            chosen,
            np.frombuffer(self._trace, np.uint64).reshape(-1, 2)[order],
            np.frombuffer(self._span, np.uint64)[order],
            self.contents.index[order],
        )


def _moved(
    chosen: array[int], row: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the *chosen* rows as row i becomes ``row[i]``, ascending, and their order before."""
    moved = row[np.frombuffer(chosen, np.int64)]
    order = moved.argsort(kind="stable")
    return moved[order], order


class _Contents:
    """Serialised contents, equal ones kept once, and which of them each row has."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._serialised: list[bytes] = []
        self._index = array("q")

    def add(self, message: Callable[..., Message], *values: Any) -> None:
        """Let the next row have the *message* of *values*."""
        # Of the versions of marshal, the last one in which equal values always have equal bytes;
        # a third of the time that it takes to make and serialise the message.
        key = marshal.dumps(values, 2)
        index = self._known.get(key)
        if index is None:
            index = self._known[key] = len(self._serialised)
            self._serialised.append(_not_empty(message(*values)))
        self._index.append(index)

    @property
    def options(self) -> Recorded:
        """The contents."""
        return Recorded(tuple(self._serialised))

    @property
    def index(self) -> NDArray[np.int64]:
        """The index into the contents, in order of adding: int64[rows]."""
        return np.frombuffer(self._index, np.int64)


def _span(name: str, attributes: RecordedAttributes, code: str, message: str) -> Span:
    span = Span(name=name, attributes=key_values(attributes))
    if code != UNSET or message:
        span.status.CopyFrom(Status(code=_CODES[code], message=message))
    return span


def _event(name: str, attributes: RecordedAttributes) -> Span.Event:
    return Span.Event(name=name, attributes=key_values(attributes))


def _link(attributes: RecordedAttributes) -> Span.Link:
    return Span.Link(attributes=key_values(attributes))


_CODES: Final = {
    UNSET: Status.STATUS_CODE_UNSET,
    OK: Status.STATUS_CODE_OK,
    ERROR: Status.STATUS_CODE_ERROR,
}


def _not_empty(message: Message) -> bytes:
    """Return the bytes of *message*; of an empty one, a field that says 0 as its absence does."""
    content = message.SerializeToString()
    if content:
        return content
    *tag, _ = type(message)(dropped_attributes_count=1).SerializeToString()
    return bytes((*tag, 0))
