"""The built-in receiver: OTLP over HTTP, decoded, counted and judged."""

from __future__ import annotations

import json
import time
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
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from motel_locust.otlp.tally import Request

LOOK_S: Final = 1.0
"""How often quiet traces are judged."""


class Receiver:
    """An OTLP/HTTP endpoint in this process, in greenlets.

    ``GET /`` answers with the report so far as JSON, ``GET /healthz`` with "ok".

    Args:
        host: Name or address to listen on.
        port: Port to listen on, 0 for a free one.
        settle_s: A trace is judged when nothing came for it this long.
    """

    def __init__(self, host: str, port: int, *, settle_s: float = SETTLE_S) -> None:
        self._tally = Tally(settle_s=settle_s, now_s=time.monotonic())
        self._host = host
        self._server = WSGIServer((host, port), self._answer, log=None)
        self._looking: gevent.Greenlet[..., None] | None = None

    @property
    def endpoint(self) -> str:
        """The address to send to, as ``--host`` takes it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to listen; raise OSError if the address is taken or not ours."""
        self._server.start()
        self._looking = gevent.spawn(self._look_for_ever)

    def stop(self) -> Report:
        """Stop listening, judge what is left, and return the final report."""
        self._server.stop(timeout=1.0)
        if self._looking is not None:
            self._looking.kill()
            self._looking = None
            self._tally.judge.finish(time.monotonic())
        return self._tally.report()

    def report(self) -> Report:
        """Return the report so far."""
        return self._tally.report()

    def _look_for_ever(self) -> None:
        while True:
            gevent.sleep(LOOK_S)
            self._tally.judge.look(time.monotonic())

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path in REQUESTS:
            return self._export(environ, start)
        if path == "/healthz":
            return _page(start, method, b"ok\n", "text/plain")
        if path == "/":
            report = json.dumps(self._tally.report().as_dict()).encode()
            return _page(start, method, report, JSON)
        return _refused(start, Refusal(404, f"nothing at {path}; OTLP comes to /v1/traces"), JSON)

    def _export(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        try:
            request, size = _read(environ, media_type)
        except Refusal as refusal:
            self._tally.refuse()
            return _refused(start, refusal, media_type)
        self._tally.add(request, size=size, now_s=time.monotonic())
        # A full success is an Export…ServiceResponse without any field.
        content = b"{}" if media_type == JSON else b""
        return _respond(start, 200, content, media_type)


def _read(environ: WSGIEnvironment, media_type: str) -> tuple[Request, int]:
    """Return the request of an export and its size; raise Refusal if there is none."""
    if environ["REQUEST_METHOD"] != "POST":
        raise Refusal(405, "OTLP is sent with POST")
    if media_type not in MEDIA_TYPES:
        raise Refusal(415, f'content type "{media_type}" is not known; use {PROTOBUF} or {JSON}')
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    sent = b"" if announced > CONTENT_BYTES else environ["wsgi.input"].read(CONTENT_BYTES + 1)
    if max(announced, len(sent)) > CONTENT_BYTES:
        raise Refusal(413, f"the request is larger than {CONTENT_BYTES >> 20} MiB")
    content = decompress(sent, environ.get("HTTP_CONTENT_ENCODING", ""))
    return parse(environ["PATH_INFO"], content, media_type), len(content)


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
