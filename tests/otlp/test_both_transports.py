"""What holds over HTTP and over gRPC alike."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.endpoints import Protocol
from motel_locust.otlp.settings import PROTOCOLS, Flags, Settings, SettingsError, resolve
from motel_locust.otlp.transports import check_reachable, open_transport
from tests.oracles import misbehaving, misbehaving_grpc
from tests.oracles.scripted import Scripted, free_port
from tests.otlp.encrypted import CERTIFICATE, KEY, https, tls_server
from tests.otlp.trace_requests import trace_request

KINDS: dict[Protocol, type[Scripted]] = {
    "http/protobuf": misbehaving.Misbehaving,
    "grpc": misbehaving_grpc.MisbehavingGrpc,
}
HANGS = {"http/protobuf": misbehaving.hang, "grpc": misbehaving_grpc.hang}
PATHS = {"http/protobuf": "/v1/traces", "grpc": ""}

pytestmark = pytest.mark.parametrize("protocol", PROTOCOLS)


def settings(url: str, protocol: Protocol, **flags: object) -> Settings:
    return resolve(Flags(endpoint=url, protocol=protocol, **flags), {})


def encrypted(protocol: Protocol, *, asks_for_certificates: bool = False) -> Scripted:
    return tls_server(
        KINDS[protocol],
        alpn="h2" if protocol == "grpc" else "",
        asks_for_certificates=asks_for_certificates,
    )


def test_one_connection_serves_many_requests(protocol: Protocol) -> None:
    with KINDS[protocol]() as endpoint:
        transport = open_transport(settings(endpoint.url, protocol))
        for _ in range(5):
            assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
        assert (endpoint.requests, endpoint.connections, endpoint.spans) == (5, 1, 15)
        transport.close()
        transport.close()


def test_a_timeout_of_the_caller_is_not_mistaken_for_ours(protocol: Protocol) -> None:
    with KINDS[protocol](HANGS[protocol]) as endpoint:
        transport = open_transport(settings(endpoint.url, protocol))
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
            transport.send(trace_request(3), 3)


def test_a_connection_that_is_refused_sent_nothing_and_is_tried_anew_each_time(
    protocol: Protocol,
) -> None:
    with free_port() as port:
        transport = open_transport(settings(f"127.0.0.1:{port}", protocol))
        refused = transport.send(trace_request(1), 1)
    assert (refused.cause, refused.reason) == (Cause.UNREACHABLE, "connection refused")
    with KINDS[protocol](port=port):
        assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)


def test_tls_with_a_certificate_of_ones_own(protocol: Protocol) -> None:
    with encrypted(protocol) as endpoint:
        own = str(CERTIFICATE)
        transport = open_transport(settings(https(endpoint), protocol, certificate=own))
        for _ in range(3):
            assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)
        assert endpoint.connections == 1
        transport.close()


def test_a_certificate_that_nobody_trusts_is_unreachable(
    protocol: Protocol, capfd: pytest.CaptureFixture[str]
) -> None:
    with encrypted(protocol) as endpoint:
        transport = open_transport(settings(https(endpoint), protocol))
        answer = transport.send(trace_request(3), 3)
    assert (answer.cause, answer.reason) == (Cause.UNREACHABLE, "certificate not trusted")


def test_a_client_shows_its_certificate(protocol: Protocol, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(CERTIFICATE.read_text() + KEY.read_text())
    for own in (
        {"client_certificate": str(CERTIFICATE), "client_key": str(KEY)},
        {"client_certificate": str(both)},
    ):
        with encrypted(protocol, asks_for_certificates=True) as endpoint:
            flags = {"certificate": str(CERTIFICATE), **own}
            transport = open_transport(settings(https(endpoint), protocol, **flags))
            assert transport.send(trace_request(3), 3) == Answer(Cause.ACK)


def test_an_endpoint_that_listens_is_reachable_and_gets_nothing(protocol: Protocol) -> None:
    with KINDS[protocol]() as endpoint:
        check_reachable(settings(endpoint.url, protocol))
        assert endpoint.requests == 0
    with encrypted(protocol) as endpoint:
        check_reachable(settings(https(endpoint), protocol, certificate=str(CERTIFICATE)))


def test_an_endpoint_that_does_not_listen_is_named_with_its_source(protocol: Protocol) -> None:
    with free_port() as port, pytest.raises(SettingsError) as caught:
        check_reachable(settings(f"127.0.0.1:{port}", protocol))
    assert str(caught.value) == (
        f"--host: http://127.0.0.1:{port}{PATHS[protocol]} cannot be reached:"
        " connection refused; is it running?"
    )
