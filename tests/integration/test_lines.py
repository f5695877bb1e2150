"""What is written as JSON from the start is read by the Collector, and is what protobuf says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from motel_locust.engine.engine import Engine
from motel_locust.engine.logs import Logs
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.json_bodies import JsonHeads
from motel_locust.otlp.json_logs import JsonLogEncoder
from motel_locust.otlp.json_spans import JsonSpanEncoder
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.topology.model import Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.protobuf.message import Message

    from tests.integration.collector import Collector

EPOCH_NS = 1_700_000_000_000_000_000
TOPOLOGY = Topology.model_validate(
    {
        "version": 1,
        "services": {
            "Lager ß": {
                "resource_attributes": {'"quoted"': "a\\b\tc"},
                "operations": {
                    "a 😀 <&>": {
                        "duration": "20ms +/- 5ms",
                        "error_rate": "30%",
                        "attributes": {
                            "choice": {"values": {"": 1, "two\nlines": 1, "\u2028": 1}},
                            "number": {"range": [-5, 100_000]},
                            "user": {"sequence": "user-{n}"},
                            "took": {"distribution": {"mean": 5, "stddev": 2}},
                        },
                        "events": [
                            {"name": "half", "delay": "1ms", "attributes": {"a": {"value": 1}}}
                        ],
                        "calls": ["shop.b"],
                    }
                },
            },
            "shop": {
                "operations": {"b": {"duration": "3ms", "links": ["Lager ß.a 😀 <&>"]}},
                "logs": [
                    {
                        "severity": "WARN",
                        "body": '{operation.name} "{n}"',
                        "attributes": {"n": {"range": [1, 9]}},
                    },
                    {"severity": "INFO", "body": "plain\n"},
                ],
            },
        },
        "traffic": {"rate": "200/s"},
    }
)
OWN = {name: each.resource_attributes for name, each in TOPOLOGY.services.items()}


def body_of(encoder: BatchEncoder[Any], heads: Any, batch: Any) -> bytes:
    builder = BodyBuilder(heads)
    for parcel in encoder.encode(batch):
        builder.add(parcel)
    return builder.build()


def test_the_collector_reads_the_spans_and_records_that_protobuf_has(
    collector: Callable[..., Collector],
) -> None:
    engine = Engine(TOPOLOGY, seed=1, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    spans = engine.walk(10**9)
    records = Logs(TOPOLOGY, seed=1, epoch_ns=EPOCH_NS, slow_ns=1).write(spans, engine.active(0))
    running = collector("file")
    for signal, encoder, batch in (
        ("traces", JsonSpanEncoder, spans),
        ("logs", JsonLogEncoder, records),
    ):
        line = body_of(BatchEncoder(encoder, rows_at_once=50), JsonHeads(OWN, {}, signal), batch)
        headers = {"Content-Type": "application/json"}
        request = Request(f"{running.endpoint}/v1/{signal}", line, headers)
        with urlopen(request, timeout=10) as answer:
            assert answer.status == 200
    running.stop()
    heads = Heads(OWN, {})
    traces = ExportTraceServiceRequest.FromString(body_of(BatchEncoder(SpanEncoder), heads, spans))
    logs = ExportLogsServiceRequest.FromString(body_of(BatchEncoder(LogEncoder), heads, records))
    assert told((each.resource, each.scope, each.span) for each in running.spans()) == told(
        (each.resource, scope.scope, span)
        for each in traces.resource_spans
        for scope in each.scope_spans
        for span in scope.spans
    )
    assert told((each.resource, each.scope, each.record) for each in running.records()) == told(
        (each.resource, scope.scope, record)
        for each in logs.resource_logs
        for scope in each.scope_logs
        for record in scope.log_records
    )


def told(items: Iterable[tuple[Message, ...]]) -> list[list[bytes]]:
    found = []
    for item in items:
        if isinstance(item[-1], Span):
            item[-1].status.SetInParent()  # the Collector writes an empty one too
        found.append([part.SerializeToString(deterministic=True) for part in item])
    assert found
    return sorted(found)
