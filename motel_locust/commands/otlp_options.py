"""The options that say where telemetry goes: the same for every command that sends."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import click

from motel_locust.otlp.settings import COMPRESSIONS, PROTOCOLS, Flags

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS: Final = (
    click.option(
        "--endpoint",
        metavar="URL",
        help="Where to send: host:port, http://, https://, stdout://, file://PATH or discard://."
        "  [default: localhost, port 4318, or 4317 for gRPC]",
    ),
    click.option(
        "--protocol",
        metavar=f"[{'|'.join(PROTOCOLS)}]",
        help="How to send.  [default: http/protobuf]",
    ),
    click.option(
        "--headers", metavar="LIST", help="Headers or gRPC metadata, as key=value,key=value."
    ),
    click.option(
        "--insecure/--no-insecure",
        default=None,
        help="Plaintext for an endpoint that is given as host:port.",
    ),
    click.option(
        "--timeout",
        metavar="DURATION",
        help="Time for one attempt to send.  [default: 10s]",
    ),
    click.option(
        "--compression",
        metavar=f"[{'|'.join(COMPRESSIONS)}]",
        help="How to compress; over gRPC none or gzip.  [default: none]",
    ),
    click.option("--certificate", metavar="FILE", help="CA certificates, PEM."),
    click.option("--client-certificate", metavar="FILE", help="Client certificate, PEM."),
    click.option("--client-key", metavar="FILE", help="Key of the client certificate, PEM."),
    click.option(
        "--stdout",
        is_flag=True,
        help="Print OTLP JSON lines instead: short for --endpoint stdout://.",
    ),
)
_SETTINGS: Final = (
    *("endpoint", "protocol", "headers", "insecure", "timeout", "compression"),
    *("certificate", "client_certificate", "client_key"),
)


def otlp_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the callback gets them as ``flags``, of :class:`Flags`.

    What is not given is None there: variables and defaults decide, in
    :func:`motel_locust.otlp.settings.resolve`, which also judges the texts.
    """

    @functools.wraps(callback)
    def collected(*arguments: Any, stdout: bool, **options: Any) -> Any:
        given = {setting: options.pop(setting) for setting in _SETTINGS}
        if stdout:
            if given["endpoint"] is not None:
                raise click.UsageError("--stdout and --endpoint exclude each other; leave one out")
            given["endpoint"] = "stdout://"
        return callback(*arguments, flags=Flags(**given, style="command"), **options)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
