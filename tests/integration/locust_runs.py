"""Locust as a person starts it: a process with options, a web UI, perhaps with workers."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.integration.child import ROOT, Child, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOCUSTFILE = ROOT / "locustfiles" / "topology.py"

SPAWNED = re.compile("All users spawned|Spawning is complete and report waittime is expired")
"""What Locust says when all users are there; the latter if its workers are slow to tell."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: its exit code, what it printed, and its ``--summary``."""

    code: int
    stdout: str
    stderr: str
    summary: dict[str, Any] | None
    """None if the run ended before it wrote one, and for a worker."""

    @property
    def ledger(self) -> dict[str, int]:
        """The summary's ledger of spans."""
        assert self.summary is not None, self.stdout + self.stderr
        return self.summary["ledger"]["traces"]

    @property
    def simulation(self) -> dict[str, Any]:
        """The summary's counters of the simulation."""
        assert self.summary is not None, self.stdout + self.stderr
        return self.summary["simulation"]

    @property
    def console_total(self) -> int:
        """The number of requests in the last table of the console."""
        (*_, last) = re.findall(r"^ +Aggregated +(\d+) +\d+\(", self.stderr, flags=re.MULTILINE)
        return int(last)

    @property
    def epoch_ns(self) -> int:
        """The instant at which the run began, Unix time."""
        assert self.summary is not None, self.stdout + self.stderr
        epoch_ns: int = self.summary["run"]["epoch_ns"]
        return epoch_ns


class LocustRun:
    """One Locust process, with what it forked if it was told ``--processes``.

    ``child`` is the process itself: its pid, its output so far, :meth:`Child.until`.
    """

    def __init__(
        self,
        name: str,
        *arguments: str | Path,
        locustfile: Path,
        directory: Path,
        env: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        web_port = free_port()
        self.directory = directory
        self.url = f"http://127.0.0.1:{web_port}"
        self._web_port = web_port
        self._summary = directory / f"{name}.summary.json"
        self.child = Child(
            name,
            [*prefix, sys.executable, "-m", "locust", "-f", locustfile, *arguments],
            directory=directory,
            # As variables, so that what a test says as an argument wins. HOME, because Locust also
            # reads ~/.locust.conf.
            env={
                "HOME": str(directory),
                "LOCUST_MASTER_BIND_HOST": "127.0.0.1",
                "LOCUST_WEB_HOST": "127.0.0.1",
                "LOCUST_WEB_PORT": str(web_port),
                "LOCUST_SUMMARY": str(self._summary),
                **env,
            },
        )

    def wait_for_web(self) -> None:
        """Return when the web UI answers at ``url``."""
        self.child.until(self._web_answers, "answering in the web UI")

    def wait_for_users(self) -> None:
        """Return when all users have been started."""
        self.child.until(lambda: SPAWNED.search(self.child.stderr), "with all its users")

    def wait(self, *, timeout_s: float = 60.0) -> Finished:
        """Return when the run has ended by itself."""
        return self._finished(self.child.wait(timeout_s=timeout_s))

    def wait_beside(
        self, others: Callable[[float], object], *, timeout_s: float = 60.0
    ) -> Finished:
        """Do the same, and let *others* in this process have their turns: ``gevent.sleep``."""
        deadline_s = time.monotonic() + timeout_s
        while self.child.running and time.monotonic() < deadline_s:
            others(0.02)
        return self.wait(timeout_s=1.0)

    def summary(self) -> dict[str, Any] | None:
        """Return the summary as the run has last written it, None before that."""
        if not self._summary.exists():
            return None
        try:
            return json.loads(self._summary.read_text())
        except json.JSONDecodeError:  # it is just being written
            return None

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 30.0) -> Finished:
        """Send a signal, by default the one that ends a container, and return when it has ended."""
        return self._finished(self.child.stop(number, timeout_s=timeout_s))

    def end(self) -> None:
        self.child.end()

    def _web_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._web_port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _finished(self, code: int) -> Finished:
        return Finished(code, self.child.stdout, self.child.stderr, self.summary())


@dataclass(slots=True)
class Cluster:
    """A master and its workers, each a process of its own."""

    master: LocustRun
    workers: list[LocustRun]
    locusts: Locusts
    locustfile: Path
    port: int
    env: Mapping[str, str]

    def add_worker(self, locustfile: Path | None = None) -> LocustRun:
        """Start one more worker, with *locustfile* if it is another one, and return at once."""
        worker = self.locusts.start(
            "--worker",
            "--master-port",
            str(self.port),
            locustfile=locustfile or self.locustfile,
            env=self.env,
            name=f"worker{len(self.workers)}",
        )
        self.workers.append(worker)
        return worker

    def restart_master(self, *arguments: str | Path) -> LocustRun:
        """Start another master in the place of one that has ended, and return at once."""
        self.master = self.locusts.start(
            "--master",
            f"--master-bind-port={self.port}",
            *arguments,
            locustfile=self.locustfile,
            env=self.env,
            name="master",
        )
        return self.master

    def wait(self, *, timeout_s: float = 60.0) -> Finished:
        """Return how the master ended, once it and all workers have."""
        finished = self.master.wait(timeout_s=timeout_s)
        for worker in self.workers:
            worker.wait(timeout_s=20)
        return finished


class Locusts:
    """Starts Locust processes in scratch directories, and ends all of them with the test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[LocustRun] = []

    def run(
        self,
        *arguments: str | Path,
        locustfile: Path = LOCUSTFILE,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Finished:
        """Run ``locust -f LOCUSTFILE *arguments*`` to its end."""
        return self.start(*arguments, locustfile=locustfile, env=env).wait(timeout_s=timeout_s)

    def start(
        self,
        *arguments: str | Path,
        locustfile: Path = LOCUSTFILE,
        env: Mapping[str, str] | None = None,
        name: str = "locust",
        prefix: Sequence[str] = (),
    ) -> LocustRun:
        """Start the same and return at once. ``--processes`` works too: its port is a free one.

        *prefix* is a command that runs another one.
        """
        directory = self._directory / f"{len(self._started)}-{name}"
        directory.mkdir()
        port = str(free_port())
        ports = {"LOCUST_MASTER_BIND_PORT": port, "LOCUST_MASTER_NODE_PORT": port}
        run = LocustRun(
            name,
            *arguments,
            locustfile=locustfile,
            directory=directory,
            env={**ports, **(env or {})},
            prefix=prefix,
        )
        self._started.append(run)
        return run

    def cluster(
        self,
        *arguments: str | Path,
        workers: int = 2,
        locustfile: Path = LOCUSTFILE,
        env: Mapping[str, str] | None = None,
    ) -> Cluster:
        """Start a master with *arguments* and its workers; it begins when all have connected."""
        port = free_port()
        master = self.start(
            "--master",
            f"--master-bind-port={port}",
            f"--expect-workers={workers}",
            *arguments,
            locustfile=locustfile,
            env=env,
            name="master",
        )
        cluster = Cluster(master, [], self, locustfile, port, env or {})
        for _ in range(workers):
            cluster.add_worker()
        return cluster

    def end(self) -> None:
        for run in self._started:
            run.end()
