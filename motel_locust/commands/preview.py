"""``motel-locust preview``: what the traffic and the calls of a topology look like."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from motel_locust.commands import console
from motel_locust.commands.checking.sampling import MOST_SPANS_PER_TRACE, Draw, run_name
from motel_locust.commands.console import (
    SECONDS,
    BadInput,
    rate_option,
    semconv_option,
    source_argument,
)
from motel_locust.commands.previewing import plain, svg
from motel_locust.commands.previewing.chart import chart, peak_label
from motel_locust.commands.previewing.drawing import draw_graph
from motel_locust.commands.previewing.view import Shown, View, Wish, sets_to_sample, view

if TYPE_CHECKING:
    from motel_locust.commands.previewing.series import Unit
    from motel_locust.topology.quantities import Rate

STANDARD_OUTPUT: Final = "-"
NS_PER_S: Final = 1_000_000_000


@click.command(
    cls=console.Command,
    example="""
    motel-locust preview topologies/shop.yaml
    motel-locust preview topologies/shop.yaml --at 2m30s -o shop.svg
    """,
)
@source_argument
@semconv_option
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="Write the pictures as SVG to this file, - for standard output, instead of showing text.",
)
@click.option(
    "--show",
    "shown",
    type=click.Choice(["all", "rate", "graph"]),
    default="all",
    show_default=True,
    help="The rate over time, the call graph, or both.",
)
@click.option(
    "--duration",
    "duration_s",
    type=SECONDS,
    help="How much of the run to show.  [default: 1.1 times all scenarios, or 5m]",
)
@click.option(
    "--unit",
    type=click.Choice(["traces", "spans", "bytes"]),
    default="traces",
    show_default=True,
    help="What the rate is of.",
)
@click.option(
    "--at",
    "at_s",
    type=SECONDS,
    help="Show the calls at this time of the run.  [default: without scenarios, at the base rate]",
)
@rate_option
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Simulated traces for latencies and bytes.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Draw the traces of this seed; 0, the default, takes a new one.",
)
@console.json_option
def preview(
    *,
    source: str,
    semconv: str | None,
    output: str | None,
    shown: str,
    duration_s: float | None,
    unit: str,
    at_s: float | None,
    rate: Rate | None,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Show the rate of SOURCE over time with its scenarios, and the graph of its calls.

    Each operation comes with its spans a second, its share of errors, cascaded ones included, and
    its latency. On a terminal and in a pipe that is text; with -o it is one SVG.
    """
    reading = console.read(source, semconv)
    topology = reading.topology
    if topology.traffic is None:
        raise BadInput(f"{source} is a replay: it has no rate to preview")
    if duration_s is not None and duration_s <= 0:
        raise BadInput("--duration must be above 0; write for example 5m")
    wish = Wish(
        shown=cast("Shown", shown),
        unit=cast("Unit", unit),
        until_ns=None if duration_s is None else int(duration_s * NS_PER_S),
        at_ns=None if at_s is None else int(at_s * NS_PER_S),
        base_per_s=None if rate is None else rate.per_s,
        samples=samples,
    )
    draw = Draw(
        seed or secrets.randbelow(2**63 - 1) + 1,
        run_name(reading.source.sha256),
        MOST_SPANS_PER_TRACE,
    )
    total = samples * len(sets_to_sample(topology, wish))
    with console.progress("sampling traces", total) as progress:
        found = view(topology, draw, wish, advance=progress.advance)
    title = Path(reading.source.name).name
    if as_json:
        console.show_json({"source": reading.source.name, "seed": draw.seed, **found.as_dict()})
    elif output is None:
        show(found, title)
    elif output == STANDARD_OUTPUT:
        console.show(_picture(found, title).rstrip())
    else:
        Path(output).write_text(_picture(found, title), "utf-8")


def _picture(found: View, title: str) -> str:
    pictures = []
    if found.rate is not None:
        pictures.append(chart(found.rate, title=title))
    if found.calls is not None:
        pictures.append(draw_graph(found.calls, title=title))
    return svg.page(pictures)


def show(found: View, title: str) -> None:
    """Write *found* for people."""
    if found.rate is not None:
        console.show(f"{title}: peak {peak_label(found.rate)}")
        for line in plain.columns(found.rate):
            console.show(line)
    if found.rate is not None and found.calls is not None:
        console.show("")
    if found.calls is not None:
        console.show_table(
            plain.TREE_HEADINGS,
            plain.trees(found.calls),
            title=f"{title}: calls, {plain.circumstances(found.calls)}",
            right=plain.TREE_HEADINGS[2:],
        )
