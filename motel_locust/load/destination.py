"""Where the telemetry of a user class goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motel_locust.load.run_options import run_options
from motel_locust.otlp.settings import Flags, Settings, resolve

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
    address, query = str(settings.endpoint), settings.endpoint.query
    return f"{address.removesuffix(query)}..." if query else address
