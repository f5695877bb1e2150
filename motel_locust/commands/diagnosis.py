"""What stands between us and an endpoint: name, connection, encryption, acceptance, clock."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from motel_locust.commands.canary import Outcome, make_canary, send_canary
from motel_locust.otlp.delivery import Cause
from motel_locust.otlp.transports import open_transport
from motel_locust.otlp.transports.http import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.otlp.delivery import Answer
    from motel_locust.otlp.endpoints import Endpoint
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.settings import Settings

Step = Literal["output", "dns", "tcp", "tls", "canary", "clock"]
Verdict = Literal["good", "warning", "bad"]

CONNECT_S: Final = 2.0
"""For each address: one that swallows packets would take minutes to say no."""
EXPIRES_SOON_DAYS: Final = 14
SKEW_S: Final = 5.0
"""Backends that drop items of the future or the past allow minutes; people notice seconds."""
HIDDEN: Final = "<hidden>"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step came to."""

    signal: Signal
    step: Step
    verdict: Verdict
    text: str
    """What was found; of something bad, also what to do."""
    took_ms: float
    ids: tuple[str, str] | None = None
    """Trace and span id of a canary that was accepted."""


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Yield what each step finds, in order; after a bad one nothing more.

    Raises:
        SettingsError: if a certificate or a file is of no use.
    """
    for finding in _steps(settings):
        yield finding
        if finding.verdict == "bad":
            return


class _Watch:
    """A stopwatch for one signal's steps."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._began_s = time.monotonic()

    def found(
        self, step: Step, verdict: Verdict, text: str, ids: tuple[str, str] | None = None
    ) -> Finding:
        """Return the finding of the step that ends now; the next one begins."""
        ended_s = time.monotonic()
        took_ms, self._began_s = (ended_s - self._began_s) * 1000, ended_s
        return Finding(self._signal, step, verdict, text, took_ms, ids)


def _steps(settings: Settings) -> Iterator[Finding]:
    watch = _Watch(settings.signal)
    endpoint = settings.endpoint
    if not endpoint.on_network:
        open_transport(settings).close()
        yield watch.found("output", "good", f"{endpoint} can be written, without a network")
        return
    context = _context(settings) if endpoint.tls else None
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        advice = "is it spelled right, and does this machine's DNS know it?"
        text = f"{endpoint.host} has no address: {error.strerror}; {advice}"
        yield watch.found("dns", "bad", text)
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    yield watch.found("dns", "good", f"{endpoint.host} is {', '.join(addresses)}")
    try:
        sock, refused = _connected(endpoint, addresses)
    except OSError as error:
        yield watch.found("tcp", "bad", f"{endpoint.authority}: {_why_no_connection(error)}")
        return
    with sock:
        address = sock.getpeername()[0]
        text = f"connected to {address}, port {endpoint.port}"
        if refused:
            text += f"; no connection to {', '.join(refused)}, which is tried first"
        yield watch.found("tcp", "warning" if refused else "good", text)
        if context is not None:
            yield _encrypted(sock, settings, context, watch)
    canary = make_canary(settings.signal)
    outcome = send_canary(canary, settings, context)
    if outcome.answer.cause is Cause.ACK and not outcome.answer.rejected:
        accepted = f"accepted at {endpoint} over {settings.protocol}"
        yield watch.found("canary", "good", accepted, canary.ids)
    else:
        yield watch.found("canary", "bad", _why_refused(settings, outcome))
    if outcome.skew_s is not None:
        yield _clock(outcome.skew_s, watch)


def _context(settings: Settings) -> ssl.SSLContext:
    tls_context(settings)  # raises, in words that ssl does not have
    context = ssl.create_default_context(cafile=settings.certificate)
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate, settings.client_key)
    context.set_alpn_protocols(["h2"] if settings.over_grpc else ["http/1.1"])
    return context


def _connected(endpoint: Endpoint, addresses: list[str]) -> tuple[socket.socket, list[str]]:
    """Return a connection, and the addresses that refused one before; raise OSError."""
    refused: list[str] = []
    for place, address in enumerate(addresses, start=1):
        try:
            return socket.create_connection((address, endpoint.port), CONNECT_S), refused
        except OSError:
            if place == len(addresses):
                raise
            refused.append(address)
    raise AssertionError("a name has at least one address")


def _why_no_connection(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return (
                "connection refused; nothing listens there: is the receiver running, and is the"
                " port right (4318 for HTTP, 4317 for gRPC)?"
            )
        case TimeoutError():
            return (
                f"no connection within {CONNECT_S:g} s; is the address right, or does a firewall"
                " swallow it?"
            )
        case _:
            return f"no connection: {error.strerror or error}"


def _encrypted(
    sock: socket.socket, settings: Settings, context: ssl.SSLContext, watch: _Watch
) -> Finding:
    host = settings.endpoint.host
    try:
        with context.wrap_socket(sock, server_hostname=host) as encrypted:
            certificate = encrypted.getpeercert() or {}
            version, protocol = encrypted.version(), encrypted.selected_alpn_protocol()
    except ssl.SSLCertVerificationError as error:
        advice = "name the CA with --certificate, or renew the certificate if it is over"
        return watch.found(
            "tls", "bad", f"certificate not trusted: {error.verify_message}; {advice}"
        )
    except ssl.SSLError as error:
        if error.reason in PLAINTEXT:
            return watch.found("tls", "bad", "no TLS at this port; write http:// for plaintext")
        return watch.found("tls", "bad", f"handshake failed: {error.reason}")
    except OSError:
        text = "connection lost in the handshake; perhaps no TLS at this port: try http://"
        return watch.found("tls", "bad", text)
    if settings.over_grpc and protocol != "h2":
        advice = "use its gRPC port, or --protocol http/protobuf"
        return watch.found("tls", "bad", f"no HTTP/2 at this port, which gRPC needs; {advice}")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    text = f"{version}, certificate of {_subject(certificate)} until {ends:%Y-%m-%d}, {days} days"
    return watch.found("tls", "warning" if days < EXPIRES_SOON_DAYS else "good", text)


PLAINTEXT: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""How OpenSSL calls an answer that is not TLS."""


def _subject(certificate: object) -> str:
    names = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()
    return str(names[0][1]) if names else "a host without a name"


def _why_refused(settings: Settings, outcome: Outcome) -> str:
    """Return what became of the canary, and what to do about it."""
    answer = outcome.answer
    text = f"connected, but the {ITEMS[settings.signal]} was not accepted: {answer.reason}"
    if answer.detail:
        text += f' ("{_without_secrets(answer.detail, settings)}")'
    advice = _advice(settings, answer, outcome.status)
    return f"{text}; {advice}" if advice else text


def _without_secrets(text: str, settings: Settings) -> str:
    """Return *text*, an endpoint's words, without what it repeats of the headers' values."""
    for _, value in settings.headers:
        for word in value.split():
            if len(word) > 3:  # less is no secret, and occurs by chance
                text = text.replace(word, HIDDEN)
    return text


ITEMS: Final = {"traces": "span", "metrics": "data point", "logs": "log record"}


def _advice(settings: Settings, answer: Answer, status: int | None) -> str:
    path = settings.endpoint.path
    if "HTTPS server" in answer.detail:
        return "TLS at this port: write https://"
    match status:
        case 401 | 403:
            return "give credentials with --headers or OTEL_EXPORTER_OTLP_HEADERS"
        case 404:
            return (
                f"nothing at {path}: is it an OTLP endpoint, with {settings.signal} on? A base"
                " path goes into --endpoint, without /v1/..."
            )
        case 405:
            return f"{path} takes no POST, so it is no OTLP endpoint"
        case 415:
            return "it does not take protobuf"
        case None if not settings.over_grpc and answer.cause is Cause.LOSS:
            tls = "" if settings.endpoint.tls else "; or of TLS: try https://"
            return f"perhaps a port of gRPC: try --protocol grpc{tls}"
    if "Socket closed" in answer.detail and not settings.endpoint.tls:
        return "perhaps a port of TLS: try https://"
    if answer.reason == "gRPC UNIMPLEMENTED":
        return f"the receiver has no {settings.signal}"
    if answer.reason in ("gRPC UNAUTHENTICATED", "gRPC PERMISSION_DENIED"):
        return "give credentials with --headers or OTEL_EXPORTER_OTLP_HEADERS"
    return ""


def _clock(skew_s: float, watch: _Watch) -> Finding:
    if abs(skew_s) < SKEW_S:
        return watch.found("clock", "good", f"agrees with the endpoint's to {SKEW_S:g} s")
    side = "ahead of" if skew_s > 0 else "behind"
    text = f"the endpoint's clock is {abs(skew_s):,.0f} s {side} ours: spans will seem displaced"
    return watch.found("clock", "warning", text)
