"""How bodies leave the process: the only modules here that wait on a network."""

from motel_locust.otlp.transports.probe import Unreachable, check_reachable
from motel_locust.otlp.transports.transport import Transport, open_transport

__all__ = ["Transport", "Unreachable", "check_reachable", "open_transport"]
