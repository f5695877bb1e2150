from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkRecord
from opentelemetry._logs import SeverityNumber as SdkSeverity
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TraceFlags

from motel_locust.engine.columns import Double
from motel_locust.engine.records import Elapsed, LogColumns, LogShape, Severity
from motel_locust.engine.templates import print_duration
from motel_locust.otlp.bodies import Head
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.wire import field_tag
from motel_locust.topology.scalars import print_float, print_value
from tests.oracles import spans as oracle
from tests.strategies import (
    EPOCH_NS,
    arrays,
    attribute_sets,
    attributes,
    doubles,
    ids,
    texts,
    trace_ids,
    value_columns,
)

if TYPE_CHECKING:
    from motel_locust.engine.columns import ValueColumn

elapsed = st.integers(0, 2**63 - 1) | st.sampled_from([0, 1, 10**9, 60 * 10**9, 3600 * 10**9])


@st.composite
def shown_columns(draw: st.DrawFn, part: Any, rows: int) -> ValueColumn:
    if isinstance(part, Elapsed):
        return draw(arrays(elapsed, "i8", rows))
    return draw(value_columns(part, rows))


@st.composite
def log_columns(draw: st.DrawFn) -> tuple[LogColumns, np.ndarray]:
    """Records of one shape, and the ids of their traces."""
    varying = attributes("").filter(lambda each: not hasattr(each, "value"))
    parts = st.lists(texts.filter(bool) | varying | st.just(Elapsed()), max_size=4)
    shape = LogShape(
        service="shop",
        severity=draw(st.sampled_from(Severity)),
        body=tuple(draw(parts)),
        attributes=draw(attribute_sets()),
    )
    rows = draw(st.integers(0, 12))
    times = arrays(st.integers(0, 2**63 - 1), "i8", rows)
    columns = LogColumns(
        shape=shape,
        trace=draw(arrays(st.integers(0, 2), "i8", rows)),
        span_id=draw(ids(rows)),
        time_ns=draw(times),
        observed_ns=draw(times),
        values=tuple(draw(value_columns(each, rows)) for each in shape.attributes),
        shown=tuple(
            draw(shown_columns(part, rows)) for part in shape.body if not isinstance(part, str)
        ),
    )
    return columns, draw(trace_ids(3))


def expected(columns: LogColumns, row: int, trace_id: np.ndarray) -> LogRecord:
    shape, shown, words = columns.shape, iter(columns.shown), []
    for part in shape.body:
        if isinstance(part, str):
            words.append(part)
        elif isinstance(part, Elapsed):
            words.append(print_duration(int(next(shown)[row])))
        else:
            words.append(print_value(oracle.drawn(part, next(shown), row)))
    record = LogRecord(
        time_unix_nano=int(columns.time_ns[row]),
        observed_time_unix_nano=int(columns.observed_ns[row]),
        severity_number=shape.severity.value,
        severity_text=shape.severity.name,
        attributes=oracle.key_values(oracle.drawn_all(shape.attributes, columns.values, row)),
        flags=1,
        trace_id=trace_id[columns.trace[row]].tobytes(),
        span_id=oracle.id_bytes(columns.span_id, row),
    )
    record.body.string_value = "".join(words)
    return record


def comparable(record: LogRecord) -> bytes:
    """What is equal for equal records; attributes have no order."""
    keyed = sorted(record.attributes, key=lambda each: each.key)
    del record.attributes[:]
    record.attributes.extend(keyed)
    return record.SerializeToString(deterministic=True)


@settings(max_examples=100, deadline=None)
@given(log_columns())
def test_every_row_parses_back_as_the_record_it_was_made_from(made):
    columns, trace_id = made
    encoded = LogEncoder(columns.shape).encode(columns, trace_id)
    starts = encoded.offsets.tolist()
    assert len(encoded.content) == starts[-1]
    for row, (start, end) in enumerate(pairwise(starts)):
        (record,) = ScopeLogs.FromString(encoded.content[start:end].tobytes()).log_records
        assert comparable(record) == comparable(expected(columns, row, trace_id))


@settings(max_examples=50, deadline=None)
@given(log_columns())
def test_the_sdk_encodes_the_same_records_to_equal_messages(made):
    columns, trace_id = made
    assume(all(each.tobytes() != bytes(16) for each in trace_id))  # the SDK leaves these out
    theirs = []
    for row in range(columns.time_ns.size):
        record = expected(columns, row, trace_id)
        values = oracle.drawn_all(columns.shape.attributes, columns.values, row)
        sdk_record = SdkRecord(
            timestamp=record.time_unix_nano,
            observed_timestamp=record.observed_time_unix_nano,
            trace_id=int.from_bytes(record.trace_id, "big"),
            span_id=int.from_bytes(record.span_id, "big"),
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
            severity_text=columns.shape.severity.name,
            severity_number=SdkSeverity[columns.shape.severity.name],
            body=record.body.string_value,
            attributes=values,
        )
        theirs.append(ReadableLogRecord(sdk_record, Resource({})))
    request = encode_logs(theirs)
    found = [
        record
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    content = LogEncoder(columns.shape).encode(columns, trace_id).content
    ours = ScopeLogs.FromString(content.tobytes()).log_records
    assert [comparable(each) for each in ours] == [comparable(each) for each in found]


@settings(max_examples=100, deadline=None)
@given(st.lists(doubles | st.floats(allow_nan=True), min_size=1, max_size=20))
def test_doubles_are_printed_as_go_does(values):
    shape = LogShape("shop", Severity.INFO, (Double(""),), ())
    rows = len(values)
    columns = LogColumns(
        shape=shape,
        trace=np.zeros(rows, np.int64),
        span_id=np.arange(1, rows + 1, dtype=np.uint64),
        time_ns=np.full(rows, EPOCH_NS),
        observed_ns=np.full(rows, EPOCH_NS),
        values=(),
        shown=(np.array(values),),
    )
    content = LogEncoder(shape).encode(columns, np.zeros(1, "V16")).content
    found = [each.body.string_value for each in ScopeLogs.FromString(content.tobytes()).log_records]
    assert found == [print_float(value) for value in values]
    assert math.isnan(values[0]) or float(found[0].replace("Inf", "inf")) == values[0]


def test_the_requests_of_all_signals_are_framed_alike():
    logs = ExportLogsServiceRequest(resource_logs=[ResourceLogs()])
    metrics = ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics()])
    assert field_tag(logs) == field_tag(metrics) == Head.OF_RESOURCE
    of_logs = field_tag(ResourceLogs(scope_logs=[ScopeLogs()]))
    of_metrics = field_tag(ResourceMetrics(scope_metrics=[ScopeMetrics()]))
    assert of_logs == of_metrics == Head.OF_SCOPE
    of_record = field_tag(ScopeLogs(log_records=[LogRecord()]))
    assert of_record == field_tag(ScopeMetrics(metrics=[Metric()]))
