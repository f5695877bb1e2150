"""``motel-locust validate``: can this topology run?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from motel_locust.commands import console
from motel_locust.commands.console import BAD_INPUT, BAD_VERDICT, GOOD, source_argument
from motel_locust.topology import linking
from motel_locust.topology.diagnostics import Diagnostic, TopologyError
from motel_locust.topology.reading import Reading, read_topology

if TYPE_CHECKING:
    from collections.abc import Iterable

    from motel_locust.topology.model import Topology


@click.command(cls=console.Command, example="motel-locust validate topologies/shop.yaml --strict")
@source_argument
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
def validate(context: click.Context, source: str, output: str, *, strict: bool) -> None:
    """Tell whether the topology SOURCE can run, without sending anything.

    SOURCE is a file, an http(s):// URL, or - for standard input. Every problem is named with its
    place. Status 0: it can run. 1: it can, but there are warnings and --strict. 2: it cannot.
    """
    problems: tuple[Diagnostic, ...] = ()
    reading = None
    try:
        reading = read_topology(source)
        _check_recording(reading)
    except TopologyError as error:
        problems = error.problems
    warnings = reading.warnings if reading else ()
    if output == "json":
        topology = reading.topology if reading and not problems else None
        console.show_json(_verdict(topology, problems, warnings))
    else:
        for diagnostic in (*problems, *warnings):
            console.say(str(diagnostic))
        if reading is not None and not problems:
            console.show(_summary(reading.topology))
            console.show(f"run it: locust -f locustfiles/topology.py --topology {source}")
    if problems:
        context.exit(BAD_INPUT)
    context.exit(BAD_VERDICT if strict and warnings else GOOD)


def _check_recording(reading: Reading) -> None:
    """Refuse a replay whose recording cannot be read; its path counts from the topology's."""
    if reading.topology.recording is None or reading.topology.mode != "replay":
        return
    path = Path(reading.source.name).parent / reading.topology.recording
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        message = f"the recording cannot be read: {error.strerror or error}"
        raise TopologyError([Diagnostic(str(path), 0, 0, message, "unreadable-source")]) from None


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
    if topology.mode == "replay":
        return f"a replay of {topology.recording}"
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
