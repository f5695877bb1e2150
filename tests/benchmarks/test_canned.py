from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.canned import renewing
from benchmarks.generation import Stream
from benchmarks.runs import TOPOLOGY


def trace_ids(content: bytes) -> list[bytes]:
    """Return the trace id of each span in *content*."""
    return [span.trace_id for span in spans(ExportTraceServiceRequest.FromString(content))]


def spans(request: ExportTraceServiceRequest):
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def without_trace_ids(content: bytes) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest.FromString(content)
    for span in spans(request):
        span.ClearField("trace_id")
    return request


def test_a_renewed_body_differs_in_its_trace_ids_alone() -> None:
    stream = Stream(TOPOLOGY, body_bytes=20_000)
    content, number = next(stream.bodies(stream.walk()))
    renewed = renewing(content, number)
    bodies = [renewed() for _ in range(300)]
    seen = [frozenset(trace_ids(body)) for body in bodies]
    assert len(frozenset.union(*seen)) == 300 * len(seen[0])
    assert without_trace_ids(bodies[299]) == without_trace_ids(content)
    shape = [trace_ids(content).index(each) for each in trace_ids(content)]
    assert [trace_ids(bodies[299]).index(each) for each in trace_ids(bodies[299])] == shape
