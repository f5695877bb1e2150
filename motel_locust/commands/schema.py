"""``motel-locust schema``: the topology language as JSON Schema, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from motel_locust.commands import console
from motel_locust.topology.schema import json_schema


@click.command(
    cls=console.Command,
    example="""
    motel-locust schema -o topology.schema.json
    motel-locust schema | jq .definitions.Call
    """,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this file.  [default: standard output]",
)
@click.option("--json", is_flag=True, expose_value=False, help="Accepted: a schema always is JSON.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of topologies, which YAML language servers understand.

    Put the line '# yaml-language-server: $schema=topology.schema.json' at the top of a topology,
    with the path or URL of the schema; editors then complete keys, explain them on hover and mark
    what is wrong. What takes a look at the whole file, validate tells.
    """
    if output is None:
        console.show_json(json_schema())
        return
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    output.write_text(f"{text}\n", encoding="utf-8")
