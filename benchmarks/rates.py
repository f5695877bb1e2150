"""Rates asked and reached: whole runs of Locust against an endpoint, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from motel_locust.otlp.receiver_process import start_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
TOPOLOGY = ROOT / "topologies" / "four-services.yaml"
USERS = 10


@dataclass(frozen=True)
class Reached:
    """One run: what was asked for, what came, and what it cost.

    ``due`` is the integral of the rate over the time that was released; ``arrivals`` may differ
    from it by one for each user. ``cpu`` is in cores, of Locust's process alone, between the first
    third of the run and its end.
    """

    endpoint: str
    users: int
    asked_per_s: float
    elapsed_s: float
    due: float
    arrivals: int
    spans: int
    accepted: int
    lag_max_s: float
    cpu: float


def run(endpoint: str, host: str, per_s: float, *, seconds: float, users: int = USERS) -> Reached:
    """Run the four services at *per_s* traces per second in one headless Locust process."""
    with tempfile.TemporaryDirectory() as directory:
        summary = Path(directory) / "summary.json"
        command = [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "topology.py")),
            *("--topology", str(TOPOLOGY), "--host", host, "--headless", "--only-summary"),
            *("--users", str(users), "--spawn-rate", str(users)),
            *("--run-time", f"{seconds + 1:.0f}s", "--summary", str(summary)),
            *("--rate", f"{per_s:.0f}/s", "--rate-per", "cluster", "--max-loss", "1"),
        ]
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        cpu = _cpu(process, after_s=1 + seconds / 3, for_s=seconds / 2)
        process.wait()
        found = json.loads(summary.read_text())
    simulation, ledger = found["simulation"], found["ledger"]["traces"]
    elapsed_s = simulation["simulated_ms"] / 1000
    return Reached(
        endpoint=endpoint,
        users=users,
        asked_per_s=per_s,
        elapsed_s=elapsed_s,
        due=per_s * elapsed_s,
        arrivals=simulation["traces"],
        spans=ledger["generated"],
        accepted=ledger["accepted"],
        lag_max_s=found["lag_s"]["max"],
        cpu=cpu,
    )


def _cpu(process: subprocess.Popen[bytes], *, after_s: float, for_s: float) -> float:
    """Return the cores that *process* uses for *for_s* seconds, beginning *after_s* from now."""
    watched = psutil.Process(process.pid)
    time.sleep(after_s)
    before, began_s = watched.cpu_times(), time.monotonic()
    time.sleep(for_s)
    after, ended_s = watched.cpu_times(), time.monotonic()
    used_s = after.user + after.system - before.user - before.system
    return used_s / (ended_s - began_s)


@contextmanager
def receiver() -> Iterator[str]:
    """Run the built-in receiver; give its endpoint."""
    running = start_receiver()
    try:
        yield running.endpoint
    finally:
        running.stop()


@contextmanager
def collector(program: str) -> Iterator[str]:
    """Run the Collector *program* with the nop exporter; give its endpoint."""
    port, health = 14318, 14133
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"nop": {}},
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}},
        },
    }
    process = subprocess.Popen([program, "--config", f"yaml:{json.dumps(config)}"])
    try:
        _wait_for(f"http://127.0.0.1:{health}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str, *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
