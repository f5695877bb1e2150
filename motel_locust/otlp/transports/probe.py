"""Whether an endpoint is there, asked before a run begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import gevent
import gevent.ssl

from motel_locust.otlp.settings import SettingsError
from motel_locust.otlp.transports.http import connect, tls_context, unreachable_reason
from motel_locust.otlp.transports.transport import open_transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from motel_locust.otlp.settings import Settings

ATTEMPT_S: Final = 2.0
"""For one connection; an address that swallows packets would take minutes to say no."""
PAUSE_S: Final = 0.5


class Unreachable(SettingsError):
    """The endpoint takes no connection."""


def check_reachable(
    settings: Settings,
    *,
    wait_s: float = 0.0,
    advice: str = "is it running?",
    now: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = gevent.sleep,
) -> None:
    """Raise SettingsError unless bodies can be sent as *settings* say.

    Files and certificates must be usable. On a network a connection must come about, over TLS where
    there is TLS; it is asked for again and again for *wait_s* seconds, at least once. Nothing is
    sent. *advice* ends the message about an endpoint that takes no connection, an Unreachable.
    """
    open_transport(settings).close()
    if not settings.endpoint.on_network:
        return
    context = tls_context(settings) if settings.endpoint.tls else None
    if context is not None and settings.over_grpc:
        context.set_alpn_protocols(["h2"])
    until_s = now() + wait_s
    while True:
        try:
            _connect(settings, context)
        except OSError as error:
            if now() + PAUSE_S > until_s:
                waited = f" for {wait_s:g} s" if wait_s else ""
                raise Unreachable(
                    f"{settings.source('endpoint')}: {settings.endpoint} cannot be reached{waited}:"
                    f" {unreachable_reason(error)}; {advice}"
                ) from None
            wait(PAUSE_S)
        else:
            return


def _connect(settings: Settings, context: ssl.SSLContext | None) -> None:
    """Connect and close again; raise OSError if that fails, SettingsError if it is of no use."""
    sock = connect(settings.endpoint, context, min(ATTEMPT_S, settings.timeout_s))
    try:
        if (
            settings.over_grpc
            and isinstance(sock, gevent.ssl.SSLSocket)
            and sock.selected_alpn_protocol() != "h2"
        ):
            raise SettingsError(
                f"{settings.source('endpoint')}: {settings.endpoint} does not speak HTTP/2, which"
                " gRPC needs; use its gRPC port, or http/protobuf"
            )
    finally:
        sock.close()
