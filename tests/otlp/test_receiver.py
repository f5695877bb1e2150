from __future__ import annotations

import gzip
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import zstandard
from geventhttpclient import HTTPClient
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.judge import Judge, Row, find_faults
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.lines import request_line
from motel_locust.otlp.receiver import Receiver
from motel_locust.otlp.receiver_process import ReceiverError, start_receiver
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.tally import FURTHER_SERVICES, SERVICES, Tally, TraceWindow
from motel_locust.otlp.transports import open_transport
from tests.otlp.trace_requests import body, trace_request

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@dataclass
class Answered:
    status: int
    content: bytes
    headers: dict[str, str]


@dataclass
class Client:
    """A plain HTTP client of one receiver."""

    receiver: Receiver
    http: HTTPClient

    def post(
        self, content: bytes, path: str = "/v1/traces", method: str = "POST", **headers: str
    ) -> Answered:
        fields = {"Content-Type": PROTOBUF} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        response = self.http.request(method, path, body=content, headers=fields)
        headers = {name.lower(): value for name, value in response.items()}
        return Answered(response.status_code, bytes(response.read()), headers)

    def get(self, path: str) -> Answered:
        return self.post(b"", path, "GET")


@contextmanager
def running(**options: float) -> Iterator[Client]:
    receiver = Receiver("127.0.0.1", 0, **options)
    receiver.start()
    http = HTTPClient.from_url(receiver.endpoint, concurrency=1)
    try:
        yield Client(receiver, http)
    finally:
        http.close()
        receiver.stop()


def logs_request(records: int) -> bytes:
    request = ExportLogsServiceRequest()
    of_scope = request.resource_logs.add().scope_logs.add()
    for _ in range(records):
        of_scope.log_records.add()
    return request.SerializeToString()


def metrics_request(points: int) -> bytes:
    request = ExportMetricsServiceRequest()
    of_scope = request.resource_metrics.add().scope_metrics.add()
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        metric = of_scope.metrics.add(name=kind)
        for _ in range(points):
            getattr(metric, kind).data_points.add()
    of_scope.metrics.add(name="empty")
    return request.SerializeToString()


def test_what_comes_is_counted_by_signal_and_service() -> None:
    with running() as client:
        for content in (trace_request(3), trace_request(2, service="cart"), trace_request(1)):
            assert client.post(content).status == 200
        assert client.post(logs_request(4), "/v1/logs").status == 200
        assert client.post(metrics_request(2), "/v1/metrics").status == 200
        report = client.receiver.stop()
    assert (report.requests, report.refused) == (5, 0)
    assert (report.spans, report.traces, report.points, report.records) == (6, 3, 10, 4)
    assert report.services == {
        "(unnamed)": {"points": 10, "records": 4},
        "cart": {"spans": 2},
        "shop": {"spans": 4},
    }
    assert (report.judged, report.faults) == (3, {})


def test_a_success_is_an_empty_response_in_the_type_of_the_request() -> None:
    with running() as client:
        answered = client.post(trace_request(1))
        assert answered.headers["content-type"] == PROTOBUF
        assert ExportTraceServiceResponse.FromString(answered.content) == (
            ExportTraceServiceResponse()
        )
        json_content = request_line(trace_request(1), "traces").encode()
        answered = client.post(json_content, Content_Type="application/json; charset=utf-8")
        assert (answered.status, answered.content) == (200, b"{}")
        assert answered.headers["content-type"] == JSON
        assert client.receiver.report().spans == 2


def test_json_and_protobuf_mean_the_same_trace() -> None:
    content = trace_request(3)
    with running(settle_s=0.0) as client:
        client.post(content)
        client.post(request_line(content, "traces").encode(), Content_Type=JSON)
        report = client.receiver.stop()
    assert (report.spans, report.traces, report.redelivered, report.faults) == (6, 1, 3, {})


def streamed(content: bytes) -> bytes:
    """Return *content* as zstd whose header does not tell the size."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(content) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda content: gzip.compress(content[:50]) + gzip.compress(content[50:])),
        ("zstd", zstandard.compress),
        ("zstd", lambda content: zstandard.compress(content[:50]) + streamed(content[50:])),
        ("identity", bytes),
    ],
)
def test_compressed_requests_are_understood(encoding, compress) -> None:
    content = trace_request(3)
    with running() as client:
        assert client.post(compress(content), Content_Encoding=encoding).status == 200
        report = client.receiver.report()
    assert (report.spans, report.bytes) == (3, len(content))


BOMB = gzip.compress(bytes(21 << 20))
ZSTD_BOMB = zstandard.compress(bytes(21 << 20))
STREAMED_BOMB = streamed(bytes(60 << 20))


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"\x0a\xff", {}, 400, "not an ExportTraceServiceRequest"),
        (b"{", {"Content_Type": JSON}, 400, "not an ExportTraceServiceRequest"),
        (b"[" * 100_000, {"Content_Type": JSON}, 400, "not an ExportTraceServiceRequest"),
        (b"[1]", {"Content_Type": JSON}, 400, "not an ExportTraceServiceRequest"),
        (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}',
            {"Content_Type": JSON},
            400,
            "not an ExportTraceServiceRequest",
        ),
        (b"", {"Content_Type": "text/plain"}, 415, 'content type "text/plain" is not known'),
        (b"", {"Content_Encoding": "br"}, 415, 'content encoding "br" is not known'),
        (b"not gzip at all", {"Content_Encoding": "gzip"}, 400, "the content is not gzip"),
        (gzip.compress(b"x" * 99)[:-9], {"Content_Encoding": "gzip"}, 400, "cut off"),
        (gzip.compress(b"x" * 99)[:-1], {"Content_Encoding": "gzip"}, 400, "cut off"),
        (b"", {"Content_Encoding": "gzip"}, 400, "cut off"),
        (
            gzip.compress(b"") + b"not gzip, all of it",
            {"Content_Encoding": "gzip"},
            400,
            "not gzip",
        ),
        (b"not zstd", {"Content_Encoding": "zstd"}, 400, "the content is not zstd"),
        (zstandard.compress(b"x" * 99)[:-1], {"Content_Encoding": "zstd"}, 400, "cut off"),
        (streamed(bytes(300_000))[:-1], {"Content_Encoding": "zstd"}, 400, "cut off"),
        (b"", {"Content_Encoding": "zstd"}, 400, "cut off"),
        (zstandard.compress(b"") + b"not zstd", {"Content_Encoding": "zstd"}, 400, "not zstd"),
        (BOMB, {"Content_Encoding": "gzip"}, 413, "larger than 20 MiB"),
        (ZSTD_BOMB, {"Content_Encoding": "zstd"}, 413, "larger than 20 MiB"),
        (STREAMED_BOMB, {"Content_Encoding": "zstd"}, 413, "larger than 20 MiB"),
        (bytes(21 << 20), {}, 413, "larger than 20 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(content, headers, status, message) -> None:
    with running() as client:
        answered = client.post(content, **headers)
        assert answered.status == status
        if answered.headers["content-type"] == PROTOBUF:
            assert message in Status.FromString(answered.content).message
        else:
            assert message in json.loads(answered.content)["message"]
        report = client.receiver.report()
        assert (report.requests, report.refused, report.spans) == (1, 1, 0)
        assert client.post(trace_request(1)).status == 200, "the next request is unharmed"


def test_other_paths_and_methods() -> None:
    with running() as client:
        assert client.get("/v1/profiles").status == 404
        assert client.post(b"", "/healthz").status == 405
        answered = client.get("/v1/traces")
        assert (answered.status, answered.headers["allow"]) == (405, "POST")
        assert client.get("/healthz").content == b"ok\n"
        client.post(trace_request(2))
        assert json.loads(client.get("/").content)["spans"] == 2


def test_every_span_of_an_exporter_arrives_and_is_counted_once() -> None:
    with running() as client:
        ledger = Ledger()
        settings = resolve(Flags(endpoint=client.receiver.endpoint, compression="gzip"), {})
        exporter = Exporter(open_transport(settings), ledger)
        for spans in range(1, 30):
            exporter.offer(body(spans, at_s=time.monotonic()))
        exporter.drain(10.0)
        exporter.close()
        report = client.receiver.stop()
    assert ledger["traces"].accepted == report.spans == sum(range(1, 30))
    assert (report.traces, report.faults) == (29, {})


# What is wrong with a trace

TRACE = bytes(15) + b"\x01"


def row(span: int, parent: int = 0, *, start_ns: int = 0, name: str = "op") -> Row:
    return Row(
        span.to_bytes(8, "big"),
        parent.to_bytes(8, "big") if parent else b"",
        start_ns,
        name,
        "shop",
    )


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([row(1)], []),
        ([row(1), row(2, 1), row(3, 2)], []),
        ([row(3, 2), row(2, 1), row(1)], []),
        ([row(1), row(2, 9)], ["missing parent"]),
        ([row(2, 9)], ["no root", "missing parent"]),
        ([row(1), row(2)], ["several roots"]),
        ([row(1), row(2, 1), row(2, 1, name="other")], ["duplicate span id"]),
        ([row(1, start_ns=5), row(2, 1, start_ns=4)], ["child before parent"]),
        ([row(1, start_ns=5), row(2, 1, start_ns=5)], []),
        ([row(1), row(0, 1)], ["invalid id"]),
        ([row(1, 2), row(2, 1)], ["no root"]),
        ([row(1), Row(b"\x01", b"", 0, "op", "shop")], ["invalid id", "several roots"]),
    ],
)
def test_faults_of_a_trace(rows: list[Row], kinds: list[str]) -> None:
    assert [fault.kind for fault in find_faults(TRACE, rows)] == kinds


@pytest.mark.parametrize("trace_id", [b"", bytes(16), b"\x01" * 8])
def test_a_trace_id_of_zeros_or_another_length_is_invalid(trace_id: bytes) -> None:
    assert [fault.kind for fault in find_faults(trace_id, [row(1)])] == ["invalid id"]


def test_a_fault_names_the_trace_and_the_spans() -> None:
    (fault,) = find_faults(TRACE, [row(1), row(2, 9, name="GET /")])
    assert fault.example == (
        "trace 00000000000000000000000000000001:"
        ' span 0000000000000002 "GET /" of shop names 0000000000000009'
    )


def spans_of(trace_id: bytes, *rows: Row) -> list[Span]:
    return [
        Span(
            trace_id=trace_id,
            span_id=each.span_id,
            parent_span_id=each.parent_id,
            start_time_unix_nano=each.start_ns,
            name=each.name,
        )
        for each in rows
    ]


def take(judge: Judge, trace_id: bytes, *rows: Row, now_s: float, fresh: bool = True) -> None:
    ids = {trace_id}
    judge.add(
        "shop", spans_of(trace_id, *rows), traces=ids, fresh=ids if fresh else set(), now_s=now_s
    )


def test_a_trace_is_judged_when_it_has_been_quiet() -> None:
    judge = Judge(settle_s=5.0, now_s=0.0)
    take(judge, TRACE, row(2, 1), now_s=1.0)
    judge.look(5.9)
    assert judge.judged == 0
    take(judge, TRACE, row(1), now_s=5.9, fresh=False)
    judge.look(10.8)
    assert judge.judged == 0
    judge.look(10.9)
    assert (judge.judged, judge.faults) == (1, {})


def test_what_is_still_coming_in_at_the_end_is_unfinished_not_faulty() -> None:
    judge = Judge(settle_s=5.0, now_s=0.0)
    take(judge, TRACE, row(2, 1), row(3, 1), now_s=1.0)
    judge.finish(2.0)
    assert (judge.unfinished, judge.faults) == (1, {})
    take(judge, TRACE, row(2), row(3), now_s=1.0)
    judge.finish(2.0)
    assert list(judge.faults) == ["several roots"]


def test_redelivered_spans_are_no_fault() -> None:
    judge = Judge(settle_s=0.0, now_s=0.0)
    take(judge, TRACE, row(1), row(2, 1), now_s=1.0)
    take(judge, TRACE, row(1), row(2, 1), now_s=2.0, fresh=False)
    judge.finish(3.0)
    assert (judge.redelivered, judge.faults) == (2, {})


def test_the_share_of_judged_traces_follows_the_rate() -> None:
    judge = Judge(settle_s=1.0, now_s=0.0, spans_per_s=10)
    numbers = iter(range(1, 10**6))

    def second(at_s: float, traces: int) -> None:
        for _ in range(traces):
            take(judge, next(numbers).to_bytes(16, "big"), row(1), row(2, 1), now_s=at_s)
        judge.look(at_s + 1)

    second(0.0, 100)
    assert judge.one_in == 32
    second(1.0, 100)
    sampled = judge.judged
    assert 0 < sampled < 200
    for at_s in range(2, 12):
        second(float(at_s), 1)
    assert judge.one_in == 1
    assert judge.faults == {}, "whole traces were chosen, not single spans"


def test_no_further_trace_is_taken_in_while_enough_spans_are_kept() -> None:
    judge = Judge(settle_s=1.0, now_s=0.0, open_spans=10)
    for number in range(1, 100):
        take(judge, number.to_bytes(16, "big"), row(1), row(2, 1), now_s=0.0)
    judge.finish(1.0)
    assert judge.judged == 5


@given(st.lists(st.sets(st.integers(0, 20).map(lambda n: bytes([n])), max_size=5)))
def test_a_trace_is_new_once_while_it_is_remembered(batches: list[set[bytes]]) -> None:
    window = TraceWindow(1000.0)
    fresh = [trace_id for batch in batches for trace_id in window.fresh(batch, 0.0)]
    assert sorted(fresh) == sorted(set().union(*batches))


def test_trace_ids_are_forgotten_in_time() -> None:
    window = TraceWindow(10.0)
    assert window.fresh({b"a"}, 0.0) == {b"a"}
    assert window.fresh({b"a"}, 10.0) == set()
    assert window.fresh({b"b"}, 20.0) == {b"b"}
    assert window.fresh({b"a"}, 30.0) == {b"a"}


def test_services_beyond_a_limit_are_counted_together() -> None:
    tally = Tally()
    request = ExportTraceServiceRequest()
    for number in range(SERVICES + 2):
        of_resource = request.resource_spans.add()
        of_resource.resource.attributes.add(key="service.name").value.string_value = f"s{number}"
        of_resource.scope_spans.add().spans.add()
    tally.add(request, size=1, now_s=0.0)
    report = tally.report()
    assert report.services[FURTHER_SERVICES] == {"spans": 2}
    assert report.spans == SERVICES + 2


# In a process of its own


def test_a_receiver_of_its_own_process_reports_while_it_runs_and_at_its_end() -> None:
    running = start_receiver()
    settings = resolve(Flags(endpoint=running.endpoint), {})
    transport = open_transport(settings)
    transport.send(trace_request(3), 3)
    transport.close()
    assert running.pid != os.getpid()
    assert running.report()["spans"] == 3
    last = running.stop()
    assert last is not None
    assert (last["spans"], last["traces"], last["judged"]) == (3, 1, 1)
    assert running.process.returncode == 0
    assert running.stop() is None


def test_a_taken_port_is_told() -> None:
    with running() as client:
        port = int(client.receiver.endpoint.rpartition(":")[2])
        with pytest.raises(ReceiverError, match=f"does not listen on 127.0.0.1:{port}: .*in use"):
            start_receiver(port=port)


def test_the_receiver_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal\n"
            "from motel_locust.otlp.receiver_process import start_receiver\n"
            "print(start_receiver().pid, flush=True)\n"
            "signal.pause()\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    ended = os.pidfd_open(child)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert select.select([ended], [], [], 30.0)[0], "the child did not end"
    os.close(ended)


PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
import time
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.receiver_process import start_receiver
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import open_transport
from tests.otlp.trace_requests import body

receiver = start_receiver()
settings = resolve(Flags(endpoint=receiver.endpoint, compression="gzip"), {})
ledger = Ledger()
exporter = Exporter(open_transport(settings), ledger)
for _ in range(20):
    exporter.offer(body(5, at_s=time.monotonic(), padding=100_000))
exporter.drain(30.0)
exporter.close()
print(ledger["traces"].accepted, receiver.report()["spans"], receiver.stop()["spans"])
"""


def test_all_of_it_runs_under_monkey_patching_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["100"] * 3, "")
