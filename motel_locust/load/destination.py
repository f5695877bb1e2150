"""Where the telemetry of a user class goes, and whether anybody is there."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import gevent

from motel_locust.otlp.settings import Flags, Settings, SettingsError, resolve
from motel_locust.otlp.transports import open_transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.endpoints import Endpoint
    from motel_locust.otlp.ledger import Signal

CONNECT_S = 2.0
AGAIN_S = 0.25


def settings_for(
    endpoint: str, options: Mapping[str, Any], environ: Mapping[str, str], signal: Signal = "traces"
) -> Settings:
    """Return how *signal* is delivered to *endpoint*, an empty one being that of the variables.

    *options* are plain values by option name. Raises SettingsError.
    """
    flags = Flags(
        endpoint=endpoint or None,
        protocol=options["otlp_protocol"] or None,
        headers=options["otlp_headers"],
        insecure=options["otlp_insecure"] or None,
        timeout=options["otlp_timeout"],
        compression=options["otlp_compression"],
        certificate=options["otlp_certificate"],
        client_certificate=options["otlp_client_certificate"],
        client_key=options["otlp_client_key"],
    )
    return resolve(flags, environ, signal)


def resource_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that OTEL_RESOURCE_ATTRIBUTES gives to every service.

    They are written ``key=value,key=value`` and percent-encoded, as the specification of the
    OpenTelemetry resource SDK has it. Raises SettingsError.
    """
    attributes = {}
    for place, part in enumerate(environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","), start=1):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if part.strip():
            if not name or not equals:
                raise SettingsError(f"OTEL_RESOURCE_ATTRIBUTES: part {place} is not key=value")
            attributes[unquote(name)] = unquote(value)
    return attributes


def check_reachable(settings: Settings, *, wait_s: float) -> None:
    """Raise SettingsError unless somebody takes a connection, or the file can be written.

    Tries for a connection again for *wait_s* seconds.
    """
    open_transport(settings).close()
    if not settings.endpoint.on_network:
        return
    until_s = time.monotonic() + wait_s
    while problem := _refusal(settings.endpoint):
        if time.monotonic() >= until_s:
            waited = f" for {wait_s:g} s" if wait_s else ""
            raise SettingsError(
                f"{settings.source('endpoint')}: {settings.endpoint} cannot be reached{waited}:"
                f" {problem}; is it running? --wait-for-endpoint SECONDS waits for it"
            )
        gevent.sleep(AGAIN_S)


def _refusal(endpoint: Endpoint) -> str:
    """Return why *endpoint* takes no connection; empty if it does."""
    try:
        socket.create_connection((endpoint.host, endpoint.port), CONNECT_S).close()
    except OSError as error:
        # A timeout has no strerror, but says "timed out".
        return (error.strerror or str(error)).lower()
    return ""
