"""``motel-locust version``: what runs here."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

import click

import motel_locust
from motel_locust.commands import console
from motel_locust.commands.console import json_option

BESIDE: Final = ("locust", "opentelemetry-proto", "opentelemetry-sdk", "grpcio", "numpy")
"""Packages whose versions matter when something is odd."""


@click.command(cls=console.Command, example="motel-locust version --json")
@json_option
def version(*, as_json: bool) -> None:
    """Print the version, and those of Python and the packages that matter, on one line."""
    versions = {
        "motel-locust": motel_locust.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in BESIDE},
    }
    if as_json:
        console.show_json(versions)
        return
    own, *others = (f"{name} {number}" for name, number in versions.items())
    console.show(f"{own} ({', '.join(others)})")
