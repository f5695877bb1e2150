"""``motel-locust receive``: an OTLP receiver that counts what comes and judges its traces."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import click
import gevent
from gevent.event import Event

from motel_locust.otlp.receiver import Receiver
from motel_locust.topology.quantities import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.otlp.tally import Report

LIVE_S: Final = 2.0
NS_PER_S: Final = 1_000_000_000


class Duration(click.ParamType[float]):
    """A duration such as 30s or 1m30s; the value is in seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds of *value*; fail with the grammar's own words."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            seconds = parse_duration(value) / NS_PER_S
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds < 0:
            self.fail(f"{value} is below 0", param, ctx)
        return seconds


class CannotListen(click.ClickException):
    """The address is taken or not ours."""

    exit_code = 2


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4318,
    show_default=True,
    help="Port to listen on for OTLP over HTTP; 0 takes a free one.",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    default=4317,
    show_default=True,
    help="Port to listen on for OTLP over gRPC; 0 takes a free one.",
)
@click.option("--for", "for_s", type=Duration(), help="End after this long; else at Ctrl-C.")
@click.option(
    "--settle",
    "settle_s",
    type=Duration(),
    default="5s",
    show_default=True,
    help="Judge a trace when nothing came for it this long.",
)
@click.option("--json", "as_json", is_flag=True, help="Endpoints and final report as JSON lines.")
def receive(
    host: str, port: int, grpc_port: int, for_s: float | None, settle_s: float, as_json: bool
) -> None:
    """Receive OTLP over HTTP and gRPC, count it, and say what is wrong with the traces.

    Takes traces, metrics and logs: over HTTP as protobuf and JSON, plain, gzip or zstd, over gRPC
    plain or gzip. Ends with status 1 if a trace had a fault: a parent that never came, no root or
    several, two spans with one id, a child that starts before its parent, an invalid id.
    """
    receiver = Receiver(host, port, grpc_port=grpc_port, settle_s=settle_s)
    try:
        receiver.start()
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {error.filename}: {error.strerror};"
            " choose another address with --host, --port and --grpc-port"
        ) from None
    endpoints = {"endpoint": receiver.endpoint, "grpc_endpoint": receiver.grpc_endpoint}
    if as_json:
        click.echo(json.dumps(endpoints))
    else:
        click.echo(
            f"Receiving OTLP at {receiver.endpoint}, over gRPC at {receiver.grpc_endpoint};"
            " Ctrl-C ends with a report",
            err=True,
        )
    _receive(receiver, for_s, live=not as_json)
    report = receiver.stop()
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        click.echo("\n".join(table(report)))
    if report.faults:
        raise click.exceptions.Exit(1)


def _receive(receiver: Receiver, for_s: float | None, *, live: bool) -> None:
    """Wait until *for_s* are over or a signal comes, with a line of counts now and then."""
    end = Event()
    watchers = [gevent.signal_handler(which, end.set) for which in (signal.SIGINT, signal.SIGTERM)]
    started_s = time.monotonic()
    line = LiveLine()
    while not end.is_set():
        left_s = LIVE_S if for_s is None else started_s + for_s - time.monotonic()
        if left_s <= 0:
            break
        end.wait(min(left_s, LIVE_S))
        if live:
            line.show(receiver.report(), time.monotonic() - started_s)
    if live:
        line.finish()
    for watcher in watchers:
        watcher.cancel()


class LiveLine:
    """The counts on standard error: one line that changes on a terminal, else line after line."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._items = 0
        self._shown_s = 0.0
        self._width = 0

    def show(self, report: Report, elapsed_s: float) -> None:
        """Show *report*; without a terminal only if something came since the last time."""
        items = report.spans + report.points + report.records
        came = items - self._items
        per_s = came / max(elapsed_s - self._shown_s, 1e-9)
        self._items, self._shown_s = items, elapsed_s
        text = (
            f"{elapsed_s:.0f} s: {report.spans:,} spans of {report.traces:,} traces,"
            f" {report.points:,} points, {report.records:,} records; {per_s:,.0f} items/s;"
            f" {sum(fault.traces for fault in report.faults.values()):,} faults"
        )
        if self._terminal:
            click.echo(f"\r{text:<{self._width}}", err=True, nl=False)
            self._width = len(text)
        elif came:
            click.echo(text, err=True)

    def finish(self) -> None:
        """End the line that changes."""
        if self._width:
            click.echo(err=True)


def table(report: Report) -> Iterator[str]:
    """Yield the lines of *report* for people."""
    yield f"requests {report.requests:>15,}" + (
        f"  ({report.refused:,} refused)" if report.refused else ""
    )
    yield f"bytes    {report.bytes:>15,}"
    yield f"spans    {report.spans:>15,}" + (
        f"  ({report.redelivered:,} of those judged came again)" if report.redelivered else ""
    )
    yield f"traces   {report.traces:>15,}"
    if report.points:
        yield f"points   {report.points:>15,}"
    if report.records:
        yield f"records  {report.records:>15,}"
    if report.services:
        yield ""
        yield from _services(report)
    if report.traces:
        yield ""
        yield from _verdict(report)


def _services(report: Report) -> Iterator[str]:
    width = max(len("service"), *map(len, report.services))
    yield f"{'service':<{width}} {'spans':>13} {'points':>13} {'records':>13}"
    for service, items in report.services.items():
        counts = (items.get(kind, 0) for kind in ("spans", "points", "records"))
        yield f"{service:<{width}} " + " ".join(f"{count:>13,}" for count in counts)


def _verdict(report: Report) -> Iterator[str]:
    looked_at = f"{report.judged:,} of {report.traces:,} traces judged"
    if 0 < report.judged < report.traces:
        looked_at += f", 1 in {report.traces / report.judged:,.1f}, chosen by a hash of their ids"
    if report.unfinished:
        looked_at += f"; {report.unfinished:,} were still coming in"
    yield looked_at + ("" if report.faults else ": no faults")
    for kind, fault in sorted(report.faults.items()):
        yield f"  {kind:<18} {fault.traces:>10,}  such as {fault.example}"
