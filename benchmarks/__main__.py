"""``python -m benchmarks``: everything, as tables on standard output and as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from benchmarks import generation, rates

PARTS = ("generation", "rates", "users")
RATES = (100, 1_000, 5_000, 10_000, 50_000, 100_000)


@click.command()
@click.option("--part", type=click.Choice(["all", *PARTS]), default="all")
@click.option("--seconds", default=20.0, show_default=True, help="Length of each run.")
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="Also write the figures to a file."
)
def main(part: str, seconds: float, path: Path | None) -> None:
    """Measure generation beside the SDK, and rates asked beside rates reached.

    With OTELCOL=PATH the rates are also measured against that OpenTelemetry Collector.
    """
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"
    click.echo(machine)
    figures: dict[str, object] = {"machine": machine}
    if part in ("all", "generation"):
        figures["generation"] = _generation()
    if part in ("all", "rates"):
        figures["rates"] = _rates(seconds)
    if part in ("all", "users"):
        figures["users"] = _users(seconds)
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n")


def _generation() -> list[dict[str, object]]:
    click.echo("\ngeneration, one core        walked/s   encoded/s   bytes/span   x the SDK")
    found: list[dict[str, object]] = []
    for name in ("four-services", "shop"):
        speed = generation.measure(rates.ROOT / "topologies" / f"{name}.yaml")
        row = asdict(speed)
        times = ""
        if name == "four-services":
            sdk = generation.measure_sdk()
            row |= {"sdk_per_s": sdk, "times_sdk": speed.encoded_per_s / sdk}
            times = f"{speed.encoded_per_s / sdk:,.0f}"
        click.echo(
            f"{name:24} {speed.walked_per_s:11,.0f} {speed.encoded_per_s:11,.0f}"
            f" {speed.bytes_per_span:12,.0f} {times:>11}"
        )
        found.append(row)
    return found


def _rates(seconds: float) -> list[dict[str, object]]:
    _print_heading()
    found = _at_rates("discard", "discard://", seconds)
    with rates.receiver() as endpoint:
        found += _at_rates("receiver", endpoint, seconds)
    if program := os.environ.get("OTELCOL"):
        with rates.collector(program) as endpoint:
            found += _at_rates("Collector", endpoint, seconds)
    return found


def _at_rates(endpoint: str, host: str, seconds: float) -> list[dict[str, object]]:
    return [_show(rates.run(endpoint, host, per_s, seconds=seconds)) for per_s in RATES]


def _users(seconds: float) -> list[dict[str, object]]:
    _print_heading()
    return [
        _show(rates.run("discard", "discard://", per_s, seconds=seconds, users=users))
        for per_s in (1_000, 10_000)
        for users in (10, 10_000)
    ]


def _print_heading() -> None:
    click.echo(
        "\nendpoint    users  traces/s asked         due    arrivals           spans"
        "        accepted    max lag    CPU"
    )


def _show(row: rates.Reached) -> dict[str, object]:
    click.echo(
        f"{row.endpoint:10} {row.users:6,} {row.asked_per_s:15,.0f} {row.due:11,.0f}"
        f" {row.arrivals:11,} {row.spans:15,} {row.accepted:15,}"
        f" {row.lag_max_s * 1000:7.1f} ms {row.cpu * 100:4.1f} %"
    )
    return asdict(row)


if __name__ == "__main__":
    main()
