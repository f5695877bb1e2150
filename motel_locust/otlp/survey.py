"""What there is in a recording, found by reading all of it before anything is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from motel_locust.engine.settling import ROOT, settle
from motel_locust.otlp.recorded_fields import FormatError
from motel_locust.topology.diagnostics import Diagnostic, TopologyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from motel_locust.engine.recorded import RecordedTrace
    from motel_locust.otlp.recording_file import RecordingReader


@dataclass(slots=True)
class Survey:
    """The size of a recording, its time and what is odd about it.

    Times are Unix time, as they are sent: no span before its parent.
    """

    traces: int = 0
    spans: int = 0
    errors: int = 0
    failed_traces: int = 0
    """Those with a root that failed."""
    first_ns: int = 2**63 - 1
    """The first start of all spans."""
    last_start_ns: int = 0
    """The first start of the trace that starts last."""
    last_ns: int = 0
    """The last end of all spans."""
    longest_ns: int = 0
    """The time from the first start to the last end of the longest trace."""
    ordered: bool = True
    """Whether traces come in the order of their first starts."""
    services: set[str] = field(default_factory=set)
    roots: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Traces by service and operation of each of their roots."""
    oddities: Counter[str] = field(default_factory=Counter)
    """Spans by what was put right about them, see ``ODDITIES``."""

    def add(self, trace: RecordedTrace) -> None:
        """Count *trace*, which has spans."""
        settled = settle(trace)
        start_ns = min(settled.start_ns)
        self.traces += 1
        self.spans += len(trace.spans)
        self.errors += sum(1 for span in trace.spans if span.failed)
        self.failed_traces += settled.failed
        self.ordered = self.ordered and start_ns >= self.last_start_ns
        self.first_ns = min(self.first_ns, start_ns)
        self.last_start_ns = max(self.last_start_ns, start_ns)
        last_ns = max(settled.end_ns)
        self.last_ns = max(self.last_ns, last_ns)
        self.longest_ns = max(self.longest_ns, last_ns - start_ns)
        self.services.update([span.service for span in trace.spans])
        for span, parent in zip(trace.spans, settled.parent, strict=True):
            if parent == ROOT and len(self.roots) < MOST_ROOTS:
                self.roots[span.service, span.operation] += 1
        self.oddities.update(orphans=settled.orphans, circles=settled.circles, moved=settled.moved)

    @property
    def length_ns(self) -> int:
        """The time from the first start to the last end."""
        return self.last_ns - self.first_ns

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name, as JSON has them."""
        return {
            "traces": self.traces,
            "spans": self.spans,
            "errors": self.errors,
            "failed_traces": self.failed_traces,
            "services": len(self.services),
            "seconds": self.length_ns / 1e9,
            **{name: self.oddities[name] for name in ODDITIES},
        }

    def warnings(self, name: str) -> Iterator[Diagnostic]:
        """Yield what was put right in the recording *name*."""
        for oddity, (one, several, code) in ODDITIES.items():
            if count := self.oddities[oddity]:
                message = f"{count:,} {one if count == 1 else several}"
                yield Diagnostic(name, 0, 0, message, code, severity="warning")


ODDITIES: Final = {
    "orphans": (
        "span names a parent that is not in its trace: sent as a root",
        "spans name parents that are not in their traces: sent as roots",
        "missing-parent",
    ),
    "circles": (
        "span is its own ancestor: sent as a root",
        "spans are their own ancestors: sent as roots",
        "parent-circle",
    ),
    "moved": (
        "span starts before its parent: moved to the parent's start",
        "spans start before their parents: moved to the parents' starts",
        "early-child",
    ),
}
"""What is put right: in words, of one span and of several, and the code of its warning."""

# Names may hold ids; people look at a few.
MOST_ROOTS: Final = 1000


def survey(
    reader: RecordingReader, name: str, *, visit: Callable[[RecordedTrace], object]
) -> Survey:
    """Return what *reader* finds to the end; *visit* is given every trace.

    Raises:
        TopologyError: with all that is wrong with the recording: what cannot be read, what *visit*
            raised FormatError for, or that there is no span.
    """
    found = Survey()
    for trace in reader:
        found.add(trace)
        try:
            visit(trace)
        except FormatError as problem:
            reader.refuse(str(problem), trace.line)
    reader.check()
    if not found.spans:
        raise TopologyError([Diagnostic(name, 0, 0, "holds no span", "empty-recording")])
    return found
