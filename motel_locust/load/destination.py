"""Where the telemetry of a user class goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from motel_locust.load.options import run_options
from motel_locust.otlp.settings import Flags, Settings, SettingsError, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.load.run import Part, Run
    from motel_locust.otlp.ledger import Signal


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


def settings_of_part(run: Run, part: Part) -> dict[Signal, Settings]:
    """Return how each signal of *part* is delivered; raise SettingsError."""
    return {
        signal: settings_for(part.endpoint, run.options, run.environ, signal)
        for signal in run_options(run.options).signals
    }


def shown_endpoint(settings: Settings) -> str:
    """Return where *settings* send, for people: without the query, which may hold a token."""
    address, asked, _ = str(settings.endpoint).partition("?")
    return f"{address}?..." if asked else address


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
