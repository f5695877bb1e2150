"""An OTLP/gRPC endpoint that misbehaves by script and counts honestly, see ``scripted.py``.

It speaks HTTP/2 by itself, frame by frame, as no gRPC
library lets its servers break the rules: it can reset a connection in the middle of a call, end a
stream without a status, or answer with what is no protobuf. Frames: RFC 9113, sections 4 and 6;
headers: RFC 7541, written as literals only; messages and trailers: gRPC's PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.oracles.scripted import Request, Scripted, partial_success

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    *(0, 1, 3, 4, 6, 7, 8, 9),
)
ACK = END_STREAM = 1
END_HEADERS = 4
PADDED, PRIORITY = 8, 32

# No dynamic table, so that the headers of every request can be read as they are; windows as large
# as they may be.
OUR_SETTINGS = struct.pack(">HIHI", 1, 0, 4, 2**31 - 1)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(*fields: tuple[str, str]) -> bytes:
    """Return the fields as literals without indexing (RFC 7541, section 6.2.2)."""

    def text(value: str) -> bytes:
        content, length = value.encode(), len(value.encode())
        if length < 127:
            return bytes([length]) + content
        length, prefix = length - 127, b"\x7f"
        while length >= 128:
            prefix += bytes([length % 128 + 128])
            length //= 128
        return prefix + bytes([length]) + content

    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


@dataclass
class Call(Request):
    """One request, and the means to treat it badly. Its head is the header block."""

    stream: int
    message: bytes = b""
    """What came of the message so far, with its prefix of 5 bytes."""
    ended: bool = False
    """Whether the client has said all, or gave up."""
    cancelled: bool = False
    news: Event = field(default_factory=Event)

    def read(self, size: int | None = None) -> bytes:
        """Return the message once *size* bytes of it are there, all of it by default."""
        while not self.ended and (size is None or len(self.message) < size):
            self.news.wait()
            self.news.clear()
        if self.cancelled:
            raise ConnectionError("the client gave up")
        return self.message

    def content(self) -> bytes:
        message = self.read()
        return gzip.decompress(message[5:]) if message[0] else message[5:]

    def send(self, kind: int, flags: int, payload: bytes = b"") -> None:
        """Send a frame of this call's stream."""
        self.sock.sendall(frame(kind, flags, self.stream, payload))

    def begin(self, *, status: str = "200", content_type: str = "application/grpc") -> None:
        self.send(
            HEADERS, END_HEADERS, header_block((":status", status), ("content-type", content_type))
        )

    def say(self, content: bytes = b"", *, compressed: bool = False) -> None:
        self.send(DATA, 0, struct.pack(">BI", compressed, len(content)) + content)

    def end(self, code: int, message: str = "", *trailers: tuple[str, str]) -> None:
        fields = (("grpc-status", str(code)), ("grpc-message", message), *trailers)
        self.send(HEADERS, END_HEADERS | END_STREAM, header_block(*fields))

    def wait_for_the_end(self) -> None:
        """Wait until the client gives up."""
        while not self.cancelled:
            self.news.wait()
            self.news.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes whoever reads from it
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        self.end_in_a_reset()
        # The descriptor lives on while somebody reads from the socket, so that is ended too.
        self.endpoint.readers[self.sock].kill()
        self.sock.close()


Act = Callable[[Call], None]


class MisbehavingGrpc(Scripted):
    """The endpoint."""

    def __init__(self, *script: Act, port: int = 0, **server: object) -> None:
        super().__init__(*script, port=port, **server)
        self.readers: dict[gevent.socket.socket, gevent.Greenlet] = {}

    def serve(self, sock: gevent.socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is several writes
        self.readers[sock] = gevent.getcurrent()
        calls: dict[int, Call] = {}
        try:
            if _exactly(sock, len(PREFACE)) != PREFACE:
                raise ConnectionError("no HTTP/2")
            sock.sendall(frame(SETTINGS, 0, 0, OUR_SETTINGS))
            sock.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65535)))
            while True:
                self._take(sock, calls)
        except (ConnectionError, OSError):
            pass
        finally:
            del self.readers[sock]
            for call in calls.values():
                call.ended = call.cancelled = True
                call.news.set()
            sock.close()

    def _take(self, sock: gevent.socket.socket, calls: dict[int, Call]) -> None:
        """Read one frame and see to it."""
        head = _exactly(sock, 9)
        (length,) = struct.unpack(">I", b"\0" + head[:3])
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = _exactly(sock, length)
        if kind == SETTINGS and not flags & ACK:
            sock.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            sock.sendall(frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            assert flags & END_HEADERS
            assert not flags & (PADDED | PRIORITY)
            calls[stream] = call = Call(self, sock, payload, stream)
            gevent.spawn(self._act, self.next_act(payload, accept), call)
        elif kind == DATA:
            calls[stream].message += payload
            if payload:  # what was taken may come again
                size = struct.pack(">I", len(payload))
                sock.sendall(frame(WINDOW_UPDATE, 0, 0, size))
        elif kind == RST_STREAM:
            calls[stream].cancelled = True
        if stream in calls:
            call = calls[stream]
            call.ended = call.ended or call.cancelled or bool(flags & END_STREAM)
            call.news.set()

    def _act(self, act: Act, call: Call) -> None:
        with contextlib.suppress(OSError):
            act(call)


def _exactly(sock: gevent.socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        more = sock.recv(size - len(received))
        if not more:
            raise ConnectionError("the client went away")
        received += more
    return bytes(received)


def accept(call: Call) -> None:
    call.keep()
    call.begin()
    call.say()
    call.end(0)


def status(code: int, message: str = "no", *trailers: tuple[str, str]) -> Act:
    """Return the act of answering with a status and nothing else."""

    def act(call: Call) -> None:
        call.read()
        fields = (
            *((":status", "200"), ("content-type", "application/grpc")),
            *(("grpc-status", str(code)), ("grpc-message", message), *trailers),
        )
        call.send(HEADERS, END_HEADERS | END_STREAM, header_block(*fields))

    return act


def later(code: int, seconds: float) -> Act:
    """Return the act of asking the client to come back, as OTLP's section on throttling has it."""
    rpc_status = Status(code=code, message="later")
    delay = Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))
    rpc_status.details.add().Pack(RetryInfo(retry_delay=delay))
    details = base64.b64encode(rpc_status.SerializeToString()).decode()
    return status(code, "later", ("grpc-status-details-bin", details))


def partial(refused: int) -> Act:
    """Return the act of accepting all but *refused* spans."""

    def act(call: Call) -> None:
        call.keep(but=refused)
        call.begin()
        call.say(partial_success(refused))
        call.end(0)

    return act


def reset_mid_body(call: Call) -> None:
    call.read(6)
    call.reset()


def reset_before_answer(call: Call) -> None:
    call.keep()
    call.reset()


def forget_and_reset(call: Call) -> None:
    call.read()
    call.reset()


def reset_mid_answer(call: Call) -> None:
    call.keep()
    call.begin()
    call.say()
    call.reset()


def close_mid_answer(call: Call) -> None:
    call.keep()
    call.begin()
    call.close()


def end_the_stream(error: int) -> Act:
    """Return the act of counting the spans and then ending the stream with an HTTP/2 error."""

    def act(call: Call) -> None:
        call.keep()
        call.send(RST_STREAM, 0, struct.pack(">I", error))

    return act


def end_without_a_status(call: Call) -> None:
    call.keep()
    call.begin()
    call.say()
    call.send(DATA, END_STREAM)


def accept_without_a_message(call: Call) -> None:
    call.keep()
    call.begin()
    call.end(0)


def go_away(call: Call) -> None:
    """Count the spans, and say that this request was not seen."""
    call.keep()
    call.sock.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
    call.close()


def accept_and_close(call: Call) -> None:
    accept(call)
    call.close()


def hang(call: Call) -> None:
    """Keep the spans and say nothing until the client gives up."""
    call.keep()
    call.wait_for_the_end()


def trickle(call: Call) -> None:
    """Keep the spans and answer so slowly that the whole never ends."""
    call.keep()
    call.begin()
    call.send(DATA, 0, struct.pack(">BI", 0, 1_000_000))
    while not call.cancelled:
        call.send(DATA, 0, b"x")
        gevent.sleep(0.001)


def garbage(call: Call) -> None:
    """Count the spans and say yes with a message that is no protobuf."""
    call.keep()
    call.begin()
    call.say(b"\xff\xff\xff")
    call.end(0)


def forget_with_garbage(call: Call) -> None:
    call.read()
    call.begin()
    call.say(b"\xff\xff\xff")
    call.end(0)


def flood(call: Call) -> None:
    """Count the spans and say yes at great length."""
    call.keep()
    call.begin()
    content = bytes(1_000_000)
    call.send(DATA, 0, struct.pack(">BI", 0, len(content)))
    for start in range(0, len(content), 10_000):
        call.send(DATA, 0, content[start : start + 10_000])
    call.end(0)


def not_compressed(call: Call) -> None:
    """Count the spans and say yes with a message that claims to be compressed."""
    call.keep()
    call.send(
        HEADERS,
        END_HEADERS,
        header_block(
            (":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")
        ),
    )
    call.say(b"not gzip", compressed=True)
    call.end(0)


def http_status(code: str) -> Act:
    """Return the act of answering with HTTP alone, as a gateway does; the spans are counted."""

    def act(call: Call) -> None:
        call.keep()
        fields = ((":status", code), ("content-type", "text/html"))
        call.send(HEADERS, END_HEADERS | END_STREAM, header_block(*fields))

    return act
