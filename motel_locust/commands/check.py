"""``motel-locust check``: how deep, wide and large can a trace become, and what will a run send?"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from motel_locust.commands import console
from motel_locust.commands.checking.junit import junit
from motel_locust.commands.checking.limits import DEFAULTS, Limits, read_limits
from motel_locust.commands.checking.outlook import Outlook, Strategy, look
from motel_locust.commands.checking.report import (
    LATENCY_HEADINGS,
    SERVICE_HEADINGS,
    VERDICT_HEADINGS,
    Forecast,
    Report,
)
from motel_locust.commands.checking.sampling import MOST_SPANS_PER_TRACE, Draw, run_name
from motel_locust.commands.checking.sets import scenario_sets
from motel_locust.commands.checking.speed import measure_speed
from motel_locust.commands.checking.verdict import judge
from motel_locust.commands.console import (
    BAD_VERDICT,
    BadInput,
    rate_option,
    semconv_option,
    source_argument,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.topology.model import Topology
    from motel_locust.topology.quantities import Rate

Options = TypeVar("Options", bound="Callable[..., Any]")

_COUNT: Final = click.IntRange(min=0)


def _limit(measure: str, what: str) -> Callable[[Options], Options]:
    flag = f"--max-{measure.replace('_', '-')}"
    text = f"Limit on {what}.  [default: {DEFAULTS[measure]}]"
    return click.option(flag, f"max_{measure}", type=_COUNT, help=text)


@click.command(
    cls=console.Command,
    example="motel-locust check topologies/shop.yaml --max-depth 6 --junit check.xml",
)
@source_argument
@semconv_option
@_limit("depth", "calls from a root to the deepest span")
@_limit("fan_out", "direct children of one span")
@_limit("spans", "spans of one trace")
@click.option(
    "--samples",
    type=_COUNT,
    default=1000,
    show_default=True,
    help="Simulated traces for each set of scenarios; 0 for static bounds only.",
)
@click.option(
    "--sample-strategy",
    "strategy",
    type=click.Choice(["random", "swarm"], case_sensitive=False),
    default="random",
    show_default=True,
    help="Draw traces as in a run, or explore rare corners.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Draw the traces of this seed; 0, the default, takes a new one and tells it.",
)
@click.option(
    "--max-spans-per-trace",
    "most_spans",
    type=_COUNT,
    default=0,
    help=f"Cut of a sampled trace.  [default: {MOST_SPANS_PER_TRACE}]",
)
@click.option("--checks", metavar="FILE", help="Limits from a file or URL; options win over it.")
@click.option("--skip-scenarios", is_flag=True, help="Look at the baseline only.")
@rate_option
@click.option(
    "--users",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Expect so many simulated users, each with the whole rate.",
)
@click.option("--skip-speed", is_flag=True, help="Do not measure how fast this machine generates.")
@click.option(
    "--junit",
    "junit_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the verdicts to this file as JUnit XML too.",
)
@console.json_option
@click.pass_context
def check(
    context: click.Context,
    /,
    source: str,
    semconv: str | None,
    samples: int,
    strategy: str,
    seed: int,
    most_spans: int,
    checks: str | None,
    skip_scenarios: bool,
    rate: Rate | None,
    users: int,
    skip_speed: bool,
    junit_path: Path | None,
    as_json: bool,
    **greatest: int | None,
) -> None:
    """Tell how deep, wide and large traces of SOURCE become, and what a run will send.

    Bounds are exact: whatever chance decides, no trace exceeds them. Besides, traces are sampled as
    a run draws them, for every set of scenarios that are ever active together; and spans and bytes
    a second are expected for each service, at the base rate and at the peak.

    Status 0: all within the limits. 1: something is not. 2: wrong usage or input.
    """
    limits = _limits(checks, samples)
    reading = console.read(source, semconv)
    topology, traffic = reading.topology, reading.topology.traffic
    if traffic is None:
        raise BadInput(f"{source} is a replay: its traces are recorded, nothing is drawn")
    if skip_scenarios:
        topology = topology.model_copy(update={"scenarios": ()})
    seed = seed or secrets.randbelow(2**63 - 1) + 1
    draw = Draw(seed, run_name(reading.source.sha256), most_spans or MOST_SPANS_PER_TRACE)
    total = samples * len(scenario_sets(topology)) * (2 if strategy == "swarm" else 1)
    with console.progress("sampling traces", total) as progress:
        outlook = look(
            topology,
            draw,
            samples=samples,
            strategy=cast("Strategy", strategy),
            advance=progress.advance,
        )
    given = {measure: greatest[f"max_{measure}"] for measure in DEFAULTS}
    rows = judge(outlook.findings, given=given, file=limits)
    forecast = None
    if samples:
        base_per_s = users * (rate or traffic.rate).per_s
        forecast = _forecast(topology, draw, outlook, base_per_s, measured=not skip_speed)
    if junit_path is not None:
        junit_path.write_bytes(junit(rows, source=source))
    report = Report(topology, draw, samples, strategy == "swarm", outlook, rows, forecast)
    if as_json:
        console.show_json(report.as_dict())
    else:
        show(report)
    if not report.passed:
        context.exit(BAD_VERDICT)


def _forecast(
    topology: Topology, draw: Draw, outlook: Outlook, base_per_s: float, *, measured: bool
) -> Forecast:
    assert topology.traffic is not None
    peak = outlook.peak(topology, factor=base_per_s / topology.traffic.rate.per_s)
    speed_per_s = None
    if measured:
        with console.progress("measuring this machine"):
            speed_per_s = measure_speed(topology, peak.volume, draw)
    return Forecast(base_per_s, peak, speed_per_s, cores=os.cpu_count() or 1)


def show(report: Report) -> None:
    """Write *report* for people."""
    right = {"value", "limit", "p50", "p95", "p99", "max"}
    console.show_table(VERDICT_HEADINGS, report.verdicts(), right=right)
    for place in report.places():
        console.show(place)
    if report.forecast is not None:
        console.show("")
        right |= {"mean spans", "mean bytes"}
        title = (
            "Traces of each set of scenarios: latency from start to end of their roots, and size"
        )
        console.show_table(LATENCY_HEADINGS, report.latencies(), title=title, right=right)
        console.show("")
        title = "What each service sends, at the base rate and at the peak"
        console.show_table(
            SERVICE_HEADINGS, report.services(), title=title, right=SERVICE_HEADINGS[1:]
        )
    console.show("")
    for note in report.notes():
        console.show(note)


def _limits(checks: str | None, samples: int) -> Limits | None:
    if checks is None:
        return None
    limits = read_limits(checks)
    asked = [f"p{percent}_{measure}" for measure, percent, _ in limits.percentiles()]
    if asked and not samples:
        raise BadInput(f"{checks}: {', '.join(asked)} cannot be told with --samples 0")
    return limits
