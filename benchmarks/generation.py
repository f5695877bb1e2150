"""Generation and encoding on one core, beside the OpenTelemetry SDK in the same run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from motel_locust.engine.engine import Engine
from motel_locust.otlp.allocator import keep_memory
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Speed:
    """Spans per second of one core, walked alone and walked and encoded."""

    name: str
    walked_per_s: float
    encoded_per_s: float
    bytes_per_span: float


def measure(path: Path, *, spans: int = 4_000_000) -> Speed:
    """Return the speed of the engine on the topology at *path*, over about *spans* spans."""
    keep_memory()
    topology = read_topology(str(path)).topology
    speeds = []
    size = made = 0
    for encodes in (False, True):
        engine = Engine(topology, seed=1, epoch_ns=0, rate_per_s=1_000_000.0)
        encoder = BatchEncoder({name: {} for name in topology.services})
        engine.join(0, 0)
        for batch in (engine.walk(SECOND_NS) for _ in range(5)):  # templates and plans are made
            encoder.encode(batch)
        size = made = 0
        began = time.process_time()
        while made < spans:
            batch = engine.walk(engine.walked_ns + SECOND_NS)
            made += sum(part.spans for part in batch.counts)
            if encodes:
                size += sum(parcel.size for parcel in encoder.encode(batch))
        speeds.append(made / (time.process_time() - began))
    return Speed(path.stem, speeds[0], speeds[1], size / made)


class _Encoding(SpanExporter):
    """Encodes batches of 512 spans, as the SDK's own batch processor hands them out."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def export(self, spans) -> SpanExportResult:
        self._spans += spans
        if len(self._spans) >= 512:
            encode_spans(self._spans).SerializeToString()
            self._spans.clear()
        return SpanExportResult.SUCCESS


def measure_sdk(*, traces: int = 5_000) -> float:
    """Return the spans per second of one core at which the SDK makes and encodes the same spans.

    The tree and the attributes are those of ``topologies/four-services.yaml``, their values fixed.
    """
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_Encoding()))
    tracer = provider.get_tracer("benchmark")
    began = time.process_time()
    for _ in range(traces):
        with tracer.start_as_current_span("GET /api/users", kind=SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", "GET")
            span.set_attribute("http.response.status_code", 200)
            with tracer.start_as_current_span("query", kind=SpanKind.CLIENT) as query:
                query.set_attribute("db.system", "postgresql")
                with tracer.start_as_current_span("execute", kind=SpanKind.CLIENT) as execute:
                    execute.set_attribute("db.rows", 50)
            with tracer.start_as_current_span("get", kind=SpanKind.CLIENT) as get:
                get.set_attribute("cache.hit", value=True)
    return 4 * traces / (time.process_time() - began)
