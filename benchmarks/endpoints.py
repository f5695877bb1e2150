"""Where runs send: nowhere, the built-in receiver, a real Collector; each a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from motel_locust.otlp.receiver_process import start_receiver
from motel_locust.otlp.settings import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

HTTP, GRPC = PROTOCOLS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint."""

    name: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    """What ``--host`` takes, by protocol."""
    pid: int = 0
    """Its process; 0 where there is none."""


DISCARD = Endpoint("discard://", {HTTP: "discard://"})
STDOUT = Endpoint("stdout://", {HTTP: "stdout://"})
RECEIVER, COLLECTOR = "receiver", "Collector"


def networked() -> list[str]:
    """Return the names of the endpoints with a process of their own that can be had here.

    The Collector is the one that OTELCOL names.
    """
    return [RECEIVER, *([COLLECTOR] if os.environ.get("OTELCOL") else [])]


def running(name: str) -> AbstractContextManager[Endpoint]:
    """Run the endpoint called *name*, one of :func:`networked`."""
    return _receiver() if name == RECEIVER else _collector(os.environ["OTELCOL"])


@contextmanager
def _receiver() -> Iterator[Endpoint]:
    receiver = start_receiver()
    addresses = {protocol: receiver.endpoint_for(protocol) for protocol in PROTOCOLS}
    try:
        yield Endpoint(RECEIVER, addresses, receiver.pid)
    finally:
        receiver.stop()


@contextmanager
def _collector(program: str) -> Iterator[Endpoint]:
    """Run the Collector *program* with the nop exporter."""
    http, grpc, health = (f"127.0.0.1:{free_port()}" for _ in range(3))
    protocols = {"http": {"endpoint": http}, "grpc": {"endpoint": grpc}}
    config = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {"nop": {}},
        "extensions": {"health_check": {"endpoint": health}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}},
        },
    }
    process = subprocess.Popen([program, "--config", f"yaml:{json.dumps(config)}"])
    try:
        _wait_for(f"http://{health}/", process)
        yield Endpoint(COLLECTOR, {HTTP: f"http://{http}", GRPC: f"http://{grpc}"}, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=10)


def free_port() -> int:
    """Return a loopback port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(url: str, process: subprocess.Popen[bytes], *, within_s: float = 20) -> None:
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
        else:
            return
