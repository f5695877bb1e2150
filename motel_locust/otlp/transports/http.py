"""OTLP over HTTP: kept-alive connections under gevent, one try for each call.

geventhttpclient parses the answers. Its client and pool stay unused: a connection here belongs to
one try at a time, so nothing that goes wrong can keep a slot of a pool, and it is known whether
sending had begun when a try fails, which decides whether its items are ambiguous.
"""

from __future__ import annotations

import select
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import gevent
import gevent.socket
import gevent.ssl
from gevent.monkey import get_original
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketResponse

from motel_locust import __version__
from motel_locust.otlp.answers import PROTOBUF, http_answer
from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.settings import SettingsError
from motel_locust.otlp.transports.compression import compressor

if TYPE_CHECKING:
    from motel_locust.otlp.endpoints import Endpoint
    from motel_locust.otlp.settings import Settings

Socket = gevent.socket.socket

original_poll = get_original("select", "poll")
"""Under Locust ``select`` is patched, and its poll lets other greenlets run."""

NOT_HTTP: Final = "answer cut off or not HTTP; at a port of gRPC use the protocol grpc"

ANSWER_BYTES: Final = 64 << 10
"""More of an answer than this is not read: it is no Export…ServiceResponse."""


class HttpTransport:
    """Sends bodies to one OTLP/HTTP endpoint.

    A retry compresses its body again. Keeping both forms would double the queue, and retries are
    either rare or paced by their waits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = tls_context(settings) if settings.endpoint.tls else None
        self._idle: list[Socket] = []
        self._closed = False
        self._compress = compressor(settings.compression)
        self._head = _head(settings)

    def send(self, content: bytes, items: int) -> Answer:
        """Send *content* once, within the timeout; see :class:`Transport`."""
        small = self._compress(content)
        head = b"%b%d\r\n\r\n" % (self._head, len(small))
        sock: Socket | None = None
        reusable = False
        # One timeout over all: a limit for each read would let an endpoint trickle for ever.
        timeout = gevent.Timeout.start_new(self._settings.timeout_s)
        try:
            sock = self._connection()
            response, answered = _exchange(sock, head, small)
            reusable = not (response.should_close() or self._closed)
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            if sock is None:
                return Answer(Cause.UNREACHABLE, "connection timed out")
            return Answer(Cause.LOSS, "no answer in time")
        except OSError as error:
            if sock is None:
                return Answer(Cause.UNREACHABLE, unreachable_reason(error), detail=str(error))
            return Answer(Cause.LOSS, "connection lost", detail=str(error))
        except HTTPConnectionClosed:
            return Answer(Cause.LOSS, "connection lost")
        except HTTPParseError as error:
            return Answer(Cause.LOSS, NOT_HTTP, detail=str(error))
        finally:
            timeout.close()
            if sock is not None:
                self._idle.append(sock) if reusable else sock.close()
        return http_answer(
            response.status_code,
            answered,
            content_type=_first(response.get("content-type")) or "",
            retry_after=_first(response.get("retry-after")),
            now=datetime.now(UTC),
            signal=self._settings.signal,
            items=items,
        )

    def close(self) -> None:
        """Close the idle connections, and each other one when its try ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> Socket:
        """Return an idle connection that is still good, or a new one."""
        while self._idle:
            sock = self._idle.pop()
            if not _readable(sock):
                return sock
            sock.close()  # nothing is due on an idle connection but its end
        return connect(self._settings.endpoint, self._context, self._settings.timeout_s)


def _exchange(sock: Socket, head: bytes, content: bytes) -> tuple[HTTPSocketResponse, bytes]:
    """Send a request; return the response and its content, read to ANSWER_BYTES."""
    # An endpoint may refuse before it read all, say for the size, and close. Its answer can still
    # be read; where there is none, reading raises just the same.
    with suppress(BrokenPipeError, ConnectionResetError):
        _send(sock, head, content)
    response = HTTPSocketResponse(sock, method="POST")
    return response, response.read(ANSWER_BYTES)


def _send(sock: Socket, head: bytes, content: bytes) -> None:
    """Send *head* and *content* in one go, so that the content need not be copied behind the head.

    Only TLS has no such call.
    """
    if isinstance(sock, gevent.ssl.SSLSocket):
        sock.sendall(head + content)
        return
    sent = sock.sendmsg([head, content])
    for part in (head, content):
        if sent < len(part):
            sock.sendall(memoryview(part)[sent:])
        sent = max(0, sent - len(part))


def _readable(sock: Socket) -> bool:
    """Return whether reading would not wait, without waiting or yielding to find out."""
    # select() cannot look at descriptors above 1023, which a process with many users has.
    poll = original_poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def connect(endpoint: Endpoint, context: ssl.SSLContext | None, timeout_s: float) -> Socket:
    """Return a connection to *endpoint*, encrypted with *context*; raise OSError if there is none.

    Every address of the host is tried, each for *timeout_s* at most.
    """
    sock = gevent.socket.create_connection((endpoint.host, endpoint.port), timeout=timeout_s)
    try:
        # A request is one write; without this its last packet could wait for an acknowledgement.
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=endpoint.host)
        sock.settimeout(None)  # from here on whoever uses it decides
    except BaseException:
        sock.close()
        raise
    return sock


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return the context that *settings* ask for; raise SettingsError if a file is of no use."""
    # Not create_default_context(): where nothing is patched it makes sockets that block the hub.
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.certificate:
            context.load_verify_locations(cafile=settings.certificate)
        else:
            context.load_default_certs()
    except OSError as error:
        raise _unusable(settings, "certificate", settings.certificate, error) from None
    if settings.client_certificate:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            raise _unusable(
                settings, "client_certificate", settings.client_certificate, error
            ) from None
    return context


def unreachable_reason(error: OSError) -> str:
    """Return why no connection came about, as one of a few short texts."""
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case gevent.socket.gaierror():
            return "host name not found"
        case ssl.SSLCertVerificationError():
            return "certificate not trusted"
        case ssl.SSLError():
            return "TLS handshake failed"
        case TimeoutError():
            return "connection timed out"
        case _:
            return "no connection"


def _unusable(settings: Settings, setting: str, path: str | None, error: OSError) -> SettingsError:
    # An ssl.SSLError is an OSError too; its own text names functions of OpenSSL.
    why = "not the PEM that it should be" if isinstance(error, ssl.SSLError) else error.strerror
    return SettingsError(f"{settings.source(setting)}: {path} cannot be used: {why}")


def _head(settings: Settings) -> bytes:
    """Return the head of every request, up to the value of Content-Length."""
    endpoint = settings.endpoint
    fields = {
        "Host": endpoint.authority,
        "User-Agent": f"motel-locust/{__version__}",
        "Content-Type": PROTOBUF,
    }
    if settings.compression != "none":
        fields["Content-Encoding"] = settings.compression
    # A header of the user's replaces one of these, whatever its case.
    asked = {name.lower() for name, _ in settings.headers}
    lines = [
        f"POST {endpoint.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items() if name.lower() not in asked),
        *(f"{name}: {value}" for name, value in settings.headers),
        "Content-Length: ",
    ]
    return "\r\n".join(lines).encode("latin-1")


def _first(value: str | list[str] | None) -> str | None:
    """Return the first of the values of a header."""
    return value[0] if isinstance(value, list) else value
