"""The receiver's port for gRPC, in the process of its own that it needs."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import gevent
import pytest

from motel_locust.otlp.endpoints import METHODS
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.quiet_grpc import grpc
from motel_locust.otlp.receiver_process import ReceiverError, RunningReceiver, start_receiver
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import open_transport
from tests.otlp.test_receiver import logs_request, metrics_request
from tests.otlp.trace_requests import body, trace_request

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def receiver() -> Iterator[RunningReceiver]:
    running = start_receiver()
    yield running
    running.stop()


@pytest.fixture
def channel(receiver: RunningReceiver) -> Iterator[grpc.Channel]:
    address = receiver.grpc_endpoint.removeprefix("http://")
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as opened:
        yield opened


def export(channel: grpc.Channel, content: bytes, signal: str = "traces", **options) -> bytes:
    return channel.unary_unary(METHODS[signal])(content, timeout=20, **options)


def refused(channel: grpc.Channel, content: bytes, signal: str = "traces", **options) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as caught:
        export(channel, content, signal, **options)
    return caught.value


def test_all_signals_are_counted_beside_what_comes_over_http(
    receiver: RunningReceiver, channel: grpc.Channel
) -> None:
    assert export(channel, trace_request(3)) == b""
    assert export(channel, trace_request(2, service="cart")) == b""
    assert export(channel, logs_request(4), "logs") == b""
    assert export(channel, metrics_request(2), "metrics") == b""
    http = open_transport(resolve(Flags(endpoint=receiver.endpoint), {}))
    http.send(trace_request(5), 5)
    http.close()

    report = receiver.stop()
    assert (report["requests"], report["refused"]) == (5, 0)
    assert [report[kind] for kind in ("spans", "traces", "points", "records")] == [10, 3, 10, 4]
    assert report["services"]["shop"] == {"spans": 8}
    assert (report["judged"], report["faults"]) == (3, {})


def test_gzip_is_understood(receiver: RunningReceiver, channel: grpc.Channel) -> None:
    content = trace_request(3, padding=100_000)
    assert export(channel, content, compression=grpc.Compression.Gzip) == b""
    report = receiver.report()
    assert (report["spans"], report["bytes"]) == (3, len(content))


def test_what_cannot_be_read_is_refused_with_the_reason(
    receiver: RunningReceiver, channel: grpc.Channel
) -> None:
    error = refused(channel, b"\x0a\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not an ExportTraceServiceRequest" in error.details()
    assert refused(channel, trace_request(1)[:-1]).code() is grpc.StatusCode.INVALID_ARGUMENT
    assert export(channel, trace_request(1)) == b"", "the next request is unharmed"
    report = receiver.report()
    assert (report["requests"], report["refused"], report["spans"]) == (3, 2, 1)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_what_is_too_large_is_refused_packed_or_not(
    receiver: RunningReceiver, channel: grpc.Channel, compression: grpc.Compression | None
) -> None:
    error = refused(channel, bytes(21 << 20), compression=compression)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert export(channel, trace_request(1)) == b"", "the next request is unharmed"
    assert receiver.report()["spans"] == 1


def test_other_methods_are_not_there(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def exporter_to(receiver: RunningReceiver, ledger: Ledger) -> Exporter:
    flags = Flags(endpoint=receiver.grpc_endpoint, protocol="grpc", compression="gzip")
    return Exporter(open_transport(resolve(flags, {})), ledger, connections=8)


def test_every_span_of_an_exporter_arrives_and_is_counted_once(receiver: RunningReceiver) -> None:
    ledger = Ledger()
    exporter = exporter_to(receiver, ledger)
    for spans in range(1, 60):
        exporter.offer(body(spans, at_s=time.monotonic()))
    exporter.drain(20.0)
    exporter.close()
    report = receiver.stop()
    assert ledger["traces"].accepted == report["spans"] == sum(range(1, 60))
    assert (report["traces"], report["faults"]) == (59, {})


def test_the_last_report_holds_all_that_was_acknowledged(receiver: RunningReceiver) -> None:
    ledger = Ledger()
    exporter = exporter_to(receiver, ledger)
    for _ in range(2_000):
        exporter.offer(body(50, at_s=time.monotonic()))
    while not ledger["traces"].accepted:
        gevent.sleep(0.001)
    report = receiver.stop()  # in the middle of it
    exporter.close()
    counts = ledger["traces"]
    assert counts.accepted <= report["spans"] <= counts.accepted + counts.ambiguous
    assert counts.failed > 0


def test_a_taken_port_is_told(receiver: RunningReceiver) -> None:
    port = int(receiver.grpc_endpoint.rpartition(":")[2])
    with pytest.raises(ReceiverError) as caught:
        start_receiver(grpc_port=port)
    assert str(caught.value) == (
        f"the built-in receiver does not listen on 127.0.0.1:{port}: address already in use"
    )


PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
from motel_locust.otlp.receiver import Receiver
Receiver("127.0.0.1", 0, grpc_port=0).start()
"""


def test_a_process_that_gevent_has_patched_is_refused_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "grpcio's server needs real threads" in done.stderr
