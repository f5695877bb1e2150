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

from motel_locust.commands import console
from motel_locust.commands.console import SECONDS, BadInput, Mark
from motel_locust.otlp.receiver import Receiver

if TYPE_CHECKING:
    from motel_locust.otlp.tally import Report

LIVE_S: Final = 2.0


@click.command(
    cls=console.Command,
    example="""
    motel-locust receive
    motel-locust receive --port 0 --grpc-port 0 --for 30s --json
    """,
)
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
@click.option("--for", "for_s", type=SECONDS, help="End after this long; else at Ctrl-C.")
@click.option(
    "--settle",
    "settle_s",
    type=SECONDS,
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
        raise BadInput(
            f"cannot listen on {error.filename}: {error.strerror};"
            " choose another address with --host, --port and --grpc-port"
        ) from None
    endpoints = {"endpoint": receiver.endpoint, "grpc_endpoint": receiver.grpc_endpoint}
    if as_json:
        console.show(json.dumps(endpoints))
    else:
        console.say(
            f"Receiving OTLP at {receiver.endpoint}, over gRPC at {receiver.grpc_endpoint};"
            " Ctrl-C ends with a report"
        )
    _receive(receiver, for_s, live=not as_json)
    report = receiver.stop()
    if as_json:
        console.show(json.dumps(report.as_dict()))
    else:
        show(report)
    if report.faults:
        raise click.exceptions.Exit(console.BAD_VERDICT)


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
            console.say(text)

    def finish(self) -> None:
        """End the line that changes."""
        if self._width:
            click.echo(err=True)


def show(report: Report) -> None:
    """Write *report* for people: what came, from whom, and what is wrong with the traces."""
    rows: list[tuple[str, int, str]] = [
        ("requests", report.requests, f"{report.refused:,} refused" if report.refused else ""),
        ("bytes", report.bytes, ""),
        (
            "spans",
            report.spans,
            f"{report.redelivered:,} of those judged came again" if report.redelivered else "",
        ),
        ("traces", report.traces, ""),
        ("points", report.points, ""),
        ("records", report.records, ""),
    ]
    console.show_table(("received", "count", ""), rows)
    if report.services:
        console.show("")
        items = ("spans", "points", "records")
        console.show_table(
            ("service", *items),
            [
                (service, *(counts.get(item, 0) for item in items))
                for service, counts in report.services.items()
            ],
        )
    if report.traces:
        console.show("")
        _show_verdict(report)


def _show_verdict(report: Report) -> None:
    looked_at = f"{report.judged:,} of {report.traces:,} traces judged"
    if 0 < report.judged < report.traces:
        looked_at += f", 1 in {report.traces / report.judged:,.1f}, chosen by a hash of their ids"
    if report.unfinished:
        looked_at += f"; {report.unfinished:,} were still coming in"
    console.show(looked_at + ("" if report.faults else ": no faults"))
    if report.faults:
        console.show_table(
            ("fault", "traces", "such as"),
            [
                (Mark(kind, "bad"), fault.traces, fault.example)
                for kind, fault in sorted(report.faults.items())
            ],
        )
