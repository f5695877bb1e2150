"""The ``motel-locust`` command: what surrounds a run."""

from __future__ import annotations

import importlib
from typing import Final

import click

import motel_locust

_COMMANDS: Final = {
    "receive": "motel_locust.commands.receive:receive",
    "validate": "motel_locust.commands.validate:validate",
}
"""Each subcommand's name, and where it is defined."""


class _LazyGroup(click.Group):
    """A group that imports a subcommand when it is used, so that ``--help`` needs no models."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


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
