"""What a real Collector reads out of compressed bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.generation import SIX_ATTRIBUTES, Stream
from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.settings import COMPRESSIONS, Flags, resolve
from motel_locust.otlp.transports import open_transport
from motel_locust.otlp.transports.compression import THREAD_BYTES
from tests.integration.collector import Collector


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_collector_reads_what_was_compressed(
    collector: Callable[..., Collector], compression: str
) -> None:
    sink = collector()
    bodies = [*small_bodies(), large_body()]
    transport = open_transport(resolve(Flags(endpoint=sink.endpoint, compression=compression), {}))
    for content in bodies:
        assert transport.send(content, len(spans_of(content))) == Answer(Cause.ACK)
    transport.close()
    sink.stop()
    sent = [span for content in bodies for span in spans_of(content)]
    for span in sent:
        span.status.SetInParent()  # the Collector writes an empty status too
    assert in_order(each.span for each in sink.spans()) == in_order(sent)


def small_bodies() -> list[bytes]:
    stream = Stream(SIX_ATTRIBUTES, body_bytes=16 << 10)
    return [content for content, _ in stream.bodies(stream.walk())][-3:]


def large_body() -> bytes:
    """Return one that is compressed in a thread: bodies joined, which makes another in protobuf."""
    stream = Stream(SIX_ATTRIBUTES)
    joined = b""
    while len(joined) < THREAD_BYTES:
        joined += b"".join(content for content, _ in stream.bodies(stream.walk()))
    return joined


def in_order(spans: Iterable[Span]) -> list[bytes]:
    """Return *spans* in a fixed order, as the Collector sorts resources the way it likes."""
    return sorted(span.SerializeToString() for span in spans)


def spans_of(content: bytes) -> list[Span]:
    return [
        span
        for resource_spans in ExportTraceServiceRequest.FromString(content).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
