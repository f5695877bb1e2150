"""Single-span traces made by the OpenTelemetry SDK, at their pace."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from motel_locust import __version__
from motel_locust.commands.sdk_export import without_variables
from motel_locust.engine.columns import EXCEPTION_TYPE
from motel_locust.otlp.bodies import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from motel_locust.commands.interruption import Interruption
    from motel_locust.commands.sdk_export import Account
    from motel_locust.otlp.ledger import Ledger

BATCH_SPANS: Final = 512
FLUSH_S: Final = 0.1
"""A batch is exported at the latest this long after its first span, as in a run."""
NS_PER_S: Final = 1_000_000_000
UNLIMITED: Final = SpanLimits.UNSET
MESSAGE: Final = "synthetic error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to emit."""

    service: str
    operation: str
    duration_ns: int
    error_rate: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: SpanKind = SpanKind.SERVER
    trace_id: int | None = None
    """The trace that every span joins; None: each one begins a trace of its own."""
    parent_id: int | None = None
    """The span, in that trace, that is every span's parent."""
    count: int | None = None
    """How many spans; None: as many as fit."""
    for_s: float | None = None
    """For how long; None: until they are sent."""
    per_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Emitted:
    """What was emitted."""

    spans: int
    errors: int
    elapsed_s: float
    """From the first span to the end of the last, before the last export."""
    last: SpanContext | None
    """The ids of the last span; None if there was none."""


class _Ids(RandomIdGenerator):
    """Random ids, but for that of a trace that was asked for."""

    def __init__(self, trace_id: int | None) -> None:
        self._trace_id = trace_id

    def generate_trace_id(self) -> int:
        return self._trace_id or super().generate_trace_id()


class _Batches(SpanProcessor):
    """Collects the spans that ended, and exports them in this very thread.

    The SDK's own processor drops spans when its queue is full, and tells nobody how many. Here a
    slow endpoint holds the loop up instead, and every span is accounted for.
    """

    def __init__(self, account: Account, ledger: Ledger) -> None:
        self._account = account
        self._ledger = ledger
        self._batch: list[ReadableSpan] = []
        self._due_s = 0.0
        self.spans = 0
        self.errors = 0
        self.last: SpanContext | None = None

    @property
    def due_s(self) -> float | None:
        """When the batch is to be exported, on the monotonic clock; None if it is empty."""
        return self._due_s if self._batch else None

    def on_end(self, span: ReadableSpan) -> None:
        """Take *span*, and export the batch if it is full."""
        self._ledger.generate("traces", 1)
        self.spans += 1
        self.errors += span.status.status_code is StatusCode.ERROR
        self.last = span.get_span_context()
        if not self._batch:
            self._due_s = time.monotonic() + FLUSH_S
        self._batch.append(span)
        if len(self._batch) == BATCH_SPANS:
            self.export()

    def export(self) -> None:
        """Export what was collected, if anything."""
        if self._batch:
            spans, self._batch = self._batch, []
            self._account.export(spans)


def emit_spans(
    order: Order,
    account: Account,
    ledger: Ledger,
    interruption: Interruption,
    *,
    advance: Callable[[], None],
) -> Emitted:
    """Emit what *order* says and return what that was; every span is settled in *ledger*.

    Span n is due n / rate after the first, however long the others took. An *interruption* ends it
    early: what was begun is exported, unless a second one ends that too. *advance* is called after
    every span.
    """
    batches = _Batches(account, ledger)
    tracer = _tracer(order, batches)
    began_s = time.monotonic()
    try:
        for nth in count() if order.count is None else range(order.count):
            offset_s = nth / order.per_s
            if order.for_s is not None and offset_s >= order.for_s:
                break
            interruption.raise_if_asked()
            _wait_until(began_s + offset_s, batches, interruption)
            _emit_one(order, tracer)
            advance()
    except KeyboardInterrupt:
        pass  # asked to end: what was emitted counts
    elapsed_s = time.monotonic() - began_s
    with suppress(KeyboardInterrupt):
        batches.export()
    return Emitted(batches.spans, batches.errors, elapsed_s, batches.last)


def _wait_until(due_s: float, batches: _Batches, interruption: Interruption) -> None:
    """Wait, exporting meanwhile what is due."""
    while (now_s := time.monotonic()) < due_s:
        flush_s = batches.due_s
        if flush_s is not None and flush_s <= now_s:
            batches.export()
            continue
        with interruption.allowed():
            interruption.raise_if_asked()
            time.sleep(min(due_s, flush_s or due_s) - now_s)


def _tracer(order: Order, batches: _Batches) -> Tracer:
    with without_variables():
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": order.service, "motel.version": __version__}),
            shutdown_on_exit=False,
            id_generator=_Ids(order.trace_id),
            span_limits=SpanLimits(
                max_attributes=UNLIMITED,
                max_span_attributes=UNLIMITED,
                max_attribute_length=UNLIMITED,
                max_span_attribute_length=UNLIMITED,
            ),
        )
        provider.add_span_processor(batches)
        return provider.get_tracer(NAME, __version__, attributes={"motel.synthetic": True})


def _emit_one(order: Order, tracer: Tracer) -> None:
    start_ns = time.time_ns()
    end_ns = start_ns + order.duration_ns
    span = tracer.start_span(
        order.operation,
        context=_parent(order),
        kind=order.kind,
        attributes={
            "synth.service": order.service,
            "synth.operation": order.operation,
            **order.attributes,
        },
        start_time=start_ns,
    )
    if random.random() < order.error_rate:  # noqa: S311  # nothing secret hangs on it
        span.set_status(Status(StatusCode.ERROR, MESSAGE))
        span.add_event(
            "exception",
            {"exception.type": EXCEPTION_TYPE, "exception.message": MESSAGE},
            timestamp=end_ns,
        )
    span.end(end_ns)


def _parent(order: Order) -> Context | None:
    if order.trace_id is None or order.parent_id is None:
        return None
    parent = SpanContext(
        order.trace_id, order.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return set_span_in_context(NonRecordingSpan(parent))
