"""``motel-locust emit``: a span or a few, without a file."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

import click
from opentelemetry.trace import SpanKind

from motel_locust.commands import console
from motel_locust.commands.console import Written, json_option
from motel_locust.commands.emission import Emitted, Order, emit_spans
from motel_locust.commands.interruption import Interruption
from motel_locust.commands.otlp_options import otlp_options
from motel_locust.commands.sdk_export import open_account
from motel_locust.otlp.ledger import COUNTS, Ledger
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import Unreachable, check_reachable
from motel_locust.topology.quantities import parse_duration, parse_rate, parse_share

if TYPE_CHECKING:
    from motel_locust.otlp.settings import Settings

ADVICE: Final = "motel-locust doctor tells more, --stdout needs no endpoint"
KINDS: Final = ("server", "client", "internal", "producer", "consumer")


def _length_ns(text: str) -> int:
    length_ns = parse_duration(text)
    if length_ns <= 0:
        raise ValueError(f"{text} is not above 0; write for example 100ms")
    return length_ns


def _attribute(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f'"{text}" is not key=value')
    return key, value


def _id(digits: int) -> Written[int]:
    """Return the type of an id of *digits* hexadecimal digits that are not all 0."""

    def parse(text: str) -> int:
        if len(text) != digits or text.strip("0123456789abcdef") or not int(text, 16):
            raise ValueError(f'"{text}" is not {digits} lower-case hexadecimal digits, not all 0')
        return int(text, 16)

    return Written("id", parse)


@click.command(
    cls=console.Command,
    example="""
    motel-locust emit --service shop --operation "GET /cart"
    motel-locust emit --service shop --operation pay --duration 30s --rate 50/s --error-rate 5%
    motel-locust emit --service shop --operation pay --attr customer.tier=vip --stdout
    """,
)
@click.option("--service", required=True, metavar="NAME", help="The service; any text.")
@click.option("--operation", required=True, metavar="NAME", help="The name of the spans.")
@click.option(
    "--span-duration",
    "span_ns",
    type=Written("duration", _length_ns),
    default="100ms",
    show_default=True,
    help="How long every span takes.",
)
@click.option(
    "--error-rate",
    type=Written("share", parse_share),
    default="0",
    show_default=True,
    help="How many spans fail, such as 5% or 0.05.",
)
@click.option(
    "--attr",
    "attributes",
    type=Written("key=value", _attribute),
    multiple=True,
    help="A text attribute of every span; may be given again.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="server",
    show_default=True,
    help="The kind of the spans.",
)
@click.option("--trace-id", type=_id(32), help="Join this trace; 32 hexadecimal digits.")
@click.option(
    "--parent", "parent_id", type=_id(16), help="Its span that is the parent; needs --trace-id."
)
@click.option(
    "--count",
    type=int,
    help="How many spans, each a trace; below 0 without end.  [default: 1, with --duration any]",
)
@click.option(
    "--duration",
    "for_s",
    type=console.SECONDS,
    help="For how long to send.  [default: until --count is reached]",
)
@click.option(
    "--rate",
    type=Written("rate", parse_rate),
    default="10/s",
    show_default=True,
    help="How many traces begin, such as 10/s or 300/m.",
)
@otlp_options
@json_option
def emit(
    flags: Flags,
    service: str,
    operation: str,
    span_ns: int,
    error_rate: float,
    attributes: tuple[tuple[str, str], ...],
    kind: str,
    trace_id: int | None,
    parent_id: int | None,
    count: int | None,
    for_s: float | None,
    rate: Any,
    *,
    as_json: bool,
) -> None:
    """Send single-span traces, made from the options alone.

    The OpenTelemetry SDK makes and exports them. At the end every span is accounted for: accepted
    by the endpoint, rejected, or failed. Status 0: all were accepted. 1: some were not, or the
    endpoint cannot be reached. 2: wrong usage.
    """
    if parent_id is not None and trace_id is None:
        raise click.UsageError("--parent needs --trace-id: the trace in which that span is")
    if count is None and for_s is None:
        count = 1
    if count == 0 and for_s is None:
        return
    order = Order(
        service=service,
        operation=operation,
        duration_ns=span_ns,
        error_rate=error_rate,
        attributes=dict(attributes),
        kind=SpanKind[kind.upper()],
        trace_id=trace_id,
        parent_id=parent_id,
        count=None if count is None or count < 0 else count,
        for_s=for_s,
        per_s=rate.per_s,
    )
    settings = resolve(flags, os.environ)
    ledger = Ledger()
    interruption = Interruption()
    account = open_account(settings, ledger, interruption)
    try:
        check_reachable(settings, advice=ADVICE)
    except Unreachable as error:
        console.say(f"Error: {error}")
        raise click.exceptions.Exit(console.BAD_VERDICT) from None
    _say_what_the_exporter_logs()
    with console.progress(f"emitting to {settings.endpoint}", order.count, unit="spans") as shown:
        emitted = emit_spans(order, account, ledger, interruption, advance=shown.advance)
    account.shutdown()
    if as_json:
        # Where the telemetry itself is on standard output, nothing else may be.
        err = settings.endpoint.scheme == "stdout"
        console.show_json(_statistics(settings, emitted, ledger), err=err)
    else:
        _show(settings, emitted, ledger)
    if ledger["traces"].accepted < emitted.spans:
        raise click.exceptions.Exit(console.BAD_VERDICT)


def _say_what_the_exporter_logs() -> None:
    """Let the exporter's words about retries and failures stand on standard error."""

    class Warnings(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.warn(record.getMessage())

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(Warnings(logging.WARNING))
    logger.propagate = False


def _statistics(settings: Settings, emitted: Emitted, ledger: Ledger) -> dict[str, Any]:
    """Return the account of all spans, with the keys that the summary of a run has."""
    spans, elapsed_s = emitted.spans, emitted.elapsed_s
    simulation = {
        "traces": spans,
        "spans": spans,
        "errors": emitted.errors,
        "failed_traces": emitted.errors,
        **dict.fromkeys(NEVER, 0),
        "elapsed_ms": int(elapsed_s * 1000),
        "traces_per_second": spans / elapsed_s if elapsed_s else 0.0,
        "spans_per_second": spans / elapsed_s if elapsed_s else 0.0,
        "error_rate": emitted.errors / spans if spans else 0.0,
        "trace_error_rate": emitted.errors / spans if spans else 0.0,
    }
    return {
        "ledger": ledger.as_dict(),
        "losses": ledger.reasons(),
        "simulation": simulation,
        "endpoint": str(settings.endpoint),
        "last": _ids(emitted),
    }


NEVER: Final = (
    "timeouts",
    "retries",
    "spans_bounded",
    "queue_rejections",
    "circuit_breaker_trips",
)
"""What a single span cannot have."""


def _ids(emitted: Emitted) -> dict[str, str]:
    if emitted.last is None:
        return {}
    return {
        "trace_id": f"{emitted.last.trace_id:032x}",
        "span_id": f"{emitted.last.span_id:016x}",
    }


def _show(settings: Settings, emitted: Emitted, ledger: Ledger) -> None:
    """Write the account for people to standard error."""
    counts = ledger["traces"].as_dict()
    names = [name for name in COUNTS if name != "pending" or counts[name]]
    console.show_table(names, [[counts[name] for name in names]], err=True)
    for loss, reasons in ledger.reasons().get("traces", {}).items():
        for reason, spans in reasons.items():
            console.say(f"{spans:,} {loss}: {reason}")
    errors = f", {emitted.errors:,} of them errors" if emitted.errors else ""
    console.say(
        f"{emitted.spans:,} {'span' if emitted.spans == 1 else 'spans'}{errors},"
        f" in {emitted.elapsed_s:.1f} s to {settings.endpoint}"
    )
    if ids := _ids(emitted):
        console.say(f"the last one: trace {ids['trace_id']}, span {ids['span_id']}")
