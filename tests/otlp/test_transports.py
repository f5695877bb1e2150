from __future__ import annotations

import gzip
import json
import os
import resource
import select
from pathlib import Path

import gevent
import gevent.event
import gevent.ssl
import pytest
import zstandard
from gevent.monkey import get_original
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.settings import Flags, Settings, SettingsError, resolve
from motel_locust.otlp.transports import check_reachable, open_transport
from motel_locust.otlp.transports.compression import THREAD_BYTES, compressor
from motel_locust.otlp.transports.http import HttpTransport
from motel_locust.otlp.transports.lines import LinesTransport, Output
from tests.oracles import misbehaving as does
from tests.oracles.misbehaving import Exchange, Misbehaving
from tests.oracles.scripted import free_port
from tests.otlp.encrypted import https, tls_server
from tests.otlp.trace_requests import trace_request


def settings(url: str, **flags: object) -> Settings:
    return resolve(Flags(endpoint=url, **flags), {})


def contents_into(contents: list[bytes]) -> does.Act:
    """Return an act that keeps the raw content of a request and accepts it."""

    def act(exchange: Exchange) -> None:
        contents.append(exchange.read())
        exchange.answer("200 OK")

    return act


def saying(raw: bytes) -> does.Act:
    """Return the act of answering with the bytes *raw*, whatever they are."""

    def act(exchange: Exchange) -> None:
        exchange.read()
        exchange.sock.sendall(raw)
        exchange.close()

    return act


# HTTP


@pytest.mark.parametrize(
    "act",
    [
        does.status("503 Service Unavailable"),
        does.status("400 Bad Request"),
        does.partial(1),
        does.garbage_with_200,
    ],
)
def test_a_connection_is_kept_whatever_the_answer_if_it_was_read_whole(act: does.Act) -> None:
    with Misbehaving(act) as endpoint:
        transport = open_transport(settings(endpoint.url))
        transport.send(trace_request(3), 3)
        transport.send(trace_request(3), 3)
        assert endpoint.connections == 1


def test_a_connection_that_the_endpoint_closed_is_replaced_before_sending() -> None:
    with Misbehaving(does.accept_and_close) as endpoint:
        transport = open_transport(settings(endpoint.url))
        assert transport.send(trace_request(3), 3).cause is Cause.ACK
        gevent.sleep(0)  # lets the endpoint close
        assert transport.send(trace_request(3), 3).cause is Cause.ACK
        assert endpoint.connections == 2


def test_a_response_that_asks_to_close_is_obeyed() -> None:
    with Misbehaving(does.status("400 Bad Request", "Connection: close")) as endpoint:
        transport = open_transport(settings(endpoint.url))
        transport.send(trace_request(3), 3)
        assert transport.send(trace_request(3), 3).cause is Cause.ACK
        assert endpoint.connections == 2


def test_the_head_says_what_otlp_wants_and_what_the_user_added() -> None:
    with Misbehaving() as endpoint:
        flags = {"headers": "X-Key=a=b,user-agent=mine"}
        open_transport(settings(f"{endpoint.url}/base", **flags)).send(trace_request(1), 1)
        (head,) = endpoint.heads
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /base/v1/traces HTTP/1.1"
    assert "Content-Type: application/x-protobuf" in lines
    assert f"Host: {endpoint.url.removeprefix('http://')}" in lines
    assert "X-Key: a=b" in lines
    assert [line for line in lines if line.lower().startswith("user-agent")] == ["user-agent: mine"]
    assert not [line for line in lines if line.startswith("Content-Encoding")]


@pytest.mark.parametrize("padding", [1, THREAD_BYTES], ids=["in the greenlet", "in a thread"])
@pytest.mark.parametrize(
    ("compression", "decompress"),
    [
        ("gzip", gzip.decompress),
        ("zstd", zstandard.decompress),
        ("none", bytes),
    ],
)
def test_content_is_compressed_as_asked(compression, decompress, padding) -> None:
    contents: list[bytes] = []
    content = trace_request(2, padding=padding)
    with Misbehaving(contents_into(contents)) as endpoint:
        transport = open_transport(settings(endpoint.url, compression=compression))
        assert transport.send(content, 2).cause is Cause.ACK
        encoded = f"Content-Encoding: {compression}".encode() in endpoint.heads[0]
    assert encoded == (compression != "none")
    assert decompress(contents[0]) == content
    assert compression == "none" or padding == 1 or len(contents[0]) < len(content) / 10


@pytest.mark.parametrize(
    ("compression", "decompress"), [("gzip", gzip.decompress), ("zstd", zstandard.decompress)]
)
def test_one_compressor_serves_many_greenlets_at_once(compression, decompress) -> None:
    compress = compressor(compression)
    contents = [bytes([number]) * (THREAD_BYTES * (number % 2) + number) for number in range(12)]
    packed = [gevent.spawn(compress, content) for content in contents]
    gevent.joinall(packed, raise_error=True)
    assert [decompress(each.value) for each in packed] == contents


@examples(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer(raw: bytes) -> None:
    with Misbehaving(saying(raw)) as endpoint:
        transport = open_transport(settings(endpoint.url))
        assert isinstance(transport.send(trace_request(1), 1), Answer)


@examples(deadline=None)
@given(
    st.sampled_from(["200 OK", "200", "099 Low", "503 No", "204 No Content", "999 High", "1xx"]),
    st.lists(
        st.sampled_from(
            [
                *("Content-Length: 0", "Content-Length: 5", "Content-Length: -1"),
                *("Transfer-Encoding: chunked", "Retry-After: 1", "Retry-After: 1"),
                *("Content-Type: application/json", "Content-Type: \xe4", "Connection: close"),
            ]
        )
    ),
    st.binary(max_size=20),
)
def test_any_head_is_an_answer(status: str, headers: list[str], content: bytes) -> None:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")
    with Misbehaving(saying(head + content)) as endpoint:
        transport = open_transport(settings(endpoint.url))
        assert isinstance(transport.send(trace_request(1), 1), Answer)


def test_an_answer_without_end_is_read_to_a_limit() -> None:
    def flood(exchange: Exchange) -> None:
        exchange.read()
        exchange.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            exchange.sock.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with Misbehaving(flood) as endpoint:
        answer = open_transport(settings(endpoint.url)).send(trace_request(1), 1)
    assert (answer.cause, answer.reason) == (Cause.REFUSAL, "HTTP 400 Bad Request")


def test_a_timeout_while_sending_leaves_the_transport_usable() -> None:
    def never_read(_: Exchange) -> None:
        gevent.event.Event().wait()

    content = trace_request(1, padding=20_000_000)
    with Misbehaving(never_read) as endpoint:
        transport = open_transport(settings(endpoint.url, timeout="50ms"))
        assert transport.send(content, 1) == Answer(Cause.LOSS, "no answer in time")
        assert transport.send(trace_request(1), 1).cause is Cause.ACK
        transport.close()


def test_a_greenlet_that_is_killed_while_sending_leaves_the_transport_usable() -> None:
    with Misbehaving(does.hang) as endpoint:
        transport = open_transport(settings(endpoint.url))
        sender = gevent.spawn(transport.send, trace_request(3), 3)
        while not endpoint.spans:
            gevent.sleep(0)
        sender.kill()
        assert transport.send(trace_request(3), 3).cause is Cause.ACK


def test_a_host_that_nobody_knows_is_unreachable() -> None:
    answer = open_transport(settings("http://nowhere.invalid")).send(trace_request(1), 1)
    assert answer.cause is Cause.UNREACHABLE
    assert answer.reason in ("host name not found", "connection timed out", "no connection")


# TLS


def test_plaintext_at_a_tls_port_and_tls_at_a_plaintext_port_send_nothing() -> None:
    with Misbehaving(saying(b"")) as endpoint:
        transport = open_transport(settings(https(endpoint), timeout="100ms"))
        answer = transport.send(trace_request(3), 3)
    assert answer.cause is Cause.UNREACHABLE
    assert answer.reason in ("TLS handshake failed", "connection timed out", "no connection")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"certificate": "/no/ca.pem"}, "--otlp-certificate: /no/ca.pem cannot be used: No such"),
        (
            {"certificate": __file__},
            f"--otlp-certificate: {__file__} cannot be used: not the PEM that it should be",
        ),
        (
            {"client_certificate": "/no/me.pem"},
            "--otlp-client-certificate: /no/me.pem cannot be used: No such file",
        ),
    ],
)
def test_certificates_that_cannot_be_used_are_named(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_transport(settings("https://localhost", **flags))
    assert message in str(caught.value)


# Files, standard output, nothing


def test_a_file_gets_one_line_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    for _ in range(2):  # a second run appends
        transport = open_transport(settings(f"file://{path}"))
        assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
        assert transport.send(trace_request(2), 2) == Answer(Cause.ACK)
        transport.close()
        transport.close()
    requests = [json.loads(line) for line in path.read_text().splitlines()]
    spans = [len(one["resourceSpans"][0]["scopeSpans"][0]["spans"]) for one in requests]
    assert spans == [3, 2, 3, 2]


def test_senders_take_turns_at_a_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    transport = open_transport(settings(f"file://{path}"))
    senders = [gevent.spawn(transport.send, trace_request(50), 50) for _ in range(8)]
    gevent.joinall(senders, raise_error=True)
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 8


def test_a_body_in_json_is_a_line_already(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    in_json = open_transport(settings(f"file://{path}"), "json")
    assert in_json.send(b'{"resourceSpans":[]}\n', 1) == Answer(Cause.ACK)
    in_protobuf = open_transport(settings(f"file://{path}"))
    assert in_protobuf.send(trace_request(2), 2) == Answer(Cause.ACK)
    first, second = path.read_text().splitlines()
    assert first == '{"resourceSpans":[]}'
    assert len(json.loads(second)["resourceSpans"]) == 1


def test_a_file_that_cannot_be_opened_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--host: .* cannot be written: No such file"):
        open_transport(settings(f"file://{tmp_path}/no/spans.jsonl"))


def test_a_full_disk_fails_the_items() -> None:
    transport = open_transport(settings("file:///dev/full"))
    answer = transport.send(trace_request(3), 3)
    assert (answer.cause, answer.reason) == (Cause.UNWRITABLE, "no space left on the device")


def test_a_pipe_that_nobody_reads_fails_the_items() -> None:
    reading, writing = os.pipe()
    # Where Locust has patched os, its close waits for a later turn of the loop.
    get_original("os", "close")(reading)
    answer = LinesTransport(writing, "traces", Output()).send(trace_request(3), 3)
    assert (answer.cause, answer.reason) == (
        Cause.UNWRITABLE,
        "nobody reads the output any more",
    )


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    transport = open_transport(settings(f"file://{path}"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        torn = transport.send(trace_request(3), 3)
        again = transport.send(trace_request(3), 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {torn.reason, again.reason} == {"the file is too large"}
    assert transport.send(trace_request(2), 2) == Answer(Cause.ACK)
    half, whole = path.read_text().splitlines()
    assert len(half) == 50
    assert json.loads(whole)


def test_a_write_that_hangs_keeps_its_descriptor_open() -> None:
    reading, writing = os.pipe()
    transport = LinesTransport(writing, "traces", Output())
    sender = gevent.spawn(transport.send, trace_request(1, padding=1_000_000), 1)
    while not select.select([reading], [], [], 0)[0]:
        gevent.sleep(0)  # until the thread writes; it will be stuck when the pipe is full
    sender.kill()
    transport.close()
    os.fstat(writing)
    while os.read(reading, 1 << 20)[-1:] != b"\n":
        pass
    os.close(reading)


def test_standard_output_gets_the_lines_and_nothing_else(
    capfd: pytest.CaptureFixture[str],
) -> None:
    transport = open_transport(settings("stdout://"))
    assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
    transport.close()
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["resourceSpans"]


def test_discard_accepts_everything() -> None:
    transport = open_transport(settings("discard://"))
    assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
    transport.close()


# Is it there?


def test_an_untrusted_certificate_is_told_before_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with (
        tls_server(Misbehaving) as endpoint,
        pytest.raises(SettingsError, match="certificate not trusted"),
    ):
        check_reachable(settings(https(endpoint)))


def test_an_endpoint_may_come_up_within_the_time_given() -> None:
    late = Misbehaving()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            late.__enter__()

    with free_port() as port:
        late = Misbehaving(port=port)
    try:
        check_reachable(
            settings(f"127.0.0.1:{port}"), wait_s=10.0, now=lambda: sum(waits), wait=wait
        )
    finally:
        late.__exit__()
    assert len(waits) == 3


def test_waiting_for_an_endpoint_ends() -> None:
    waits: list[float] = []
    with (
        free_port() as port,
        pytest.raises(SettingsError, match="cannot be reached for 2 s: connection refused"),
    ):
        check_reachable(
            settings(f"127.0.0.1:{port}"),
            wait_s=2.0,
            now=lambda: sum(waits),
            wait=waits.append,
        )
    assert sum(waits) == 2.0


def test_without_a_network_only_a_file_can_be_out_of_reach(tmp_path: Path) -> None:
    for url in ("discard://", "stdout://", f"file://{tmp_path}/spans.jsonl"):
        check_reachable(settings(url))
    with pytest.raises(SettingsError, match="cannot be written"):
        check_reachable(settings(f"file://{tmp_path}/no/spans.jsonl"))


def test_attempts_run_side_by_side() -> None:
    """Two requests to an endpoint that holds the first until the second is there."""
    both = gevent.event.Event()

    def first(exchange: Exchange) -> None:
        both.wait()
        does.accept(exchange)

    def second(exchange: Exchange) -> None:
        both.set()
        does.accept(exchange)

    with Misbehaving(first, second) as endpoint:
        transport = HttpTransport(settings(endpoint.url))
        senders = [gevent.spawn(transport.send, trace_request(1), 1) for _ in range(2)]
        gevent.joinall(senders, timeout=10, raise_error=True)
        assert [sender.value for sender in senders] == [Answer(Cause.ACK)] * 2
        assert endpoint.connections == 2
