"""Real processes for tests: each in a group of its own, watched, and ended with its group."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""

# Below the ports that Linux takes for outgoing connections (from 32768): a load test opens many,
# and one of them could otherwise take a port between its choice and its use.
_PORTS = range(15000, 30000)
# Tests run side by side, in processes of their own: whoever hands out a port holds its byte of this
# file, until the process ends.
_CLAIMS = Path(tempfile.gettempdir(), f"motel-locust-ports-{os.getuid()}").open("ab")  # noqa: SIM115
_handed_out: set[int] = set()

T = TypeVar("T")


def free_port() -> int:
    """Return a loopback port where nothing listens, never the same one to two tests."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                fcntl.lockf(_CLAIMS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def bare_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's variables without those that would set options of Locust or of OTLP."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOCUST_", "OTEL_"))
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


class Child:
    """A running process, the leader of its own group, with its output in files.

    Every wait is bounded, and one that fails shows the end of what the process printed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        directory: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._stdout_path = directory / f"{name}.stdout"
        self._stderr_path = directory / f"{name}.stderr"
        with self._stdout_path.open("wb") as stdout, self._stderr_path.open("wb") as stderr:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=directory,
                env=bare_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._stderr_path.read_text(errors="replace")

    def until(self, condition: Callable[[], T], awaited: str, *, timeout_s: float = 30.0) -> T:
        """Return what *condition* answers as soon as that is true; the process must live on.

        *awaited* says in a failure's message what never came about.
        """
        deadline = time.monotonic() + timeout_s
        while not (answer := condition()):
            assert self.running, self._told(f"ended with {self._process.poll()} before {awaited}")
            assert time.monotonic() < deadline, self._told(f"not {awaited} after {timeout_s} s")
            time.sleep(0.02)
        return answer

    def wait(self, *, timeout_s: float) -> int:
        """Return the exit code once the process has ended by itself."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(self._told(f"still running after {timeout_s} s")) from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its group."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 30.0) -> int:
        """Send a signal, wait, and return the exit code."""
        self.send(number)
        return self.wait(timeout_s=timeout_s)

    def end(self) -> None:
        """End the process and whatever else is left in its group, gently at first."""
        if self.running:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._process.pid, number)

    def _told(self, what: str) -> str:
        tail = "\n".join((self.stdout + self.stderr).splitlines()[-40:])
        return f"{self.name} {what}\n{tail}"
