"""The Collector that judges all the rest is itself what it should be."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.integration.collector import Collector

StartCollector = Callable[..., Collector]


def attribute(key: str, **value: object) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(**value))


def full_span(number: int) -> Span:
    """Return a span in which every kind of field is set, the awkward values among them."""
    return Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=(number + 1).to_bytes(8, "big"),
        parent_span_id=bytes(7) + b"\xff",
        trace_state="vendor=value",
        name="GET /käse",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=1_700_000_000_000_000_001,  # no float64 holds it
        end_time_unix_nano=2**63 + 1,
        attributes=[
            attribute("text", string_value='"quoted"\n'),
            attribute("yes", bool_value=True),
            attribute("least", int_value=-(2**63)),
            attribute("ratio", double_value=0.1),
        ],
        events=[
            Span.Event(time_unix_nano=5, name="event", attributes=[attribute("n", int_value=1)])
        ],
        links=[Span.Link(trace_id=b"\xfe" * 16, span_id=b"\xef" * 8)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="why"),
        flags=0x101,
    )


def request_of(*spans: Span) -> ExportTraceServiceRequest:
    resource = Resource(attributes=[attribute("service.name", string_value="shop")])
    scope = InstrumentationScope(name="tests")
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=list(spans))]
            )
        ]
    )


def post(collector: Collector, body: bytes) -> int:
    connection = http.client.HTTPConnection(urlsplit(collector.endpoint).netloc, timeout=10)
    headers = {"Content-Type": "application/x-protobuf"}
    connection.request("POST", "/v1/traces", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_spans_come_back_as_they_were_sent(collector: StartCollector) -> None:
    sink = collector()
    spans = [full_span(number) for number in range(1, 301)]
    for first in range(0, len(spans), 100):
        body = request_of(*spans[first : first + 100]).SerializeToString()
        assert post(sink, body) == 200

    sink.stop()

    collected = sink.spans()
    assert [each.span for each in collected] == spans
    assert {(each.service, each.scope.name) for each in collected} == {("shop", "tests")}


def test_metrics_count_what_was_accepted(collector: StartCollector) -> None:
    sink = collector("nop", metrics=True)
    assert sink.metric("otelcol_receiver_accepted_spans") == 0

    assert post(sink, request_of(full_span(1), full_span(2)).SerializeToString()) == 200

    assert sink.metric("otelcol_receiver_accepted_spans") == 2


def test_garbage_is_refused_and_leaves_nothing(collector: StartCollector) -> None:
    sink = collector()

    assert post(sink, b"\xff\xff\xff") == 400

    sink.stop()
    assert sink.spans() == []


def test_two_collectors_do_not_meet(collector: StartCollector) -> None:
    first, second = collector(), collector()
    post(first, request_of(full_span(1)).SerializeToString())

    first.stop()
    second.stop()

    assert (len(first.spans()), len(second.spans())) == (1, 0)


def test_spans_are_not_read_from_a_running_collector(collector: StartCollector) -> None:
    with pytest.raises(AssertionError, match="still holds back"):
        collector().spans()
