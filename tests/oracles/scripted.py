"""What endpoints that misbehave by script have in common, whatever they speak.

Each request that comes takes the next *act* of the script; after the last one, all are accepted. An
act reads the request as far as it likes, answers or not, and counts the spans that it keeps. So
what a client believes can be compared with what an endpoint has.

They run on gevent, in the process of the test, on a real socket of loopback.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import gevent
from gevent.server import StreamServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Request(ABC):
    """A request that has begun to come."""

    endpoint: Scripted
    sock: gevent.socket.socket
    head: bytes
    """What came before the content."""

    @abstractmethod
    def content(self) -> bytes:
        """Return the whole content, decompressed."""

    def keep(self, *, but: int = 0) -> None:
        """Read the request and count its spans, *but* some that were refused."""
        request = ExportTraceServiceRequest.FromString(self.content())
        self.endpoint.spans -= but
        for of_resource in request.resource_spans:
            for of_scope in of_resource.scope_spans:
                self.endpoint.spans += len(of_scope.spans)

    def end_in_a_reset(self) -> None:
        """Let the client get a reset, not an orderly end, when the connection is closed."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Scripted(ABC):
    """An endpoint. Spans it counted, requests and connections it saw, and what they began with."""

    def __init__(self, *script: Callable[[Any], None], port: int = 0, **server: object) -> None:
        self.script = list(script)
        self.spans = 0
        self.requests = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self._server = StreamServer(("127.0.0.1", port), self._connected, **server)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def serve(self, sock: gevent.socket.socket) -> None:
        """Serve one connection to its end."""

    def next_act(self, head: bytes, accept: Callable[[Any], None]) -> Callable[[Any], None]:
        """Count a request that begins with *head* and return what is to be done with it."""
        self.requests += 1
        self.heads.append(head)
        return self.script.pop(0) if self.script else accept

    def _connected(self, sock: gevent.socket.socket, _address: object) -> None:
        self.connections += 1
        self.serve(sock)


def partial_success(refused: int) -> bytes:
    """Return the answer to a request of which some spans were *refused*."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = refused
    response.partial_success.error_message = "too old"
    return response.SerializeToString()


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port of loopback that nobody listens on, while this lasts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
