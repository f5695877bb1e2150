"""Whether an endpoint is there, asked before a run begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import gevent

from motel_locust.otlp.settings import SettingsError
from motel_locust.otlp.transports.http import connect, tls_context, unreachable_reason
from motel_locust.otlp.transports.transport import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.otlp.settings import Settings

ATTEMPT_S: Final = 2.0
"""For one connection; an address that swallows packets would take minutes to say no."""
PAUSE_S: Final = 0.5


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
    sent. *advice* ends the message about an endpoint that takes no connection.
    """
    open_transport(settings).close()
    if not settings.endpoint.on_network:
        return
    context = tls_context(settings) if settings.endpoint.tls else None
    until_s = now() + wait_s
    while True:
        try:
            connect(settings.endpoint, context, min(ATTEMPT_S, settings.timeout_s)).close()
        except OSError as error:
            if now() + PAUSE_S > until_s:
                waited = f" for {wait_s:g} s" if wait_s else ""
                raise SettingsError(
                    f"{settings.source('endpoint')}: {settings.endpoint} cannot be reached{waited}:"
                    f" {unreachable_reason(error)}; {advice}"
                ) from None
            wait(PAUSE_S)
        else:
            return
