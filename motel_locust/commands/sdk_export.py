"""The OpenTelemetry SDK's exporters, with an account of what every try came to.

The exporters answer with success or failure of a batch, and count a redirection and a partial
success as success. So they are watched at the wire, by an adapter of requests and a stub of gRPC,
and what the endpoint said is judged as for every other span of ours.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from motel_locust.otlp.answers import http_answer
from motel_locust.otlp.delivery import MAY_HAVE_ARRIVED, Answer, Cause
from motel_locust.otlp.grpc_answers import grpc_success
from motel_locust.otlp.quiet_grpc import grpc
from motel_locust.otlp.settings import SettingsError
from motel_locust.otlp.transports import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import ReadableSpan

    from motel_locust.commands.interruption import Interruption
    from motel_locust.otlp.ledger import Ledger
    from motel_locust.otlp.settings import Settings


@dataclass(slots=True)
class Tries:
    """What came of the tries of one batch."""

    items: int = 0
    """Spans in the batch."""
    answers: list[Answer] = field(default_factory=list)
    """In the order of the tries; the last one decides."""


class Account(SpanExporter):
    """An exporter that settles every span in a ledger by what the endpoint said of it.

    *open_exporter* gets the tries of the present batch, to add the answer to every one. *allowed*
    is what an export runs in, so that it may be interrupted.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_exporter: Callable[[Tries], SpanExporter],
        allowed: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._ledger = ledger
        self._allowed = allowed
        self._tries = Tries()
        self._exporter = open_exporter(self._tries)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans*, which are pending in the ledger, and settle them."""
        self._tries.items = len(spans)
        self._tries.answers.clear()
        try:
            with self._allowed():
                return self._exporter.export(spans)
        except KeyboardInterrupt:
            if not any(answer.cause is Cause.ACK for answer in self._tries.answers):
                self._tries.answers.append(Answer(Cause.INTERRUPTED, "interrupted"))
            raise
        finally:
            self._settle(len(spans), self._tries.answers)

    def shutdown(self) -> None:
        """Let go of connections."""
        self._exporter.shutdown()

    def _settle(self, items: int, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.cause in MAY_HAVE_ARRIVED:
                self._ledger.doubt("traces", items)
        # No answer at all: the exporter itself refused the batch, and has logged why.
        last = answers[-1] if answers else Answer(Cause.GIVE_UP, "not exported")
        if last.cause is Cause.ACK:
            self._ledger.settle(
                "traces",
                accepted=items - last.rejected,
                rejected=last.rejected,
                reason=_reason(last),
            )
        elif last.cause is Cause.REFUSAL:
            self._ledger.settle("traces", rejected=items, reason=_reason(last))
        else:
            self._ledger.settle("traces", failed=items, reason=_reason(last))


def _reason(answer: Answer) -> str:
    return f"{answer.reason}: {answer.detail}" if answer.detail else answer.reason


def open_account(settings: Settings, ledger: Ledger, interruption: Interruption) -> Account:
    """Return the SDK's exporter for *settings*, or one of ours where no network is meant.

    Raises:
        SettingsError: if the SDK's exporter cannot do what they ask, or a file is of no use.
    """
    if settings.compression == "zstd":
        raise SettingsError(
            f"{settings.source('compression')}: the exporter of the OpenTelemetry SDK cannot"
            " compress with zstd; use gzip or none"
        )
    if not settings.endpoint.on_network:
        # What is being written is written: a line torn in two is nobody's.
        return Account(ledger, lambda tries: _Lines(settings, tries), nullcontext)
    with without_variables():
        opened = _grpc_exporter if settings.over_grpc else _http_exporter
        return Account(ledger, lambda tries: opened(settings, tries), interruption.allowed)


@contextmanager
def without_variables() -> Iterator[None]:
    """Hide the SDK's variables: settings are resolved already, samplers and limits not wanted."""
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("OTEL_") and name != "OTEL_RESOURCE_ATTRIBUTES"
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


class _Lines(SpanExporter):
    """Writes what the SDK encodes to where no network is: lines, or nowhere."""

    def __init__(self, settings: Settings, tries: Tries) -> None:
        self._transport = open_transport(settings)
        self._tries = tries

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        content = encode_spans(spans).SerializeToString()
        answer = self._transport.send(content, len(spans))
        self._tries.answers.append(answer)
        accepted = answer.cause is Cause.ACK
        return SpanExportResult.SUCCESS if accepted else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._transport.close()


def _http_exporter(settings: Settings, tries: Tries) -> SpanExporter:
    import requests
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from requests.adapters import HTTPAdapter

    class Watched(HTTPAdapter):
        """Tells what came of each try."""

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
            try:
                response = super().send(request, **options)
                content = response.content  # kept, so that the exporter can read it too
            except requests.RequestException as error:
                tries.answers.append(_without_response(error))
                raise
            tries.answers.append(
                http_answer(
                    response.status_code,
                    content,
                    content_type=response.headers.get("content-type", ""),
                    retry_after=None,  # the exporter itself reads it
                    now=datetime.now(UTC),
                    signal=settings.signal,
                    items=tries.items,
                )
            )
            return response

    session = requests.Session()
    session.trust_env = False  # no proxy of the environment, as everywhere here
    for scheme in ("http://", "https://"):
        session.mount(scheme, Watched())
    return OTLPSpanExporter(
        str(settings.endpoint),
        settings.certificate or ssl.get_default_verify_paths().cafile,
        settings.client_key,
        settings.client_certificate,
        dict(settings.headers),
        settings.timeout_s,
        Compression.Gzip if settings.compression == "gzip" else Compression.NoCompression,
        session,
    )


def _without_response(error: Exception) -> Answer:
    """Return what a try without a response means, by what requests says about it."""
    import requests
    from urllib3.exceptions import NewConnectionError

    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(error, requests.exceptions.SSLError):
        return Answer(Cause.UNREACHABLE, "TLS handshake failed", detail=str(reason))
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Answer(Cause.UNREACHABLE, "connection timed out")
    if isinstance(reason, NewConnectionError):
        return Answer(Cause.UNREACHABLE, "no connection", detail=str(reason))
    if isinstance(error, requests.exceptions.ReadTimeout):
        return Answer(Cause.LOSS, "no answer in time")
    # urllib3 puts its words first, and what it caught behind them.
    words = reason.args[0] if isinstance(reason, Exception) and reason.args else reason
    return Answer(Cause.LOSS, "connection lost", detail=str(words))


CHANNEL_OPTIONS: Final[Any] = (("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0))
"""As everywhere here; the exporter's annotation forgets that values may be numbers."""


def _grpc_exporter(settings: Settings, tries: Tries) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    from motel_locust.otlp.transports.grpc import credentials, failed_call_answer

    class WatchedStub:
        """Calls the endpoint, and tells what came of it."""

        def __init__(self, stub: Any) -> None:
            self._stub = stub

        def Export(self, request: Any, **options: Any) -> Any:  # noqa: N802  # the stub's name
            try:
                response = self._stub.Export(request, **options)
            except grpc.RpcError as failed:
                tries.answers.append(failed_call_answer(cast("grpc.Call", failed)))
                raise
            content = response.SerializeToString()
            tries.answers.append(grpc_success(content, signal=settings.signal, items=tries.items))
            return response

    class Watched(OTLPSpanExporter):
        """The exporter, which makes its stub anew when a connection broke."""

        def _initialize_channel_and_stub(self) -> None:
            super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]
            self._client: Any = WatchedStub(self._client)

    return Watched(
        settings.endpoint.authority,
        insecure=not settings.endpoint.tls,
        credentials=credentials(settings) if settings.endpoint.tls else None,
        headers=settings.headers,
        timeout=settings.timeout_s,
        compression=grpc.Compression.Gzip
        if settings.compression == "gzip"
        else grpc.Compression.NoCompression,
        channel_options=CHANNEL_OPTIONS,
    )
