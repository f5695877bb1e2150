"""From recorded traces to a tape: ids become words, everything else of a span becomes bytes.

Spans of one service, operation, kind and resource are rows of one track. What else they have
(attributes, status, the contents of events and links) is serialised by opentelemetry-proto, and
kept once for all spans of a track that have the same. So nothing of a recording gets lost on the
way, whatever it holds.
"""

from __future__ import annotations

import marshal
from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from motel_locust.engine.settling import ROOT, settle
from motel_locust.engine.tape import Tape
from motel_locust.otlp.recorded_ids import hashed_words, preserved_words
from motel_locust.otlp.tracks import TrackBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.columns import Kind
    from motel_locust.engine.recorded import RecordedSpan, RecordedTrace, RecordedValue

MOST_OPERATIONS: Final = 1000
"""So many operations of a tape are told apart in statistics, as names may hold ids."""
OTHERS: Final = "(other operations)"


class _Place(NamedTuple):
    """What the rows of one track have in common."""

    service: str
    operation: str
    resource: str
    kind: Kind
    has_parent: bool


class TapeBuilder:
    """Puts traces on a tape, one after the other.

    With *preserve_ids* ids stay as they are, and have to be of the right form.

    Attributes:
        spans: how many there are so far.
        resources: the attributes of the tape's resources, by the name that shapes have for them;
            ``service.name`` among them.
    """

    def __init__(self, *, preserve_ids: bool = False) -> None:
        self.spans = 0
        self.resources: dict[str, Mapping[str, RecordedValue]] = {}
        self._preserve_ids = preserve_ids
        self._words = preserved_words if preserve_ids else hashed_words
        self._trace_words = bytearray()
        self._starts_ns, self._sizes, self._failed = array("q"), array("q"), bytearray()
        self._end_ns = 0
        self._tracks: dict[_Place, TrackBuilder] = {}
        self._operations: set[tuple[str, str]] = set()
        self._resources: dict[bytes, str] = {}

    def add(self, trace: RecordedTrace) -> None:
        """Put *trace* on the tape; it has at least one span. Raises FormatError for a wrong id."""
        words = self._words(trace)
        settled = settle(trace)
        number, start_ns = len(self._starts_ns), min(settled.start_ns)
        self._trace_words += words.trace
        self._starts_ns.append(start_ns)
        self._sizes.append(len(trace.spans))
        self._failed.append(settled.failed)
        self._end_ns = max(self._end_ns, *settled.end_ns)
        links = iter(words.links)
        for i, span in enumerate(trace.spans):
            parent = settled.parent[i]
            self._track(span, settled.kind[i], has_parent=parent != ROOT).add(
                span,
                trace=number,
                first_ns=start_ns,
                start_ns=settled.start_ns[i],
                end_ns=settled.end_ns[i],
                word=words.spans[i],
                parent=words.spans[parent],
                links=[next(links) for _ in span.links],
            )
        self.spans += len(trace.spans)

    def build(self) -> Tape:
        """Return the tape of what was added, at least one trace."""
        start_ns = np.frombuffer(self._starts_ns, np.int64)
        order = start_ns.argsort(kind="stable")
        index = np.empty_like(order)
        index[order] = np.arange(order.size)
        return Tape(
            trace=np.frombuffer(self._trace_words, np.uint64).reshape(-1, 2)[order],
            start_ns=start_ns[order],
            spans=np.frombuffer(self._sizes, np.int64)[order],
            failed=np.frombuffer(self._failed, np.bool_)[order],
            tracks=tuple(track.build(index) for track in self._tracks.values()),
            preserved=self._preserve_ids,
            end_ns=self._end_ns,
        )

    def _track(self, span: RecordedSpan, kind: Kind, *, has_parent: bool) -> TrackBuilder:
        name = span.service, span.operation
        if name not in self._operations:
            if len(self._operations) < MOST_OPERATIONS:
                self._operations.add(name)
            else:
                name = span.service, OTHERS
        place = _Place(*name, self._resource(span), kind, has_parent)
        track = self._tracks.get(place)
        if track is None:
            track = self._tracks[place] = TrackBuilder(**place._asdict())
        return track

    def _resource(self, span: RecordedSpan) -> str:
        """Return the name of the resource of *span*."""
        key = marshal.dumps((span.service, dict(span.resource)), 2)
        name = self._resources.get(key)
        if name is None:
            name = self._resources[key] = f"{span.service}\x1f{len(self._resources)}"
            self.resources[name] = {**span.resource, "service.name": span.service}
        return name
