"""``motel-locust validate``: can this topology run?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import click

from motel_locust.commands import console
from motel_locust.commands.console import (
    BAD_INPUT,
    BAD_VERDICT,
    GOOD,
    semconv_option,
    source_argument,
)
from motel_locust.otlp.recording_file import RecordingReader, open_recording
from motel_locust.otlp.replayed import recording_of
from motel_locust.otlp.survey import survey
from motel_locust.topology import linking
from motel_locust.topology.diagnostics import Diagnostic, TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from motel_locust.otlp.survey import Survey
    from motel_locust.topology.model import Topology


@click.command(cls=console.Command, example="motel-locust validate topologies/shop.yaml --strict")
@source_argument
@semconv_option
@click.option("--strict", is_flag=True, help="Let warnings give status 1.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the result.",
)
@click.option("--json", "output", flag_value="json", help="Short for --format json.")
@click.pass_context
def validate(
    context: click.Context, source: str, semconv: str | None, output: str, *, strict: bool
) -> None:
    """Tell whether the topology SOURCE can run, without sending anything.

    SOURCE is a file, an http(s):// URL, or - for standard input. Every problem is named with its
    place. Status 0: it can run. 1: it can, but there are warnings and --strict. 2: it cannot.
    """
    problems: tuple[Diagnostic, ...] = ()
    reading = recorded = None
    warnings: tuple[Diagnostic, ...] = ()
    try:
        reading = console.fetch(source, semconv)
        warnings = reading.warnings
        if reading.topology.mode == "replay":
            name = recording_of(reading)
            recorded = _survey(name)
            warnings += tuple(recorded.warnings(name))
    except TopologyError as error:
        problems = error.problems
    if output == "json":
        topology = reading.topology if reading and not problems else None
        verdict = _verdict(topology, problems, warnings)
        console.show_json(verdict | ({"recording": recorded.as_dict()} if recorded else {}))
    else:
        for diagnostic in (*problems, *warnings):
            console.say(str(diagnostic))
        if reading is not None and not problems:
            console.show(
                _replay(reading.topology, recorded) if recorded else _summary(reading.topology)
            )
            console.show(f"run it: locust -f locustfiles/topology.py --topology {source}")
    if problems:
        context.exit(BAD_INPUT)
    context.exit(BAD_VERDICT if strict and warnings else GOOD)


def _survey(name: str) -> Survey:
    """Return what is in a recording; raise TopologyError for all that is wrong with it."""
    with open_recording(name) as file, console.progress(f"reading {name}", unit="traces") as shown:
        return survey(RecordingReader(file, name), name, visit=lambda _: shown.advance())


def _replay(topology: Topology, recorded: Survey) -> str:
    services = sorted(recorded.services)
    more = f" and {len(services) - MOST_NAMED} more" if len(services) > MOST_NAMED else ""
    return (
        f"a replay of {topology.recording}: {recorded.traces:,} traces,"
        f" {recorded.spans:,} spans, {recorded.errors:,} errors, over"
        f" {recorded.length_ns / 1e9:,.1f} s; services: {', '.join(services[:MOST_NAMED])}{more}"
    )


MOST_NAMED: Final = 20


def _counts(topology: Topology) -> dict[str, int]:
    operations = [
        operation
        for service in topology.services.values()
        for operation in service.operations.values()
    ]
    return {
        "services": len(topology.services),
        "operations": len(operations),
        "root operations": len(linking.roots(topology)),
        "calls": sum(len(operation.calls) for operation in operations),
        "scenarios": len(topology.scenarios),
    }


def _summary(topology: Topology) -> str:
    counted = [
        f"{count} {noun if count != 1 else noun.removesuffix('s')}"
        for noun, count in _counts(topology).items()
    ]
    return f"{', '.join(counted)}; roots: {', '.join(linking.roots(topology))}"


def _verdict(
    topology: Topology | None, errors: Iterable[Diagnostic], warnings: Iterable[Diagnostic]
) -> dict[str, Any]:
    verdict: dict[str, Any] = {"valid": topology is not None}
    if topology is not None:
        verdict |= {name.replace(" ", "_"): count for name, count in _counts(topology).items()}
        verdict["roots"] = linking.roots(topology)
    verdict["errors"] = [dataclasses.asdict(error) for error in errors]
    verdict["warnings"] = [dataclasses.asdict(warning) for warning in warnings]
    return verdict
