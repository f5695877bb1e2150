"""The ``motel-locust`` command in a process of its own, while endpoints of the test's answer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from gevent import subprocess

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "from motel_locust.commands import main; main(prog_name='motel-locust')"


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without the variables that a command reads, and with *extra*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "LOCUST_")) and name.lower() != "http_proxy"
    }
    return kept | dict(extra or {})


def invoke(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
    """Run ``motel-locust`` to its end; greenlets of this process run meanwhile."""
    # gevent's subprocess, because the endpoints of the tests live in this very thread.
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(env),
    )
    try:
        out, err = process.communicate(stdin.encode(), timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    return Done(process.returncode, out.decode(), err.decode())
