"""``motel-locust replay``: send recorded traces again."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Final

import click
import gevent

from motel_locust.commands import console
from motel_locust.commands.console import Written, json_option
from motel_locust.commands.otlp_options import otlp_options
from motel_locust.commands.replaying import Player, score_of
from motel_locust.commands.trace_order import FileOrder, StartOrder
from motel_locust.engine.settling import settle
from motel_locust.otlp.ledger import COUNTS, Ledger
from motel_locust.otlp.recorded_ids import preserved_words
from motel_locust.otlp.recording_file import RecordingReader, open_recording
from motel_locust.otlp.replayed import find_recording
from motel_locust.otlp.resources import resource_attributes
from motel_locust.otlp.settings import resolve
from motel_locust.otlp.survey import survey
from motel_locust.otlp.transports import Unreachable, check_reachable, open_transport
from motel_locust.topology.quantities import parse_duration, parse_rate

if TYPE_CHECKING:
    from motel_locust.engine.recorded import RecordedTrace
    from motel_locust.otlp.settings import Flags, Settings
    from motel_locust.otlp.survey import Survey
    from motel_locust.topology.quantities import Rate

MAX: Final = "max"
ADVICE: Final = "is it running? --stdout needs none, --endpoint names another"


def _speed(text: str) -> float | None:
    if text == MAX:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1_000_000:
        raise ValueError(f'"{text}" is not max or a number from 0.001 to 1000000, such as 1')
    return speed


@click.command(
    cls=console.Command,
    example="""
    motel-locust replay traces.jsonl
    motel-locust replay traces.jsonl --speed 1 --endpoint http://localhost:4318
    motel-locust replay traces.jsonl --verbatim --preserve-ids --stdout
    """,
)
@click.argument("recording", metavar="RECORDING|SOURCE", type=console.Source())
@click.option("--verbatim", is_flag=True, help="Send the times that were recorded.")
@click.option("--preserve-ids", is_flag=True, help="Send the ids that were recorded.")
@click.option(
    "--time-offset",
    "offset_ns",
    type=Written("duration", parse_duration),
    default="0",
    show_default=True,
    help="Move the instant to which the recording is moved, such as --time-offset=-1h.",
)
@click.option(
    "--align",
    type=click.Choice(["start", "end"]),
    help="Which end of the recording meets that instant.  [default: end; start with a speed]",
)
@click.option(
    "--speed",
    type=Written("factor", _speed),
    default=MAX,
    show_default=True,
    help="How many times faster than recorded: 1 keeps the pace, max knows none.",
)
@click.option(
    "--rate",
    type=Written("rate", parse_rate),
    help="Thin or multiply the traces to so many, such as 100/s; copies get ids of their own."
    "  [default: all that were recorded]",
)
@click.option(
    "--loop",
    "loops",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often to send the whole recording, each time with new ids.",
)
@otlp_options
@json_option
def replay(
    flags: Flags,
    recording: str,
    offset_ns: int,
    align: str | None,
    speed: float | None,
    rate: Rate | None,
    loops: int,
    *,
    verbatim: bool,
    preserve_ids: bool,
    as_json: bool,
) -> None:
    """Send recorded traces again: the same trees, relative times and errors.

    RECORDING is a file that motel-locust import --record has written, plain or gzip, or - for
    standard input; SOURCE a topology with mode: replay. All times are moved together, so that the
    recording ends now, and ids are new, unless the options say otherwise. The recording is read to
    its end before anything is sent. Status 0: all spans were accepted. 1: some were not, the
    endpoint cannot be reached, or the replay was stopped. 2: wrong usage or a wrong recording.
    """
    if preserve_ids and loops > 1:
        raise click.UsageError("--preserve-ids sends the same ids in every --loop; leave one out")
    name = find_recording(recording)
    settings = resolve(flags, os.environ)
    environment = resource_attributes(os.environ)
    with open_recording(name) as file:
        found = _survey(file, name, preserve_ids=preserve_ids)
        for warning in found.warnings(name):
            console.say(str(warning))
        try:
            check_reachable(settings, advice=ADVICE)
        except Unreachable as error:
            console.say(f"Error: {error}")
            raise click.exceptions.Exit(console.BAD_VERDICT) from None
        try:
            score = score_of(
                found,
                anchor_ns=None if verbatim else time.time_ns() + offset_ns,
                at_end=align == "end" if align else speed is None,
                speed=speed,
                loops=loops,
                rate_per_s=rate.per_s if rate else None,
            )
        except ValueError as problem:
            raise console.BadInput(f"--rate: {name}: {problem}") from None
        if preserve_ids and score.copies > 1:
            raise click.UsageError("--preserve-ids cannot multiply traces to such a --rate")
        ledger = Ledger()
        total = found.spans * loops * score.copies
        with console.progress(f"replaying to {settings.endpoint}", total, unit="spans") as shown:
            player = Player(
                score,
                open_transport(settings),
                ledger,
                environment=environment,
                preserve_ids=preserve_ids,
                sent=shown.advance,
            )
            watchers = [
                gevent.signal_handler(each, player.stop) for each in (signal.SIGINT, signal.SIGTERM)
            ]
            in_order = speed is None or found.ordered
            traces = FileOrder(file, name) if in_order else StartOrder(file, name, _start_ns)
            began_s = time.monotonic()
            player.play(traces)
            elapsed_s = time.monotonic() - began_s
            for watcher in watchers:
                watcher.cancel()
    account = _account(settings, found, player, ledger, elapsed_s)
    # Where the telemetry itself is on standard output, nothing else may be.
    err = settings.endpoint.scheme == "stdout"
    if as_json:
        console.show_json(account, err=err)
    else:
        _show(account)
    left = found.traces * loops - player.read
    if player.stopped:
        console.warn(f"stopped: {left:,} traces were not sent")
    elif left:
        raise console.BadInput(f"{name}: changed while it was replayed")
    if player.stopped or ledger["traces"].accepted < player.counts.spans:
        raise click.exceptions.Exit(console.BAD_VERDICT)


def _start_ns(trace: RecordedTrace) -> int:
    return min(settle(trace).start_ns)


def _survey(file: IO[bytes], name: str, *, preserve_ids: bool) -> Survey:
    """Return what is in the recording; raise TopologyError for what is wrong with it."""
    reader = RecordingReader(file, name)
    with console.progress(f"reading {name}", unit="traces") as shown:

        def visit(trace: RecordedTrace) -> None:
            if preserve_ids:
                preserved_words(trace)
            shown.advance()

        return survey(reader, name, visit=visit)


def _account(
    settings: Settings, found: Survey, player: Player, ledger: Ledger, elapsed_s: float
) -> dict[str, Any]:
    """Return the account of all spans, with the keys that the summary of a run has."""
    counts = player.counts
    return {
        "ledger": ledger.as_dict(),
        "losses": ledger.reasons(),
        "simulation": {
            **asdict(counts),
            "elapsed_ms": int(elapsed_s * 1000),
            "traces_per_second": _ratio(counts.traces, elapsed_s),
            "spans_per_second": _ratio(counts.spans, elapsed_s),
            "error_rate": _ratio(counts.errors, counts.spans),
            "trace_error_rate": _ratio(counts.failed_traces, counts.traces),
        },
        "lag_s": {"max": player.lag_s},
        "endpoint": str(settings.endpoint),
        "recording": found.as_dict(),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _show(account: dict[str, Any]) -> None:
    """Write the account for people to standard error."""
    counts, simulation = account["ledger"]["traces"], account["simulation"]
    names = [name for name in COUNTS if name != "pending" or counts[name]]
    console.show_table(names, [[counts[name] for name in names]], err=True)
    for loss, reasons in account["losses"].get("traces", {}).items():
        for reason, spans in reasons.items():
            console.say(f"{spans:,} {loss}: {reason}")
    errors = f", {simulation['errors']:,} of them errors" if simulation["errors"] else ""
    lag = f"; lag at most {account['lag_s']['max']:.3f} s" if account["lag_s"]["max"] else ""
    console.say(
        f"{simulation['traces']:,} traces with {simulation['spans']:,} spans{errors}, in"
        f" {simulation['elapsed_ms'] / 1000:.1f} s to {account['endpoint']}:"
        f" {simulation['spans_per_second']:,.0f} spans/s{lag}"
    )
