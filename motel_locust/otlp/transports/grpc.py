"""OTLP over gRPC: one try for each call, on channels that are kept.

Calls run in native threads. With grpcio's own support of gevent, ``init_gevent``, the event loop
itself copies and compresses: a ticker was 61 ms late at the median (1 MB bodies, gzip), in threads
0.7 ms, at as many calls a second or more. It also lets no more than ten calls wait at once. Nothing
here needs ``init_gevent``, nor minds if somebody else has called it.
"""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from gevent.threadpool import ThreadPool

from motel_locust import __version__
from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.endpoints import METHODS
from motel_locust.otlp.grpc_answers import grpc_failure, grpc_success
from motel_locust.otlp.quiet_grpc import grpc
from motel_locust.otlp.transports.http import tls_context

if TYPE_CHECKING:
    from motel_locust.otlp.settings import Settings

THREADS: Final = 2048
"""More calls than these wait for their turn. Threads are started as they are needed."""

ANSWER_BYTES: Final = 64 << 10
"""A message larger than this is no Export…ServiceResponse."""

STATUS_DETAILS: Final = "grpc-status-details-bin"

ENDPOINT_SPOKE: Final = frozenset({Cause.ACK, Cause.REFUSAL, Cause.PUSHBACK, Cause.GARBLED})
"""After these a connection is good for more."""


class GrpcTransport:
    """Sends bodies to one OTLP/gRPC endpoint, over as many channels as there are tries at once.

    A channel connects on its first call, so none exists before whatever forks. It is one connection
    as long as that lasts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._credentials = credentials(settings) if settings.endpoint.tls else None
        self._user_agent = f"motel-locust/{__version__}"
        for name, value in settings.headers:
            if name == "user-agent":
                self._user_agent = value  # gRPC lets nobody send a second one
        self._metadata = tuple(each for each in settings.headers if each[0] != "user-agent")
        self._idle: list[Connection] = []
        self._closed = False

    def send(self, content: bytes, items: int) -> Answer:
        """Send *content* once, within the timeout; see :class:`Transport`."""
        connection = self._idle.pop() if self._idle else self._connection()
        reusable = False
        try:
            outcome = threads().apply(connection.export, (content, self._metadata))
            answer = self._answer(outcome, items)
            reusable = answer.cause in ENDPOINT_SPOKE and not self._closed
        finally:
            # Whatever ended our wait also ends the call: closing its channel cancels it.
            self._idle.append(connection) if reusable else connection.close()
        return answer

    def close(self) -> None:
        """Close the idle connections, and each other one when its try ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _answer(self, outcome: bytes | grpc.Call | None, items: int) -> Answer:
        if outcome is None or isinstance(outcome, bytes):
            return grpc_success(outcome, signal=self._settings.signal, items=items)
        return failed_call_answer(outcome)

    def _connection(self) -> Connection:
        return Connection(self._settings, self._credentials, self._user_agent)


class Connection:
    """A channel with a connection of its own, for one call at a time."""

    def __init__(
        self, settings: Settings, credentials: grpc.ChannelCredentials | None, user_agent: str
    ) -> None:
        options = [
            ("grpc.use_local_subchannel_pool", 1),  # else equal channels share one connection
            ("grpc.primary_user_agent", user_agent),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", ANSWER_BYTES),
            # A second try under the hood would be a delivery that the ledger does not know.
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),  # as over HTTP
        ]
        compression = (
            grpc.Compression.Gzip
            if settings.compression == "gzip"
            else grpc.Compression.NoCompression
        )
        target = f"dns:///{settings.endpoint.authority}"
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options, compression)
        else:
            self._channel = grpc.secure_channel(target, credentials, options, compression)
        self._timeout_s = settings.timeout_s
        self._closed = False
        # Without serialisers: bytes in, bytes out.
        self._export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            METHODS[settings.signal]
        )

    def export(
        self, content: bytes, metadata: tuple[tuple[str, str], ...]
    ) -> bytes | grpc.Call | None:
        """Call, waiting; return the message or the failed call. To be run in a thread."""
        try:
            return self._export(content, timeout=self._timeout_s, metadata=metadata)
        except grpc.RpcError as failed:
            return cast("grpc.Call", failed)
        except ValueError:
            if not self._closed:
                raise
            return None  # closed before the call began; nobody waits for it any more

    def close(self) -> None:
        """Close the channel; a call that is under way is cancelled."""
        self._closed = True
        self._channel.close()


def failed_call_answer(call: grpc.Call) -> Answer:
    """Return what the status of a *call* that failed means."""
    status = dict(call.trailing_metadata() or ()).get(STATUS_DETAILS)
    return grpc_failure(
        call.code().name,
        call.details() or "",
        status=status if isinstance(status, bytes) else None,
    )


@cache
def threads() -> ThreadPool:
    """Return the threads of this process's calls.

    Not the event loop's own ten: slow endpoints would keep them from the names that others look up.
    """
    return ThreadPool(THREADS)


def credentials(settings: Settings) -> grpc.ChannelCredentials:
    """Return the credentials that *settings* ask for; raise SettingsError if a file is of no use.

    Without a certificate of the user's the system's are trusted, as over HTTP.
    """
    tls_context(settings)  # raises, in words that grpcio does not have
    roots = settings.certificate or ssl.get_default_verify_paths().cafile
    chain = settings.client_certificate
    key = settings.client_key or chain  # a file may hold both
    return grpc.ssl_channel_credentials(_content(roots), _content(key), _content(chain))


def _content(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None
