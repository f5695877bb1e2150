"""The built-in receiver in a process of its own, so that it takes no time from the generator.

The child says its endpoints in its first line, and its final report in its last. It lives as long
as its standard input stays open, so it ends with its parent however that ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from motel_locust.otlp.endpoints import Protocol

STOP_S: Final = 10.0
"""The child's time to end; then it is killed."""


class ReceiverError(RuntimeError):
    """The receiver's process did not start."""


@dataclass(frozen=True, slots=True)
class RunningReceiver:
    """A receiver that runs in a process of its own."""

    endpoint: str
    """The address to send to over HTTP, as ``--host`` takes it."""
    grpc_endpoint: str
    """The address to send to over gRPC."""
    process: subprocess.Popen[str]

    def endpoint_for(self, protocol: Protocol) -> str:
        """Return the address to send to over *protocol*."""
        return self.grpc_endpoint if protocol == "grpc" else self.endpoint

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    def report(self) -> dict[str, Any]:
        """Return the report so far; the keys are those of ``tally.Report``."""
        connection = HTTPConnection(urlsplit(self.endpoint).netloc, timeout=STOP_S)
        try:
            connection.request("GET", "/")
            return cast("dict[str, Any]", json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def stop(self) -> dict[str, Any] | None:
        """End the process; return its final report, None if it had ended before."""
        if self.process.poll() is not None:
            return None
        try:
            last, _ = self.process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        return cast("dict[str, Any]", json.loads(last)) if last else None


def start_receiver(host: str = "127.0.0.1", port: int = 0, grpc_port: int = 0) -> RunningReceiver:
    """Start a receiver in a process of its own; return when it listens.

    Raises:
        ReceiverError: It does not listen, such as when a port is taken.
    """
    child = (sys.executable, "-m", "motel_locust.otlp.receiver_process")
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [*child, host, str(port), str(grpc_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C goes to every process of a terminal; this one is still needed for the drain.
        start_new_session=True,
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline() or "{}")
    if "endpoint" not in first:
        process.kill()
        process.communicate()
        raise ReceiverError(
            f"the built-in receiver does not listen on {first.get('address', host)}:"
            f" {first.get('error', 'its process ended')}"
        )
    return RunningReceiver(first["endpoint"], first["grpc_endpoint"], process)


def main(host: str, port: str, grpc_port: str) -> None:
    """Be the child: receive until standard input ends."""
    # Not above: the parent, which imports this module, may not have patched yet.
    import gevent.os

    from motel_locust.otlp.receiver import Receiver

    def say(what: dict[str, Any]) -> None:
        # A parent that was killed reads nothing any more.
        with suppress(BrokenPipeError):
            sys.stdout.write(f"{json.dumps(what)}\n")
            sys.stdout.flush()

    receiver = Receiver(host, int(port), grpc_port=int(grpc_port))
    try:
        receiver.start()
    except OSError as error:
        say({"address": error.filename, "error": error.strerror})
        return
    say({"endpoint": receiver.endpoint, "grpc_endpoint": receiver.grpc_endpoint})
    gevent.os.make_nonblocking(sys.stdin.fileno())
    while gevent.os.nb_read(sys.stdin.fileno(), 1024):
        pass
    say(receiver.stop().as_dict())


if __name__ == "__main__":
    main(*sys.argv[1:])
