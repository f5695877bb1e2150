from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import gevent
import gevent.event
import gevent.ssl
import pytest
from gevent.server import StreamServer
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from motel_locust import __version__
from motel_locust.otlp.delivery import MAY_HAVE_ARRIVED, Answer, Cause
from motel_locust.otlp.receiver_process import start_receiver
from motel_locust.otlp.settings import Flags, Settings, SettingsError, resolve
from motel_locust.otlp.transports import check_reachable, open_transport
from motel_locust.otlp.transports.http import NOT_HTTP
from tests.oracles import misbehaving_grpc as does
from tests.oracles.misbehaving_grpc import Act, Call, MisbehavingGrpc
from tests.otlp.encrypted import CERTIFICATE, https, tls_server
from tests.otlp.trace_requests import trace_request


def settings(url: str, **flags: object) -> Settings:
    return resolve(Flags(endpoint=url, protocol="grpc", **flags), {})


def answer_of(act: Act, **flags: object) -> tuple[Answer, MisbehavingGrpc]:
    """Return what one try comes to, and the endpoint; a second one must be taken."""
    with MisbehavingGrpc(act) as endpoint:
        transport = open_transport(settings(endpoint.url, **flags))
        answer, counted = transport.send(trace_request(3), 3), endpoint.spans
        assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
        transport.close()
        endpoint.spans = counted
        return answer, endpoint


@pytest.mark.parametrize(
    ("act", "cause", "reason"),
    [
        (does.status(3), Cause.REFUSAL, "gRPC INVALID_ARGUMENT"),
        (does.status(8), Cause.REFUSAL, "gRPC RESOURCE_EXHAUSTED"),
        (does.status(13), Cause.REFUSAL, "gRPC INTERNAL"),
        (does.status(14), Cause.LOSS, "gRPC UNAVAILABLE"),
        (does.status(15), Cause.LOSS, "gRPC DATA_LOSS"),
        (does.status(99), Cause.REFUSAL, "gRPC UNKNOWN"),
        (does.http_status("404"), Cause.REFUSAL, "HTTP 404 Not Found instead of gRPC"),
        (does.http_status("502"), Cause.LOSS, "HTTP 502 Bad Gateway instead of gRPC"),
        (does.garbage, Cause.GARBLED, "unreadable answer with gRPC OK"),
        (does.accept_without_a_message, Cause.GARBLED, "no message with gRPC OK"),
        (does.flood, Cause.GARBLED, "unreadable answer"),
        (does.not_compressed, Cause.GARBLED, "unreadable answer"),
        (does.reset_mid_body, Cause.LOSS, "connection lost"),
        (does.reset_before_answer, Cause.LOSS, "connection lost"),
        (does.reset_mid_answer, Cause.LOSS, "connection lost"),
        (does.close_mid_answer, Cause.LOSS, "connection lost"),
        (does.end_without_a_status, Cause.LOSS, "connection lost"),
        (does.go_away, Cause.LOSS, "connection lost"),
    ],
)
def test_each_end_of_a_call_is_an_answer(act: Act, cause: Cause, reason: str) -> None:
    answer, _ = answer_of(act)
    assert (answer.cause, answer.reason) == (cause, reason)


@pytest.mark.parametrize("error", [0, 1, 2, 7, 8, 11, 12])
def test_a_stream_that_is_ended_by_http_2_may_have_been_counted(error: int) -> None:
    answer, endpoint = answer_of(does.end_the_stream(error))
    assert (answer.cause, answer.reason) == (Cause.LOSS, "connection lost")
    assert endpoint.spans == 3


@pytest.mark.parametrize("act", [does.hang, does.trickle])
def test_a_call_ends_with_its_time(act: Act) -> None:
    answer, endpoint = answer_of(act, timeout="200ms")
    assert answer.cause in MAY_HAVE_ARRIVED
    assert endpoint.spans == 3


def test_a_partial_success_is_decoded() -> None:
    answer, endpoint = answer_of(does.partial(2))
    assert answer == Answer(Cause.ACK, "partial success", rejected=2, detail="too old")
    assert endpoint.spans == 1


@pytest.mark.parametrize("code", [8, 14])
def test_a_retry_info_is_honoured(code: int) -> None:
    answer, _ = answer_of(does.later(code, 1.5))
    assert (answer.cause, answer.retry_after_s, answer.detail) == (Cause.PUSHBACK, 1.5, "later")


def test_a_connection_is_kept_whatever_the_endpoint_says_with_it() -> None:
    for act in (does.status(3), does.later(8, 1.0), does.partial(1), does.garbage):
        _, endpoint = answer_of(act)
        assert endpoint.connections == 1


frames = st.tuples(
    st.sampled_from([does.DATA, does.HEADERS, does.SETTINGS, does.PING, does.WINDOW_UPDATE, 200]),
    st.sampled_from([0, does.END_STREAM, does.END_HEADERS, 5, 255]),
    st.sampled_from([0, 1, 2, 99]),
    st.binary(max_size=20)
    | st.sampled_from(
        [
            bytes(5),
            does.header_block((":status", "200")),
            does.header_block((":status", "xyz")),
            does.header_block(("grpc-message", "x")),
        ]
    ),
)


# Room for one frame, and neither RST_STREAM nor GOAWAY: at error codes that HTTP/2 has no names for
# grpcio 1.85 ends the process ("UNREACHABLE CODE" in its http2_status.h).
raw = st.binary(max_size=16).filter(lambda sent: sent[3:4] not in (b"\x03", b"\x07"))


@examples(deadline=None)
@given(st.lists(frames, max_size=4), raw)
def test_no_frames_without_a_status_are_taken_for_a_refusal(
    sent: list[tuple[int, int, int, bytes]], raw: bytes
) -> None:
    def act(call: Call) -> None:
        call.keep()
        for frame in sent:
            call.sock.sendall(does.frame(*frame))
        call.sock.sendall(raw)
        call.close()

    with MisbehavingGrpc(act) as endpoint:
        transport = open_transport(settings(endpoint.url))
        assert transport.send(trace_request(3), 3).cause in MAY_HAVE_ARRIVED
        transport.close()


# What a call carries


def sent_with(**flags: object) -> bytes:
    """Return the header block of one request."""
    with MisbehavingGrpc() as endpoint:
        open_transport(settings(endpoint.url, **flags)).send(trace_request(1), 1)
        (head,) = endpoint.heads
        assert f":authority\x0f{endpoint.url.removeprefix('http://')}".encode() in head
        return head


def test_a_call_says_who_calls_and_what_the_user_added() -> None:
    head = sent_with(headers="X-Key=a=b")
    assert b"/opentelemetry.proto.collector.trace.v1.TraceService/Export" in head
    assert f"motel-locust/{__version__} grpc-python/".encode() in head
    assert b"\x05x-key\x03a=b" in head
    assert b"grpc-encoding" not in head


def test_the_user_may_be_another_agent() -> None:
    head = sent_with(headers="User-Agent=mine/7")
    assert b"mine/7 grpc-python/" in head
    assert b"motel-locust" not in head


@pytest.mark.parametrize("padding", [1, 1_000_000])
def test_gzip_is_grpcs_own(padding: int) -> None:
    content, came = trace_request(2, padding=padding), []

    def act(call: Call) -> None:
        came.extend([call.read(), call.content()])
        does.accept(call)

    with MisbehavingGrpc(act) as endpoint:
        transport = open_transport(settings(endpoint.url, compression="gzip"))
        assert transport.send(content, 2) == Answer(Cause.ACK)
        assert b"\x0dgrpc-encoding\x04gzip" in endpoint.heads[0]
    message, decompressed = came
    assert decompressed == content
    assert padding == 1 or len(message) < len(content) / 10


def test_a_body_may_be_larger_than_grpc_sends_by_default() -> None:
    content = trace_request(1, padding=6_000_000)
    with MisbehavingGrpc() as endpoint:
        transport = open_transport(settings(endpoint.url))
        assert transport.send(content, 1) == Answer(Cause.ACK)
        assert endpoint.spans == 1


# Many at once, and stopped


def test_calls_run_side_by_side_each_on_a_connection() -> None:
    """Thirty calls to an endpoint that holds the others until the last is there."""
    all_there, calls = gevent.event.Event(), 30

    def wait_for_all(call: Call) -> None:
        if call.endpoint.requests == calls:
            all_there.set()
        all_there.wait()
        does.accept(call)

    with MisbehavingGrpc(*[wait_for_all] * calls) as endpoint:
        transport = open_transport(settings(endpoint.url))
        senders = [gevent.spawn(transport.send, trace_request(1), 1) for _ in range(calls)]
        gevent.joinall(senders, timeout=10, raise_error=True)
        assert [sender.value for sender in senders] == [Answer(Cause.ACK)] * calls
        assert endpoint.connections == calls
        transport.close()


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        gevent.sleep(0.001)


def test_a_greenlet_that_is_killed_ends_its_call_and_leaves_the_transport_usable() -> None:
    cancelled = gevent.event.Event()

    def hang(call: Call) -> None:
        does.hang(call)
        cancelled.set()

    with MisbehavingGrpc(hang) as endpoint:
        transport = open_transport(settings(endpoint.url))
        sender = gevent.spawn(transport.send, trace_request(3), 3)
        until(lambda: endpoint.spans == 3)
        sender.kill()
        assert cancelled.wait(10)
        assert transport.send(trace_request(3), 3).cause is Cause.ACK


def test_killed_greenlets_hold_nobody_up() -> None:
    with MisbehavingGrpc(*[does.hang] * 100) as endpoint:
        transport = open_transport(settings(endpoint.url))
        senders = [gevent.spawn(transport.send, trace_request(3), 3) for _ in range(100)]
        until(lambda: endpoint.requests == 100)
        gevent.killall(senders, timeout=10)
        assert all(sender.dead for sender in senders)
        assert transport.send(trace_request(3), 3).cause is Cause.ACK


def test_a_call_under_way_outlasts_the_closing_of_the_transport() -> None:
    going_on = gevent.event.Event()

    def wait(call: Call) -> None:
        going_on.wait()
        does.accept(call)

    with MisbehavingGrpc(wait) as endpoint:
        transport = open_transport(settings(endpoint.url))
        sender = gevent.spawn(transport.send, trace_request(3), 3)
        until(lambda: endpoint.requests == 1)
        transport.close()
        going_on.set()
        assert sender.get(timeout=10) == Answer(Cause.ACK)


FORKED = """
import os, sys
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import open_transport
from tests.otlp.trace_requests import trace_request

transport = open_transport(resolve(Flags(endpoint=sys.argv[1], protocol="grpc"), {}))
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        children = []
        break
    children.append(child)
# In one write: three processes share the output.
os.write(1, transport.send(trace_request(3), 3).cause.name.encode() + b" ")
transport.close()
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("patches", ["", "import gevent.monkey; gevent.monkey.patch_all()\n"])
def test_processes_that_fork_before_they_send_all_send_and_end(patches: str) -> None:
    with MisbehavingGrpc() as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-c", patches + FORKED, endpoint.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ended = os.pidfd_open(process.pid)
        try:
            # The endpoint lives in this process and must have its turns.
            assert gevent.get_hub().threadpool.apply(wait_for_end, (ended,)), "it never ended"
            out, err = process.communicate()
        finally:
            process.kill()
            os.close(ended)
        assert (out.split(), err, process.returncode) == (["ACK"] * 3, "", 0)
        assert endpoint.spans == 9


CHILDREN = """
import gevent.monkey; gevent.monkey.patch_all()
import subprocess, sys
import gevent
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import open_transport
transport = open_transport(resolve(Flags(endpoint=sys.argv[1], protocol="grpc"), {}))
def send_for_ever():
    while True:
        transport.send(b"", 0)
senders = [gevent.spawn(send_for_ever) for _ in range(4)]
gevent.sleep(0.2)
for _ in range(40):
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
# With a timer, as a run always has some: what gRPC wakes with does not keep gevent's loop going.
gevent.killall(senders, timeout=60)
"""


def test_children_can_be_started_while_calls_are_under_way() -> None:
    receiver = start_receiver()
    try:
        arguments = [sys.executable, "-c", CHILDREN, receiver.grpc_endpoint]
        subprocess.run(arguments, check=True, timeout=120)
    finally:
        receiver.stop()


def wait_for_end(process: int) -> bool:
    from gevent.monkey import get_original

    readable, _, _ = get_original("select", "select")([process], [], [], 30.0)
    return bool(readable)


# No connection


def test_a_host_that_nobody_knows_is_unreachable() -> None:
    answer = open_transport(settings("http://nowhere.invalid", timeout="5s")).send(b"", 0)
    assert answer.cause in (Cause.UNREACHABLE, Cause.LOSS)


def test_a_port_that_speaks_http_1_is_told_by_name() -> None:
    def serve(sock: gevent.socket.socket, _: object) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    answer = open_transport(settings(f"127.0.0.1:{server.server_port}")).send(trace_request(1), 1)
    server.stop()
    assert answer.cause is Cause.UNREACHABLE
    assert answer.reason == "HTTP at this port, no gRPC; use http/protobuf or the gRPC port"


def test_http_at_a_port_of_grpc_is_no_answer() -> None:
    with MisbehavingGrpc() as endpoint:
        http = open_transport(resolve(Flags(endpoint=endpoint.url), {}))
        answer = http.send(trace_request(1), 1)
        assert answer.cause is Cause.LOSS
        assert answer.reason in ("connection lost", NOT_HTTP)
        assert endpoint.spans == 0


# TLS


def test_a_client_without_the_certificate_that_is_asked_for_sends_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with tls_server(MisbehavingGrpc, alpn="h2", asks_for_certificates=True) as endpoint:
        flags = {"certificate": str(CERTIFICATE), "timeout": "2s"}
        answer = open_transport(settings(https(endpoint), **flags)).send(trace_request(3), 3)
        assert answer.cause in (Cause.UNREACHABLE, Cause.LOSS)
        assert endpoint.spans == 0


def test_plaintext_at_a_tls_port_and_tls_at_a_plaintext_port_send_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with tls_server(MisbehavingGrpc, alpn="h2") as endpoint:
        assert open_transport(settings(endpoint.url, timeout="1s")).send(b"", 0).cause in (
            Cause.UNREACHABLE,
            Cause.LOSS,
        )
    with MisbehavingGrpc() as endpoint:
        answer = open_transport(settings(https(endpoint), timeout="1s")).send(b"", 0)
        assert answer.cause in (Cause.UNREACHABLE, Cause.LOSS)


def test_certificates_that_cannot_be_used_are_named() -> None:
    with pytest.raises(SettingsError, match=r"^--otlp-certificate: .* not the PEM that it should"):
        open_transport(settings("https://localhost", certificate=__file__))


# Is it there?


def test_tls_without_http_2_is_told_before_the_run() -> None:
    with tls_server(MisbehavingGrpc) as endpoint, pytest.raises(SettingsError) as caught:
        check_reachable(settings(https(endpoint), certificate=str(CERTIFICATE)))
    assert "does not speak HTTP/2, which gRPC needs; use its gRPC port, or http/protobuf" in str(
        caught.value
    )
