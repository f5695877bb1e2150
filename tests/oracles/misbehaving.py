"""An OTLP/HTTP endpoint that misbehaves by script and counts honestly.

Each request that comes takes the next *act* of the script; after the last one, all are accepted. An
act reads the request as far as it likes, answers or not, and counts the spans that it keeps. So
what a client believes can be compared with what an endpoint has.

It runs on gevent, in the process of the test, on a real socket of loopback.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gevent
from gevent.server import StreamServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Exchange:
    """One request, and the means to treat it badly."""

    endpoint: Misbehaving
    sock: gevent.socket.socket
    head: bytes
    length: int
    begun: bytes
    """What came of the content together with the head."""
    open: bool = True

    def read(self, size: int | None = None) -> bytes:
        """Return *size* bytes of the content, all of it by default."""
        wanted = self.length if size is None else size
        while len(self.begun) < wanted:
            received = self.sock.recv(65536)
            if not received:
                raise ConnectionError("the client went away")
            self.begun += received
        return self.begun

    def keep(self, *, but: int = 0) -> None:
        """Read the request and count its spans, *but* some that were refused."""
        request = ExportTraceServiceRequest.FromString(self.read())
        spans = [
            span
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        self.endpoint.spans += len(spans) - but

    def answer(self, status: str, content: bytes = b"", *headers: str) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
        self.sock.sendall("\r\n".join([*head, "", ""]).encode() + content)

    def close(self) -> None:
        self.sock.close()
        self.open = False

    def reset(self) -> None:
        """Close so that the client gets a reset, not an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


Act = Callable[[Exchange], None]


class Misbehaving:
    """The endpoint. Spans it counted, requests and connections it saw."""

    def __init__(self, *script: Act, port: int = 0, **server: object) -> None:
        self.script = list(script)
        self.spans = 0
        self.requests = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self._server = StreamServer(("127.0.0.1", port), self._serve, **server)

    def __enter__(self) -> Misbehaving:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _serve(self, sock: gevent.socket.socket, _address: object) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while exchange := self._next(sock):
                self.requests += 1
                self.heads.append(exchange.head)
                act = self.script.pop(0) if self.script else accept
                act(exchange)
                if not exchange.open:
                    return

    def _next(self, sock: gevent.socket.socket) -> Exchange | None:
        """Read the head of the next request; None when the client is done."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = sock.recv(65536)
            if not more:
                return None
            received += more
        head, _, begun = received.partition(b"\r\n\r\n")
        (length,) = (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        return Exchange(self, sock, head, length, begun)


def accept(exchange: Exchange) -> None:
    exchange.keep()
    exchange.answer("200 OK")


def reset_mid_body(exchange: Exchange) -> None:
    exchange.read(exchange.length // 2)
    exchange.reset()


def reset_before_answer(exchange: Exchange) -> None:
    exchange.keep()
    exchange.reset()


def forget_and_reset(exchange: Exchange) -> None:
    exchange.read()
    exchange.reset()


def reset_mid_answer(exchange: Exchange) -> None:
    exchange.keep()
    exchange.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nhalf")
    exchange.reset()


def close_mid_head(exchange: Exchange) -> None:
    exchange.keep()
    exchange.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.close()


def hang(exchange: Exchange) -> None:
    """Keep the spans and say nothing until the client gives up."""
    exchange.keep()
    exchange.sock.recv(1)
    exchange.close()


def trickle(exchange: Exchange) -> None:
    """Keep the spans and answer so slowly that each read succeeds but the whole never ends."""
    exchange.keep()
    exchange.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        exchange.sock.sendall(b"x")
        gevent.sleep(0.001)


def not_http(exchange: Exchange) -> None:
    exchange.keep()
    exchange.sock.sendall(b"\x00\xffgarbage\r\n\r\n")
    exchange.close()


def garbage_with_200(exchange: Exchange) -> None:
    exchange.keep()
    exchange.answer("200 OK", b"<html>please log in</html>", "Content-Type: text/html")


def forget_with_200(exchange: Exchange) -> None:
    exchange.read()
    exchange.answer("200 OK", b"<html>please log in</html>", "Content-Type: text/html")


def read_slowly(exchange: Exchange) -> None:
    while len(exchange.begun) < exchange.length:
        exchange.read(min(exchange.length, len(exchange.begun) + 1000))
        gevent.sleep(0)
    accept(exchange)


def accept_and_close(exchange: Exchange) -> None:
    """Accept, then close the kept-alive connection without a word."""
    accept(exchange)
    exchange.close()


def refuse_early(exchange: Exchange) -> None:
    """Answer before the content was read, and close, as servers do with what is too large."""
    exchange.answer("413 Content Too Large", b"", "Connection: close")
    exchange.close()


def status(line: str, *headers: str) -> Act:
    """Return the act of answering *line*, such as "503 Service Unavailable"."""

    def act(exchange: Exchange) -> None:
        exchange.read()
        exchange.answer(line, b"no", *headers)

    return act


def partial(refused: int) -> Act:
    """Return the act of accepting all but *refused* spans."""

    def act(exchange: Exchange) -> None:
        exchange.keep(but=refused)
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = refused
        response.partial_success.error_message = "too old"
        exchange.answer(
            "200 OK", response.SerializeToString(), "Content-Type: application/x-protobuf"
        )

    return act


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port of loopback that nobody listens on, while this lasts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
