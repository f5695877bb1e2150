"""``python -m benchmarks``: everything, or some parts, as tables, as JSON, in a page, as a plot."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from benchmarks import machine, page
from benchmarks.parts import PARTS

FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.option(
    "--part", "names", multiple=True, type=click.Choice(list(PARTS)), help="One part; repeatable."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=6.0,
    show_default=True,
    help="Length of each run's window.",
)
@click.option(
    "--from", "source", type=EXISTING, help="Begin with these figures; measure only --part anew."
)
@click.option("--json", "target", type=FILE, help="Write the figures.")
@click.option("--markdown", type=EXISTING, help="Put the tables into this page, at their places.")
@click.option("--plot", type=FILE, help="Draw the figures, as SVG.")
def main(
    names: tuple[str, ...],
    seconds: float,
    source: Path | None,
    target: Path | None,
    markdown: Path | None,
    plot: Path | None,
) -> None:
    """Measure what this machine does, all parts of it unless --part names some.

    With OTELCOL=PATH that OpenTelemetry Collector is measured too.
    """
    figures: dict[str, Any] = json.loads(source.read_text()) if source else {"parts": {}}
    asked = names or (() if source else tuple(PARTS))
    kept = {name: part for name, part in figures["parts"].items() if name not in asked}
    try:
        rows = {name: PARTS[name].rows(part["rows"]) for name, part in kept.items()}
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--from") from None
    figures["parts"] = kept
    if asked:
        figures["machine"] = machine.describe()
    click.echo(machine.sentence(figures["machine"]))
    for name, part in PARTS.items():
        if name in asked:
            began_s = time.monotonic()
            rows[name] = part.measure(seconds)
            figures["parts"][name] = {"seconds": seconds, "rows": part.kept(rows[name])}
            click.echo(f"{name}: {time.monotonic() - began_s:.0f} s", err=True)
        if name in rows:
            click.echo(f"\n{part.title}\n\n{part.table(rows[name]).text()}")
            sys.stdout.flush()
        if target is not None:  # each time, so that nothing is lost if a part fails
            target.write_text(json.dumps(figures, indent=2) + "\n")
    if markdown is not None:
        blocks = {name: PARTS[name].table(rows[name]).markdown() for name in rows}
        blocks["machine"] = machine.sentence(figures["machine"])
        markdown.write_text(page.with_blocks(markdown.read_text(), blocks))
    if plot is not None:
        from benchmarks.plot import draw  # matplotlib takes a second to import

        draw(rows, plot)


if __name__ == "__main__":
    main()
