"""The options of a run: what a person may write; ``run_options`` knows what it means.

Each option is a flag, an environment variable (``LOCUST_`` and its name in capitals) and a key of
``locust.conf``; those of the start form are marked ``in_form``. Locust casts what the form sends
with the type of the present value and checks nothing, so every option's plain value is text, a
number or a boolean, and ``parse`` judges it, wherever it came from. Options that the form does not
show may be ``None``: not given, so that an environment variable of OpenTelemetry decides.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from motel_locust.load.profile import ENDING
from motel_locust.load.values import (
    ARRIVALS,
    Plain,
    duration,
    ending_in,
    number,
    offset,
    one_of,
    rate,
    signals,
    text,
    whole,
)
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES
from motel_locust.otlp.settings import PROTOCOLS
from motel_locust.topology.quantities import parse_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.argument_parser import LocustArgumentParser


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    ``parse`` turns text into a plain value or raises ValueError, saying what is wrong and what
    would be right; an option without it is a switch.
    """

    flag: str
    default: Plain
    help: str
    parse: Callable[[str], Plain] | None = None
    metavar: str = ""
    choices: tuple[str, ...] = ()
    in_form: bool = False

    @property
    def name(self) -> str:
        """The option's name among the parsed options."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"LOCUST_{self.name.upper()}"


OPTIONS: Final = (
    Option(
        "--topology",
        "",
        "Services, operations and traffic to simulate: a file or an http(s) URL",
        text,
        metavar="FILE|URL",
        in_form=True,
    ),
    Option(
        "--rate",
        "",
        "Traces that each user starts, such as 50/s; scales all of the topology's traffic."
        " Default: the topology's",
        rate,
        metavar="N/UNIT",
        in_form=True,
    ),
    Option(
        "--rate-per",
        "user",
        "Whether each user runs the topology at its rate, or all users of the cluster share it",
        one_of("user", "cluster"),
        choices=("user", "cluster"),
        in_form=True,
    ),
    Option(
        "--arrivals",
        "",
        "Evenly paced traces or a Poisson process. Default: the topology's, else paced",
        one_of("", *ARRIVALS),
        choices=("", *ARRIVALS),
        in_form=True,
    ),
    Option(
        "--seed",
        0,
        "Same seed and timeline, same telemetry. 0 draws one and prints it",
        whole(0, 2**63 - 1),
        metavar="N",
        in_form=True,
    ),
    Option(
        "--signals",
        "traces",
        "What to send, separated by commas: traces, metrics, logs",
        signals,
        metavar="LIST",
        in_form=True,
    ),
    Option(
        "--realtime",
        False,
        "Release each span when it ends instead of each trace when it begins",
        in_form=True,
    ),
    Option(
        "--time-offset",
        "0",
        "Added to every time stamp, such as --time-offset=-1h",
        offset,
        metavar="DURATION",
    ),
    Option(
        "--max-spans-per-trace",
        10_000,
        "A trace that has this many spans gets no more; 0 means 10000",
        whole(0, 2**31),
        metavar="N",
    ),
    Option(
        "--slow-threshold",
        "1s",
        "Spans longer than this are slow, which logs may depend on; 0 turns that off",
        duration,
        metavar="DURATION",
    ),
    Option(
        "--metrics-temporality",
        None,
        "Whether sums tell all since the beginning, cumulative, or since the last collection,"
        " delta. Default: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, else cumulative",
        one_of("cumulative", "delta"),
        choices=("cumulative", "delta"),
    ),
    Option(
        "--metrics-interval",
        None,
        "Time from one collection of metrics to the next, and once more at the end."
        " Default: OTEL_METRIC_EXPORT_INTERVAL, else 60s",
        duration,
        metavar="DURATION",
    ),
    Option(
        "--label-scenarios",
        False,
        "Put the names of the active scenarios on every span, as synth.scenarios",
    ),
    Option(
        "--semconv",
        "",
        "A folder of semantic conventions of your own in the public YAML format, which come before"
        " the published ones",
        text,
        metavar="DIR",
    ),
    Option(
        "--recording",
        "",
        "Recorded traces to replay: a file, or a topology with mode: replay",
        text,
        metavar="FILE",
        in_form=True,
    ),
    Option(
        "--speed",
        1.0,
        "How many times faster than recorded a recording is replayed, such as 0.5",
        number(0.001, 1_000_000),
        metavar="FACTOR",
        in_form=True,
    ),
    Option(
        "--loop",
        1,
        "How often each user replays the whole recording; 0 until the test stops",
        whole(0, 2**31),
        metavar="N",
        in_form=True,
    ),
    Option("--preserve-ids", False, "Replay with the ids that were recorded", in_form=True),
    Option("--verbatim", False, "Replay with the times that were recorded", in_form=True),
    Option(
        "--otlp-protocol",
        "",
        "How to send: http/protobuf (port 4318 by default) or grpc (4317)."
        " Default: OTEL_EXPORTER_OTLP_PROTOCOL, else http/protobuf",
        one_of("", *PROTOCOLS),
        choices=("", *PROTOCOLS),
        in_form=True,
    ),
    Option(
        "--otlp-headers",
        None,
        "Headers or gRPC metadata to send, as key=value,key=value. Never shown in the web UI",
        text,
        metavar="LIST",
    ),
    Option(
        "--otlp-compression",
        None,
        "none, gzip or zstd; over gRPC none or gzip",
        text,
        metavar="METHOD",
    ),
    Option(
        "--otlp-timeout",
        None,
        "Time for one attempt to send. Default: 10s",
        duration,
        metavar="DURATION",
    ),
    Option("--otlp-certificate", None, "CA certificates, PEM", text, metavar="FILE"),
    Option("--otlp-client-key", None, "Key of the client certificate, PEM", text, metavar="FILE"),
    Option("--otlp-client-certificate", None, "Client certificate, PEM", text, metavar="FILE"),
    Option("--otlp-insecure", False, "Plaintext for an endpoint that is given as host:port"),
    Option(
        "--connections",
        4,
        "Connections to each endpoint, for each process and signal",
        whole(1, 1024),
        metavar="N",
    ),
    Option(
        "--queue-size",
        64 << 20,
        "Bytes that may wait for each endpoint, for each process and signal",
        whole(2 * DEFAULT_MAX_BYTES, 2**40),
        metavar="BYTES",
    ),
    Option(
        "--flush-interval",
        "100ms",
        "A body is sent at the latest this long after its first item was released",
        duration,
        metavar="DURATION",
    ),
    Option(
        "--on-full",
        "drop",
        "When the queue is full: drop keeps the schedule and counts what it loses,"
        " wait holds the schedule and lets the lag grow",
        one_of("drop", "wait"),
        choices=("drop", "wait"),
    ),
    Option(
        "--drain",
        10.0,
        "Time for deliveries under way when the test stops",
        number(0, 3600),
        metavar="SECONDS",
    ),
    Option(
        "--max-loss",
        0.0,
        "Exit code 1 when a greater share of the items was lost, such as 0.01",
        parse_share,
        metavar="RATIO",
    ),
    Option(
        "--wait-for-endpoint",
        0.0,
        "How long to wait at the start for endpoints that cannot be reached",
        number(0, 86_400),
        metavar="SECONDS",
    ),
    Option("--summary", "", "Write the run's figures and its course as JSON", text, metavar="FILE"),
    Option(
        "--cpu-profile",
        "",
        "Write where the processes that generate spend their CPU time, for"
        " https://www.speedscope.app; a worker's file has its index in the name",
        ending_in(ENDING),
        metavar="FILE.json",
    ),
    Option(
        "--heartbeat-file",
        "",
        "A worker touches it whenever its master answers a heartbeat, so that others can see how"
        " it is; the worker's own setting counts",
        text,
        metavar="FILE",
    ),
)


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add every option to Locust's *parser*; called again for every page of the web UI."""
    for option in OPTIONS:
        details: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {}
        if option.parse is None:
            details["action"] = "store_true"
        else:
            details["type"] = _argparse_type(option.parse)
        if option.choices:
            details["choices"] = option.choices
        # Not through a group: only this method knows include_in_web_ui.
        parser.add_argument(
            option.flag,
            default=option.default,
            env_var=option.variable,
            help=option.help,
            include_in_web_ui=option.in_form,
            **details,
        )


def _argparse_type(parse: Callable[[str], Plain]) -> Callable[[str], Plain]:
    """Return *parse* with its complaints as argparse shows them."""

    def parsed(written: str) -> Plain:
        try:
            return parse(written)
        except ValueError as problem:
            raise ArgumentTypeError(str(problem)) from None

    return parsed
