"""The built-in receiver: OTLP over HTTP and gRPC, decoded, counted and judged."""

from __future__ import annotations

import json
import os
import socket
import time
from threading import Lock
from typing import TYPE_CHECKING, Final

import gevent
from gevent.pywsgi import WSGIServer
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from motel_locust.otlp.answers import JSON, PROTOBUF, status_text
from motel_locust.otlp.requests import (
    CONTENT_BYTES,
    MEDIA_TYPES,
    REQUESTS,
    Refusal,
    decompress,
    parse,
)
from motel_locust.otlp.tally import SETTLE_S, Report, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from motel_locust.otlp.receiver_grpc import GrpcPort

LOOK_S: Final = 1.0
"""How often quiet traces are judged."""


class Receiver:
    """An OTLP endpoint in this process: HTTP in greenlets, gRPC in threads.

    ``GET /`` answers with the report so far as JSON, ``GET /healthz`` with "ok".

    Args:
        host: Name or address to listen on.
        port: Port to listen on for HTTP, 0 for a free one.
        grpc_port: The same for gRPC; None for no gRPC, as it needs a process without patches.
        settle_s: A trace is judged when nothing came for it this long.
    """

    def __init__(
        self, host: str, port: int, *, grpc_port: int | None = None, settle_s: float = SETTLE_S
    ) -> None:
        self._tally = Tally(settle_s=settle_s, now_s=time.monotonic())
        self._turn = Lock()  # the tally's: requests come from greenlets and from threads
        self._address = (host, port)
        self._server = WSGIServer((host, port), self._answer, log=None)
        self._grpc = self._grpc_port(grpc_port) if grpc_port is not None else None
        self._looking: gevent.Greenlet[..., None] | None = None

    @property
    def endpoint(self) -> str:
        """The address to send to over HTTP, as ``--host`` takes it."""
        host, _ = self._address
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._server.server_port}"

    @property
    def grpc_endpoint(self) -> str | None:
        """The address to send to over gRPC, None where there is none."""
        return self._grpc.endpoint if self._grpc is not None else None

    def start(self) -> None:
        """Begin to listen; raise OSError, ``filename`` the address, if one is taken or not ours."""
        _listen(self._server.start, self._address)
        if self._grpc is not None:
            try:
                _listen(self._grpc.start, self._grpc.address)
            except OSError:
                self._server.stop()
                raise
        self._looking = gevent.spawn(self._look_for_ever)

    def stop(self) -> Report:
        """Stop listening, judge what is left, and return the final report."""
        self._server.stop(timeout=1.0)
        if self._grpc is not None:
            self._grpc.stop()
        if self._looking is not None:
            self._looking.kill()
            self._looking = None
            with self._turn:
                self._tally.judge.finish(time.monotonic())
        return self.report()

    def report(self) -> Report:
        """Return the report so far."""
        with self._turn:
            return self._tally.report()

    def _grpc_port(self, port: int) -> GrpcPort:
        # Only here, as grpcio takes 30 ms and 11 MB to import.
        from motel_locust.otlp.receiver_grpc import GrpcPort

        return GrpcPort(self._address[0], port, self._take_call)

    def _look_for_ever(self) -> None:
        while True:
            gevent.sleep(LOOK_S)
            with self._turn:
                self._tally.judge.look(time.monotonic())

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path in REQUESTS:
            return self._export(environ, start)
        if path == "/healthz":
            return _page(start, method, b"ok\n", "text/plain")
        if path == "/":
            report = json.dumps(self.report().as_dict()).encode()
            return _page(start, method, report, JSON)
        return _refused(start, Refusal(404, f"nothing at {path}; OTLP comes to /v1/traces"), JSON)

    def _export(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        try:
            self._take(environ["PATH_INFO"], _content(environ, media_type), media_type)
        except Refusal as refusal:
            self._refuse()
            return _refused(start, refusal, media_type)
        # A full success is an Export…ServiceResponse without any field.
        content = b"{}" if media_type == JSON else b""
        return _respond(start, 200, content, media_type)

    def _take_call(self, path: str, content: bytes) -> None:
        """Count one call of gRPC; raise Refusal if it cannot be read. Runs in threads."""
        try:
            self._take(path, content, PROTOBUF)
        except Refusal:
            self._refuse()
            raise

    def _take(self, path: str, content: bytes, media_type: str) -> None:
        request = parse(path, content, media_type)
        with self._turn:
            self._tally.add(request, size=len(content), now_s=time.monotonic())

    def _refuse(self) -> None:
        with self._turn:
            self._tally.refuse()


def _listen(start: Callable[[], None], address: tuple[str, int]) -> None:
    """Call *start*; raise OSError with *address* and the system's reason."""
    try:
        start()
    except OSError as error:
        # gevent adds the address to the text of some errors; getaddrinfo has its own numbers.
        by_name = isinstance(error, socket.gaierror) or error.errno is None
        why = error.strerror if by_name else os.strerror(error.errno or 0).lower()
        raise OSError(error.errno, why, f"{address[0]}:{address[1]}") from None


def _content(environ: WSGIEnvironment, media_type: str) -> bytes:
    """Return what was sent, decompressed; raise Refusal if it is no export."""
    if environ["REQUEST_METHOD"] != "POST":
        raise Refusal(405, "OTLP is sent with POST")
    if media_type not in MEDIA_TYPES:
        raise Refusal(415, f'content type "{media_type}" is not known; use {PROTOBUF} or {JSON}')
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    sent = b"" if announced > CONTENT_BYTES else environ["wsgi.input"].read(CONTENT_BYTES + 1)
    if max(announced, len(sent)) > CONTENT_BYTES:
        raise Refusal(413, f"the request is larger than {CONTENT_BYTES >> 20} MiB")
    return decompress(sent, environ.get("HTTP_CONTENT_ENCODING", ""))


def _page(start: StartResponse, method: str, content: bytes, media_type: str) -> Iterable[bytes]:
    if method not in ("GET", "HEAD"):
        return _refused(start, Refusal(405, "this page is read with GET"), JSON)
    return _respond(start, 200, content, media_type)


def _refused(start: StartResponse, refusal: Refusal, media_type: str) -> Iterable[bytes]:
    """Answer with a ``google.rpc.Status`` in the media type of the request, as OTLP asks."""
    if media_type == PROTOBUF:
        # Message of google.rpc.Status and of OTLP's own Status: field 2, a string, in both.
        content = Status(message=refusal.message).SerializeToString()
    else:
        media_type, content = JSON, json.dumps({"message": refusal.message}).encode()
    allow = [("Allow", "POST")] if refusal.status == 405 else []
    # What was not read of a request that is too large must not be taken for the next one.
    close = [("Connection", "close")] if refusal.status == 413 else []
    return _respond(start, refusal.status, content, media_type, allow + close)


def _respond(
    start: StartResponse,
    status: int,
    content: bytes,
    media_type: str,
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    length = ("Content-Length", str(len(content)))
    start(
        status_text(status).removeprefix("HTTP "), [("Content-Type", media_type), length, *headers]
    )
    return [content]
