"""Is a trace whole? What is wrong with the traces that came, with an example of each fault.

A trace is judged when nothing has come for it for a while. Where more comes than can be looked at,
a share of the traces is: one in N, chosen by a hash of the trace id, so that a trace is seen with
all of its spans or not at all. Memory is bounded whatever comes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
NO_PARENTS: Final = (b"", bytes(SPAN_ID_BYTES))

SPANS_PER_S: Final = 10_000
"""Judged at most, about: some 3 % of a core. N follows from it."""
OPEN_SPANS: Final = 100_000
"""Kept at most, but for what comes of traces that are taken in already; some 30 MB."""


class Row(NamedTuple):
    """What judging needs of a span."""

    span_id: bytes
    parent_id: bytes
    start_ns: int
    name: str
    service: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a trace."""

    kind: str
    example: str


@dataclass(slots=True)
class FaultCount:
    """How many traces have one kind of fault, and the first of them."""

    traces: int
    example: str


@dataclass(slots=True, eq=False)
class OpenTrace:
    """A trace that may still grow."""

    heard_s: float
    rows: list[Row] = field(default_factory=list)


class Judge:
    """Collects the spans of chosen traces and judges each trace when it has been quiet.

    Args:
        settle_s: How long a trace must have been quiet.
        now_s: The present time, by the clock of all other times here.
        spans_per_s: How many spans may be taken in, about.
        open_spans: No further trace is taken in while as many spans are kept.
    """

    def __init__(
        self,
        *,
        settle_s: float,
        now_s: float,
        spans_per_s: float = SPANS_PER_S,
        open_spans: int = OPEN_SPANS,
    ) -> None:
        self._settle_s = settle_s
        self._spans_per_s = spans_per_s
        self._open_limit = open_spans
        self._open: dict[bytes, OpenTrace] = {}
        self._open_spans = 0
        self._taken_in = 0
        self._looked_s = now_s
        self.one_in = 1
        """The N of "one in N traces", at present; a power of two."""
        self.judged = 0
        """Traces judged."""
        self.unfinished = 0
        """Traces that were still coming in, incomplete, when the end came."""
        self.redelivered = 0
        """Spans that came again, unchanged, as OTLP allows."""
        self.faults: dict[str, FaultCount] = {}

    def add(
        self,
        service: str,
        spans: Iterable[Span],
        *,
        traces: set[bytes],
        fresh: set[bytes],
        now_s: float,
    ) -> None:
        """Take in the *spans* of one service, those of *traces*, of which *fresh* are new."""
        if self._open_spans < self._open_limit:
            for trace_id in fresh:
                if zlib.crc32(trace_id) % self.one_in == 0:
                    self._open[trace_id] = OpenTrace(now_s)
        chosen = traces & self._open.keys()
        if not chosen:
            return
        for trace_id in chosen:
            self._open[trace_id].heard_s = now_s
        taken_in = 0
        for span in spans:
            trace = self._open.get(span.trace_id)
            if trace is not None:
                trace.rows.append(
                    Row(
                        span.span_id,
                        span.parent_span_id,
                        span.start_time_unix_nano,
                        span.name,
                        service,
                    )
                )
                taken_in += 1
        self._taken_in += taken_in
        self._open_spans += taken_in

    def look(self, now_s: float) -> None:
        """Judge what has been quiet long enough, and choose N anew; call it once a second or so."""
        quiet = [
            trace_id
            for trace_id, trace in self._open.items()
            if now_s - trace.heard_s >= self._settle_s
        ]
        for trace_id in quiet:
            self._judge(trace_id, finished=True)
        elapsed_s = now_s - self._looked_s
        if elapsed_s > 0:
            rate = self._taken_in / elapsed_s
            if rate > self._spans_per_s:
                self.one_in *= 2 ** int(rate / self._spans_per_s).bit_length()
            elif rate < self._spans_per_s / 4 and self.one_in > 1:
                self.one_in //= 2
        self._taken_in, self._looked_s = 0, now_s

    def finish(self, now_s: float) -> None:
        """Judge all that is left; what had not been quiet and lacks spans is only unfinished."""
        for trace_id, trace in list(self._open.items()):
            self._judge(trace_id, finished=now_s - trace.heard_s >= self._settle_s)

    def _judge(self, trace_id: bytes, *, finished: bool) -> None:
        rows = self._open.pop(trace_id).rows
        self._open_spans -= len(rows)
        distinct = list(dict.fromkeys(rows))
        self.redelivered += len(rows) - len(distinct)
        faults = {fault.kind: fault for fault in find_faults(trace_id, distinct)}
        if not finished and faults.keys() & MAY_STILL_COME:
            self.unfinished += 1
            faults = {kind: fault for kind, fault in faults.items() if kind not in MAY_STILL_COME}
        self.judged += 1
        for fault in faults.values():
            count = self.faults.setdefault(fault.kind, FaultCount(0, fault.example))
            count.traces += 1


MISSING_PARENT: Final = "missing parent"
NO_ROOT: Final = "no root"
SEVERAL_ROOTS: Final = "several roots"
DUPLICATE_ID: Final = "duplicate span id"
CHILD_FIRST: Final = "child before parent"
INVALID_ID: Final = "invalid id"

MAY_STILL_COME: Final = frozenset({MISSING_PARENT, NO_ROOT})
"""Faults that the next span could mend."""


def find_faults(trace_id: bytes, rows: Sequence[Row]) -> Iterator[Fault]:
    """Yield what is wrong with the trace of *rows*; a kind may come several times."""
    trace = f"trace {trace_id.hex() or '(empty)'}"
    if len(trace_id) != TRACE_ID_BYTES or not any(trace_id):
        yield Fault(INVALID_ID, f"{trace}, with {_span(rows[0])}")
    by_id: dict[bytes, Row] = {}
    for row in rows:
        if len(row.span_id) != SPAN_ID_BYTES or not any(row.span_id):
            yield Fault(INVALID_ID, f"{trace}: {_span(row)}")
        elif row.span_id in by_id:
            other = _span(by_id[row.span_id])
            yield Fault(DUPLICATE_ID, f"{trace}: {_span(row)} and {other}")
        by_id.setdefault(row.span_id, row)
    roots = [row for row in rows if row.parent_id in NO_PARENTS]
    if not roots:
        yield Fault(NO_ROOT, f"{trace}: every one of its {len(rows)} spans names a parent")
    elif len(roots) > 1:
        yield Fault(SEVERAL_ROOTS, f"{trace}: {_span(roots[0])} and {_span(roots[1])}")
    for row in rows:
        if row.parent_id in NO_PARENTS:
            continue
        parent = by_id.get(row.parent_id)
        if parent is None:
            yield Fault(MISSING_PARENT, f"{trace}: {_span(row)} names {row.parent_id.hex()}")
        elif row.start_ns < parent.start_ns:
            early_ns = parent.start_ns - row.start_ns
            yield Fault(
                CHILD_FIRST, f"{trace}: {_span(row)} starts {early_ns} ns before {_span(parent)}"
            )


def _span(row: Row) -> str:
    return f'span {row.span_id.hex() or "(empty)"} "{row.name}" of {row.service}'
