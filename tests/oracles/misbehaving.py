"""An OTLP/HTTP endpoint that misbehaves by script and counts honestly, see ``scripted.py``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from tests.oracles.scripted import Request, Scripted, partial_success


@dataclass
class Exchange(Request):
    """One request, and the means to treat it badly."""

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

    def content(self) -> bytes:
        return self.read()

    def answer(self, status: str, content: bytes = b"", *headers: str) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
        self.sock.sendall("\r\n".join([*head, "", ""]).encode() + content)

    def close(self) -> None:
        self.sock.close()
        self.open = False

    def reset(self) -> None:
        self.end_in_a_reset()
        self.close()


Act = Callable[[Exchange], None]


class Misbehaving(Scripted):
    """The endpoint."""

    def serve(self, sock: gevent.socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            while exchange := self._next(sock):
                self.next_act(exchange.head, accept)(exchange)
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
        exchange.answer("200 OK", partial_success(refused), "Content-Type: application/x-protobuf")

    return act
