"""The ``motel-locust`` command: what surrounds a run."""

from __future__ import annotations

import importlib
from typing import Final

import click

import motel_locust

_COMMANDS: Final = {
    "validate": ("validate:validate", "Is this topology right?"),
    "check": ("check:check", "How large can a trace become, and what will a run send?"),
    "preview": ("preview:preview", "The rate over time and the calls, as pictures."),
    "import": ("import_:import_", "Recorded traces in, topology out."),
    "replay": ("replay:replay", "Recorded traces, sent again."),
    "emit": ("emit:emit", "Single-span traces from flags alone."),
    "doctor": ("doctor:doctor", "Is the OTLP endpoint reachable, does it accept an item?"),
    "receive": ("receive:receive", "An OTLP receiver that counts and judges what comes."),
    "schema": ("schema:schema", "The topology language as JSON Schema, for editors."),
    "version": ("version:version", "The version, and those of what it stands on."),
}
"""Each subcommand in the order of the help: where it is defined, and what it is in one line."""
_OTHER_NAMES: Final = {"status": "doctor"}


class _LazyGroup(click.Group):
    """A group that imports a subcommand when it is used, so that help and others stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        cmd_name = _OTHER_NAMES.get(cmd_name, cmd_name)
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command is, without importing it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(motel_locust.__version__, prog_name="motel-locust")
@click.pass_context
def main(context: click.Context) -> None:
    """Check and surround OpenTelemetry load that Locust makes from a topology.

    The load itself: locust -f locustfiles/topology.py --topology SOURCE
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
