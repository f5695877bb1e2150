from __future__ import annotations

import json
import random
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from motel_locust.load.values import SIGNALS
from motel_locust.otlp.lines import message_text, request_line
from motel_locust.otlp.requests import ID_KEYS, REQUESTS
from tests.strategies import WIDTHS

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from motel_locust.otlp.ledger import Signal

# As a Collector 0.161.0 with otlp receiver and file exporter wrote the request below, but for the
# order of keys.
EXPECTED = """
{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
  "scopeSpans": [{
    "scope": {"name": "motel-locust", "version": "1"},
    "spans": [
      {"traceId": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "spanId": "0000000000000001",
       "parentSpanId": "00000000000000ff", "flags": 257, "name": "pay ü<&", "kind": 3,
       "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000001",
       "attributes": [
         {"key": "traceId", "value": {"stringValue": "AQ=="}},
         {"key": "int", "value": {"intValue": "-9223372036854775808"}},
         {"key": "zero", "value": {"intValue": "0"}},
         {"key": "bool", "value": {"boolValue": false}},
         {"key": "double", "value": {"doubleValue": 0.1}},
         {"key": "nan", "value": {"doubleValue": "NaN"}},
         {"key": "inf", "value": {"doubleValue": "-Infinity"}},
         {"key": "array", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
         {"key": "empty", "value": {"arrayValue": {}}}],
       "events": [{"timeUnixNano": "5", "name": "exception"}],
       "links": [{"traceId": "01010101010101010101010101010101", "spanId": "0202020202020202",
                  "flags": 257}],
       "status": {"message": "synthetic error", "code": 2}},
      {"name": "bare", "status": {}}]}]}]}
"""


def request() -> ExportTraceServiceRequest:
    values = {
        "traceId": AnyValue(string_value="AQ=="),
        "int": AnyValue(int_value=-(2**63)),
        "zero": AnyValue(int_value=0),
        "bool": AnyValue(bool_value=False),
        "double": AnyValue(double_value=0.1),
        "nan": AnyValue(double_value=float("nan")),
        "inf": AnyValue(double_value=float("-inf")),
        "array": AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")])),
        "empty": AnyValue(array_value=ArrayValue()),
    }
    span = Span(
        trace_id=bytes(range(0xA0, 0xB0)),
        span_id=b"\0\0\0\0\0\0\0\1",
        parent_span_id=b"\0\0\0\0\0\0\0\xff",
        flags=0x101,
        name="pay ü<&",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=1_700_000_000_000_000_000,
        end_time_unix_nano=1_700_000_000_000_000_001,
        attributes=[KeyValue(key=key, value=value) for key, value in values.items()],
        events=[Span.Event(time_unix_nano=5, name="exception")],
        links=[Span.Link(trace_id=b"\1" * 16, span_id=b"\2" * 8, flags=0x101)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="synthetic error"),
    )
    made = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span, Span(name="bare")])])]
    )
    (resource_spans,) = made.resource_spans
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource_spans.scope_spans[0].scope
    scope.name, scope.version = "motel-locust", "1"
    return made


def test_a_line_says_what_the_collectors_file_exporter_says():
    assert json.loads(request_line(request().SerializeToString(), "traces")) == json.loads(EXPECTED)


# As the same Collector wrote the requests below.
LOGS = """
{"resourceLogs": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
  "scopeLogs": [{
    "scope": {"name": "motel-locust"},
    "logRecords": [
      {"timeUnixNano": "1700000000000000000", "observedTimeUnixNano": "1700000000000000001",
       "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": "pay ü<&"},
       "attributes": [{"key": "n", "value": {"intValue": "3"}}], "flags": 1,
       "traceId": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "spanId": "0000000000000001"}]}]}]}
"""
METRICS = """
{"resourceMetrics": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
  "scopeMetrics": [{
    "scope": {"name": "motel-locust"},
    "metrics": [
      {"name": "requests", "unit": "1", "sum": {
        "dataPoints": [
          {"attributes": [{"key": "operation.name", "value": {"stringValue": "pay"}}],
           "startTimeUnixNano": "5", "timeUnixNano": "9", "asInt": "42",
           "exemplars": [{"timeUnixNano": "7", "asInt": "1", "spanId": "0202020202020202",
                          "traceId": "01010101010101010101010101010101"}]}],
        "aggregationTemporality": 2, "isMonotonic": true}},
      {"name": "took", "unit": "s", "histogram": {
        "dataPoints": [
          {"startTimeUnixNano": "5", "timeUnixNano": "9", "count": "3", "sum": 0.75,
           "bucketCounts": ["0", "3", "0"], "explicitBounds": [0.1, 0.5],
           "min": 0.25, "max": 0.5}],
        "aggregationTemporality": 1}},
      {"name": "level", "gauge": {"dataPoints": [{"timeUnixNano": "9", "asDouble": 0.5}]}}]}]}]}
"""


def named(attribute: str, value: AnyValue) -> list[KeyValue]:
    return [KeyValue(key=attribute, value=value)]


RESOURCE = Resource(attributes=named("service.name", AnyValue(string_value="shop")))
SCOPE = InstrumentationScope(name="motel-locust")


def log_request() -> ExportLogsServiceRequest:
    record = LogRecord(
        time_unix_nano=1_700_000_000_000_000_000,
        observed_time_unix_nano=1_700_000_000_000_000_001,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        body=AnyValue(string_value="pay ü<&"),
        attributes=named("n", AnyValue(int_value=3)),
        flags=1,
        trace_id=bytes(range(0xA0, 0xB0)),
        span_id=b"\0\0\0\0\0\0\0\1",
    )
    of_scope = ScopeLogs(scope=SCOPE, log_records=[record])
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=RESOURCE, scope_logs=[of_scope])]
    )


def metric_request() -> ExportMetricsServiceRequest:
    seen = Exemplar(time_unix_nano=7, as_int=1, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    times = {"start_time_unix_nano": 5, "time_unix_nano": 9}
    counted = NumberDataPoint(
        **times,
        as_int=42,
        exemplars=[seen],
        attributes=named("operation.name", AnyValue(string_value="pay")),
    )
    taken = HistogramDataPoint(
        **times,
        count=3,
        sum=0.75,
        min=0.25,
        max=0.5,
        bucket_counts=[0, 3, 0],
        explicit_bounds=[0.1, 0.5],
    )
    level = NumberDataPoint(time_unix_nano=9, as_double=0.5)
    total = Sum(is_monotonic=True, aggregation_temporality=2, data_points=[counted])
    metrics = [
        Metric(name="requests", unit="1", sum=total),
        Metric(
            name="took",
            unit="s",
            histogram=Histogram(aggregation_temporality=1, data_points=[taken]),
        ),
        Metric(name="level", gauge=Gauge(data_points=[level])),
    ]
    of_scope = ScopeMetrics(scope=SCOPE, metrics=metrics)
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=RESOURCE, scope_metrics=[of_scope])]
    )


def test_lines_of_logs_and_metrics_say_what_the_collectors_file_exporter_says():
    assert json.loads(request_line(log_request().SerializeToString(), "logs")) == json.loads(LOGS)
    metrics = request_line(metric_request().SerializeToString(), "metrics")
    assert json.loads(metrics) == json.loads(METRICS)


def test_a_line_is_one_line():
    made = request()
    made.resource_spans[0].scope_spans[0].spans[0].name = "two\nlines\r and \u2028 more"
    line = request_line(made.SerializeToString(), "traces")
    assert "\n" not in line
    assert "\r" not in line


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_request_without_items_is_a_line_too(signal: Signal):
    assert request_line(b"", signal) == "{}"


# The slow twin: google's own mapping, and the two places in which OTLP's differs.


def by_google(message: Message) -> str:
    fields = with_hexadecimal_ids(MessageToDict(message, use_integers_for_enums=True))
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def with_hexadecimal_ids(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: b64decode(inner).hex() if key in ID_KEYS else with_hexadecimal_ids(inner)
                for key, inner in value.items()
            }
        case list():
            return [with_hexadecimal_ids(inner) for inner in value]
        case _:
            return value


TEXTS = ("", "pay", '"', "\\", "a\nb\r\x00\x1f\x7f", "\u2028\ufeff", "😀 ö \U0010ffff", "traceId")
DOUBLES = (
    0.0,
    -0.0,
    1.0,
    0.1,
    1e16,
    1e22,
    5e-324,
    -1e-7,
    float("nan"),
    float("inf"),
    -float("inf"),
)


def fill(message: Message, chance: random.Random, depth: int) -> None:
    """Set some of the fields of *message*, also to what they are when they are not set."""
    for field in message.DESCRIPTOR.fields:
        outer = depth > 4  # there is something in them, so that there is something at all
        if not outer and chance.random() < 0.3:
            continue
        times = chance.choice((1, 1, 2) if outer else (0, 1, 2)) if field.is_repeated else 1
        for _ in range(times):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                if depth == 0:
                    continue
                inner = getattr(message, field.name)
                inner = inner.add() if field.is_repeated else inner
                inner.SetInParent()
                fill(inner, chance, depth - 1)
            elif field.is_repeated:
                getattr(message, field.name).append(value_of(field, chance))
            else:
                setattr(message, field.name, value_of(field, chance))


def value_of(field: FieldDescriptor, chance: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.choice((0, 1, 8, 16)))
        case FieldDescriptor.CPPTYPE_STRING:
            return chance.choice(TEXTS)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return chance.choice(DOUBLES)
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return chance.choice(field.enum_type.values).number
        case FieldDescriptor.CPPTYPE_INT32:
            return chance.choice((0, 1, -1, 2**31 - 1, -(2**31)))
        case FieldDescriptor.CPPTYPE_UINT32:
            return chance.choice((0, 1, 257, 2**32 - 1))
        case FieldDescriptor.CPPTYPE_INT64:
            return chance.choice((*WIDTHS, *(-width for width in WIDTHS), -(2**63)))
        case FieldDescriptor.CPPTYPE_UINT64:
            return chance.choice((*WIDTHS, 2**64 - 1))
        case other:
            raise AssertionError(f"OTLP has got fields of type {other}")


@pytest.mark.parametrize("signal", SIGNALS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_message_is_what_google_makes_of_it(signal: Signal, seed: int):
    request = REQUESTS[f"/v1/{signal}"]()
    fill(request, random.Random(seed), 7)
    assert message_text(request) == by_google(request)


def test_values_may_lie_in_one_another_as_deep_as_protobuf_has_them():
    value = AnyValue(string_value="core")
    for _ in range(45):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    read = AnyValue.FromString(value.SerializeToString())
    assert message_text(read) == by_google(read)
