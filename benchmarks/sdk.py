"""The OpenTelemetry SDK making and encoding spans that are given: what the engine is compared with.

Spans are read out of a request first, so that what is timed makes these very spans, the fastest way
that the SDK's public interface has: attributes and links with the start, explicit times, the
parent's context made once, no thread, no copy of the environment.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span
    from opentelemetry.trace import Tracer

BATCH_SPANS = 512
"""What the SDK's batch processor hands to its exporter at once, by default."""

ROOT = -1


class Given(NamedTuple):
    """A span as the SDK takes it; ``parent`` is its place in its trace, or ROOT."""

    tracer: Tracer
    parent: int
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any], int]]
    links: list[Link]
    status: Status | None


class Encoder(SpanExporter):
    """Keeps what it is given as bytes, each export one request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.requests.append(encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS


class Batches(SpanProcessor):
    """Hands spans on in batches, as the SDK's own processor does, but without its thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._ended.append(span)
        if len(self._ended) == BATCH_SPANS:
            self.flush()

    def flush(self) -> None:
        """Hand on what has ended since the last batch was full."""
        if self._ended:
            self._exporter.export(self._ended)
            self._ended = []


class Sdk:
    """Providers, one for each service, that make the spans of a request once more."""

    def __init__(self, request: ExportTraceServiceRequest) -> None:
        self._encoder = Encoder()
        self._batches = Batches(self._encoder)
        self.spans = given(
            (self._tracer(resource_spans, scope_spans.scope), span)
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        )

    def run(self) -> list[bytes]:
        """Make and encode every span; return the requests."""
        contexts: list[Context] = []
        none = Context()
        for (
            tracer,
            parent,
            name,
            kind,
            start_ns,
            end_ns,
            attributes,
            events,
            links,
            status,
        ) in self.spans:
            if parent == ROOT:
                contexts.clear()  # nobody keeps the spans of a trace that is over
            span = tracer.start_span(
                name,
                none if parent == ROOT else contexts[parent],
                kind,
                attributes,
                links,
                start_ns,
            )
            contexts.append(set_span_in_context(span, none))
            for event in events:
                span.add_event(*event)
            if status is not None:
                span.set_status(status)
            span.end(end_ns)
        self._batches.flush()
        requests, self._encoder.requests = self._encoder.requests, []
        return requests

    def _tracer(self, resource_spans: ResourceSpans, scope: InstrumentationScope) -> Tracer:
        provider = TracerProvider(
            resource=Resource(values(resource_spans.resource.attributes)), shutdown_on_exit=False
        )
        provider.add_span_processor(self._batches)
        return provider.get_tracer(scope.name, scope.version, None, values(scope.attributes))


@contextmanager
def sdk_beside(content: bytes) -> Iterator[Callable[[], float]]:
    """Make the spans of a request's *content* in a process of their own, whenever that is asked.

    Yields what makes them once and returns spans per second of CPU. What the SDK leaves in a heap
    would slow down whoever shares it.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _take, (content,)) as pool:
        yield lambda: pool.submit(_lap).result()


_TAKEN: list[Sdk] = []
"""What a process of the pool makes again and again."""


def _take(content: bytes) -> None:
    _TAKEN.append(Sdk(ExportTraceServiceRequest.FromString(content)))
    _lap()


def _lap() -> float:
    (sdk,) = _TAKEN
    gc.collect()
    began_s = time.process_time()
    sdk.run()
    return len(sdk.spans) / (time.process_time() - began_s)


def given(spans: Iterable[tuple[Tracer, Span]]) -> list[Given]:
    """Return *spans* trace by trace, each after its parent; the parents must be among them."""
    waiting: dict[tuple[bytes, bytes], list[tuple[Tracer, Span]]] = {}
    for tracer, span in spans:
        waiting.setdefault((span.trace_id, span.parent_span_id), []).append((tracer, span))
    found: list[Given] = []
    for (trace_id, parent_id), roots in waiting.items():
        if parent_id:
            continue
        todo = [(ROOT, each) for each in reversed(roots)]
        place = 0
        while todo:
            parent, (tracer, span) = todo.pop()
            place = 0 if parent == ROOT else place + 1
            children = waiting.get((trace_id, span.span_id), [])
            todo += [(place, each) for each in reversed(children)]
            found.append(_given(tracer, parent, span))
    if len(found) != sum(map(len, waiting.values())):
        raise ValueError("a span's parent is not among the spans")
    return found


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Return *attributes* as the SDK takes them."""
    found: dict[str, Any] = {}
    for attribute in attributes:
        value = attribute.value
        form = str(value.WhichOneof("value"))
        if form == "array_value":
            found[attribute.key] = [each.string_value for each in value.array_value.values]
        else:
            found[attribute.key] = getattr(value, form)
    return found


def _given(tracer: Tracer, parent: int, span: Span) -> Given:
    events = [(e.name, values(e.attributes), e.time_unix_nano) for e in span.events]
    links = [
        Link(
            SpanContext(
                int.from_bytes(link.trace_id, "big"),
                int.from_bytes(link.span_id, "big"),
                is_remote=False,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            ),
            values(link.attributes),
        )
        for link in span.links
    ]
    failed = span.status.code == span.status.STATUS_CODE_ERROR
    return Given(
        tracer=tracer,
        parent=parent,
        name=span.name,
        kind=SpanKind(span.kind - 1),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=values(span.attributes),
        events=events,
        links=links,
        status=Status(StatusCode.ERROR, span.status.message) if failed else None,
    )
