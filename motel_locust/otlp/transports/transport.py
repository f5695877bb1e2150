"""What the exporter needs of a way out, and which one belongs to which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from motel_locust.otlp.transports.discard import DiscardTransport
from motel_locust.otlp.transports.http import HttpTransport
from motel_locust.otlp.transports.lines import LinesTransport

if TYPE_CHECKING:
    from motel_locust.otlp.delivery import Answer
    from motel_locust.otlp.notations import Notation
    from motel_locust.otlp.settings import Settings


class Transport(Protocol):
    """A way out for bodies; several greenlets may send at once."""

    def send(self, content: bytes, items: int) -> Answer:
        """Send *content*, one OTLP request of *items* items, once; return what became of it.

        Whatever the endpoint does is an answer. What is raised is a bug of ours, or the end of the
        greenlet; connections survive both.
        """

    def close(self) -> None:
        """Let go of connections and files; closing twice is harmless."""


def open_transport(settings: Settings, notation: Notation = "protobuf") -> Transport:
    """Return the transport of *settings* for bodies in *notation*, one that the endpoint takes.

    Raises:
        SettingsError: A certificate, key or file cannot be used, or a compression is not installed.
    """
    match settings.endpoint.scheme:
        case "discard":
            return DiscardTransport()
        case "stdout" | "file":
            return LinesTransport.open(settings, notation)
        case "http" | "https" if settings.protocol == "grpc":
            # Only here, as grpcio takes 30 ms and 11 MB to import.
            from motel_locust.otlp.transports.grpc import GrpcTransport

            return GrpcTransport(settings)
        case "http" | "https":
            return HttpTransport(settings)
