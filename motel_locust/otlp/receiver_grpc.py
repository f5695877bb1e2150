"""The built-in receiver's port for OTLP over gRPC."""

from __future__ import annotations

import errno
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from gevent.monkey import is_module_patched

from motel_locust.otlp.endpoints import METHODS
from motel_locust.otlp.quiet_grpc import grpc
from motel_locust.otlp.requests import CONTENT_BYTES, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    Take = Callable[[str, bytes], None]

THREADS: Final = 2
"""Calls that are read at once. It is all work of one interpreter, so more only take turns."""
STOP_S: Final = 1.0
"""For calls under way when the port closes."""


class GrpcPort:
    """A server of the three Export services, in threads beside the event loop.

    What is larger than CONTENT_BYTES is refused by grpcio, before anything of ours sees it.

    Args:
        host: Name or address to listen on.
        port: Port to listen on, 0 for a free one.
        take: Counts a request: the path that it has over HTTP, and its content. It raises Refusal,
            and is called in threads.
    """

    def __init__(self, host: str, port: int, take: Take) -> None:
        self.address = (host, port)
        """Where it listens; once it has started, the port is never 0."""
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS),
            handlers=[_Services(take)],
            options=[
                ("grpc.max_receive_message_length", CONTENT_BYTES),
                ("grpc.so_reuseport", 0),  # else a port that is taken is shared, not refused
            ],
        )

    @property
    def endpoint(self) -> str:
        """The address to send to, as ``--host`` takes it."""
        return f"http://{_authority(*self.address)}"

    def start(self) -> None:
        """Begin to listen; raise OSError if the address is taken or not ours."""
        if is_module_patched("threading"):
            raise RuntimeError("grpcio's server needs real threads: start the receiver unpatched")
        # grpcio does not say why it cannot listen; the operating system does.
        host, port = self.address
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server((host, port), family=family):
            pass
        try:
            self.address = host, self._server.add_insecure_port(_authority(host, port))
        except RuntimeError:  # taken in between
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from None
        self._server.start()

    def stop(self) -> None:
        """Stop listening, and wait for the calls under way."""
        self._server.stop(STOP_S).wait()


class _Services(grpc.GenericRpcHandler):
    """The Export methods of all signals, in bytes."""

    def __init__(self, take: Take) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            method: grpc.unary_unary_rpc_method_handler(_export(f"/v1/{signal}", take))
            for signal, method in METHODS.items()
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Return the handler of a call, None where there is no such method."""
        return self._handlers.get(handler_call_details.method)


def _export(path: str, take: Take) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(content: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            take(path, content)
        except Refusal as refusal:
            # The only one that is left to come: grpcio has seen to size and compression.
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, refusal.message)
        return b""  # a full success is an Export…ServiceResponse without any field

    return export


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
