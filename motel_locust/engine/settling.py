"""A recorded trace as it is sent: parents found, times put right, kinds filled in.

No trace is sent that no service could have made: a span whose parent is not there becomes a root,
so does the first of spans that are each other's parents, and none starts before its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from motel_locust.engine.columns import Kind

if TYPE_CHECKING:
    from motel_locust.engine.recorded import RecordedTrace

ROOT: Final = -1


@dataclass(frozen=True, slots=True)
class Settled:
    """A trace, span by span in the order of the recording.

    parent    place of the parent among the spans, ROOT where there is none
    start_ns  Unix time, not before the parent's
    end_ns    Unix time, not before the start; it may be after the parent's
    kind      the recorded one, else by the parent: SERVER without one, INTERNAL of one service
    """

    trace: RecordedTrace
    parent: list[int]
    start_ns: list[int]
    end_ns: list[int]
    kind: list[Kind]
    orphans: int
    """Spans that name a parent which is not in the trace."""
    circles: int
    """Spans that became roots because their ancestors came round to themselves."""
    moved: int
    """Spans that started before their parents."""

    @property
    def failed(self) -> bool:
        """Whether any root failed."""
        spans = self.trace.spans
        return any(spans[i].failed for i, parent in enumerate(self.parent) if parent == ROOT)


def settle(trace: RecordedTrace) -> Settled:
    """Return *trace* as it is sent.

    Where several spans have one id, the last of them is the parent of those that name it.
    """
    spans = trace.spans
    place = {span.span_id: i for i, span in enumerate(spans)}
    parent = [place.get(span.parent_id, ROOT) if span.parent_id else ROOT for span in spans]
    start_ns, end_ns = [span.start_ns for span in spans], [span.end_ns for span in spans]
    orphans = sum(1 for i, span in zip(parent, spans, strict=True) if i == ROOT and span.parent_id)
    circles = moved = 0
    done = [False] * len(spans)
    for first in range(len(spans)):
        path, circle = _ascent(first, parent, done)
        if circle:
            parent[min(circle, key=lambda i: (start_ns[i], i))] = ROOT
            circles += 1
            path, _ = _ascent(first, parent, done)
        for each in reversed(path):
            above = parent[each]
            if above != ROOT and start_ns[each] < start_ns[above]:
                start_ns[each] = start_ns[above]
                end_ns[each] = max(end_ns[each], start_ns[each])
                moved += 1
            done[each] = True
    kind = []
    for span, above in zip(spans, parent, strict=True):
        if span.kind is not None:
            kind.append(span.kind)
        elif above == ROOT:
            kind.append(Kind.SERVER)
        else:
            same = spans[above].service == span.service
            kind.append(Kind.INTERNAL if same else Kind.CLIENT)
    return Settled(trace, parent, start_ns, end_ns, kind, orphans, circles, moved)


def _ascent(first: int, parent: list[int], done: list[bool]) -> tuple[list[int], list[int]]:
    """Return the spans from *first* up to a root or one that is done, and the circle it ends in."""
    path: dict[int, None] = {}  # a set that keeps the order
    here = first
    while here != ROOT and not done[here]:
        if here in path:
            ascent = list(path)
            return ascent, ascent[ascent.index(here) :]
        path[here] = None
        here = parent[here]
    return list(path), []
