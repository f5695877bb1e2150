"""Whole runs: a headless Locust process from its start to its end, and the window that counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.diary import LOOK_S, diary_environment
from benchmarks.endpoints import HTTP, Endpoint
from benchmarks.samples import (
    NoWindowError,
    Window,
    read_diary,
    settled_window,
    window_between,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.samples import Sample


ROOT = Path(__file__).parent.parent
TOPOLOGY = ROOT / "topologies" / "four-services.yaml"
LOCUSTFILE, IDLE = ROOT / "benchmarks" / "locustfile.py", ROOT / "benchmarks" / "idle.py"

USERS = 10
SETTLE_S = 1.5
"""From the last user's start to the window: the queue fills, plans and templates are made."""

FULL = ("--rate", "10000000/s", "--on-full", "wait")
"""More than some cores can generate, by far; the endpoint's pace holds the schedule."""

START_S, END_S = 30.0, 60.0
"""The most that a start and an end may take, drain included."""


class RunError(RuntimeError):
    """A run that did not go as planned: how it ended, and the last lines that it printed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended."""

    window: Window
    summary: Mapping[str, Any]
    """What ``--summary`` wrote; empty where nothing of ours ran."""

    @property
    def ledger(self) -> Mapping[str, int]:
        """The counts of spans, drain included."""
        ledger: Mapping[str, int] = self.summary["ledger"]["traces"]
        return ledger

    @property
    def lag_max_s(self) -> float:
        """The greatest lag of the whole run."""
        lag_s: float = self.summary["lag_s"]["max"]
        return lag_s


def options(per_s: float) -> tuple[str, ...]:
    """Return what asks for *per_s* traces per second, of all users together."""
    return ("--rate", f"{per_s:.0f}/s")


def run(
    endpoint: Endpoint,
    asked: Sequence[str],
    *,
    seconds: float,
    protocol: str = HTTP,
    topology: Path = TOPOLOGY,
    users: int = USERS,
    settle_s: float = SETTLE_S,
    ticker: bool = False,
    web_port: int = 0,
) -> Finished:
    """Run *topology* with the options *asked*, until a window of *seconds* is over.

    Raises RunError.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        summary = directory / "summary.json"
        web = ("--autostart", "--web-host", "127.0.0.1", "--web-port", str(web_port))
        command = [
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)),
            *("--topology", str(topology), "--rate-per", "cluster", "--max-loss", "1"),
            *("--host", endpoint.addresses[protocol], "--otlp-protocol", protocol, *asked),
            *("--users", str(users), "--spawn-rate", str(users), "--only-summary"),
            *(web if web_port else ("--headless",)),
            *("--summary", str(summary)),
        ]
        extra = diary_environment(directory, endpoint_pid=endpoint.pid, ticker=ticker)
        with started(command, directory, extra) as process:
            window = wait_for_window(process, directory, settle_s=settle_s, seconds=seconds)
            process.terminate()
            try:
                code = process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                raise RunError(f"running {END_S:.0f} s after its end\n{_tail(directory)}") from None
            if code:
                raise RunError(f"exit code {code}\n{_tail(directory)}")
        return Finished(window, json.loads(summary.read_text()))


def wait_for_window(
    process: subprocess.Popen[bytes], directory: Path, *, settle_s: float, seconds: float
) -> Window:
    """Return the window of *process* once it is over; *process* goes on. Raises RunError."""
    time.sleep(settle_s + seconds)
    return _once_over(
        lambda diaries: settled_window(diaries, settle_s=settle_s, seconds=seconds),
        process,
        directory,
    )


def _once_over(
    window: Callable[[Sequence[Sequence[Sample]]], Window],
    process: subprocess.Popen[bytes],
    directory: Path,
) -> Window:
    """Return the *window* of the diaries in *directory* as soon as there is one."""
    deadline_s = time.monotonic() + START_S
    while True:
        if process.poll() is not None:
            raise RunError(f"ended before its window did\n{_tail(directory)}")
        try:
            return window([read_diary(path) for path in sorted(directory.glob("*.diary"))])
        except NoWindowError as early:
            if time.monotonic() > deadline_s:
                raise RunError(f"{early}\n{_tail(directory)}") from None
        time.sleep(LOOK_S)


@contextmanager
def idle_run(users: int = USERS) -> Iterator[Callable[[Window], Window]]:
    """Run a Locust process whose users do nothing; give what it did during another's window."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        command = [
            *(sys.executable, "-m", "locust", "-f", str(IDLE), "--headless", "--only-summary"),
            *("--users", str(users), "--spawn-rate", str(users)),
        ]
        extra = diary_environment(directory, endpoint_pid=0, ticker=False)
        with started(command, directory, extra) as process:
            yield lambda window: _once_over(
                lambda diaries: window_between(diaries, window.from_s, window.until_s),
                process,
                directory,
            )


@contextmanager
def started(
    command: Sequence[str], directory: Path, extra: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start *command* in *directory* and give its process; afterwards it has ended.

    Its standard output is thrown away; standard error goes to the file ``stderr``.
    """
    # What would set options of Locust or OTLP stays outside.
    bare = {
        key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "OTEL_"))
    }
    environ = {**bare, "PYTHONPATH": str(ROOT), "HOME": str(directory), **extra}
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdout=subprocess.DEVNULL, stderr=stderr
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _tail(directory: Path) -> str:
    return "\n".join((directory / "stderr").read_text(errors="replace").splitlines()[-20:])
