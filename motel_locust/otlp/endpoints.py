"""Where bodies go: the text of an endpoint, read into its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.ledger import Signal

Scheme = Literal["http", "https", "stdout", "file", "discard"]
Protocol = Literal["http/protobuf", "grpc"]

PORTS: Final[Mapping[Protocol, int]] = {"http/protobuf": 4318, "grpc": 4317}
"""Where OTLP receivers listen."""
HTTPS_PORT: Final = 443
METHODS: Final[Mapping[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
"""The full name of each signal's gRPC method."""
LOOPBACK: Final = "localhost"
FORMS: Final = "write host:port, http://, https://, stdout://, file://PATH or discard://"

_HOST: Final = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of one signal."""

    scheme: Scheme
    host: str = ""
    """Host name or address, an IPv6 address without its brackets."""
    port: int = 0
    path: str = ""
    """Path and query of the request, empty for gRPC; or the file's path."""

    @property
    def on_network(self) -> bool:
        """Whether bodies leave through a socket."""
        return self.scheme in ("http", "https")

    @property
    def query(self) -> str:
        """What follows the path of the request, which may hold a token."""
        return self.path.partition("?")[2] if self.on_network else ""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.on_network:
            return f"{self.scheme}://{self.authority}{self.path}"
        return f"{self.scheme}://{self.path}"


def default_endpoint(signal: Signal, protocol: Protocol) -> Endpoint:
    """Return where a collector listens when nobody says otherwise: plaintext on loopback."""
    path = "" if protocol == "grpc" else f"/v1/{signal}"
    return Endpoint("http", LOOPBACK, PORTS[protocol], path)


def parse_endpoint(text: str, signal: Signal, protocol: Protocol, *, exact_path: bool) -> Endpoint:
    """Return the endpoint that *text* names for *signal*; raise ValueError saying what is wrong.

    Without a scheme it is plaintext. A missing port is that of PORTS, as OTLP receivers have it,
    but 443 for https://, where vendors publish addresses without one. Over HTTP ``/v1/<signal>`` is
    appended to the path, unless *exact_path*: a signal's own variable names the whole path, if it
    names one. gRPC has no path.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    scheme = scheme.lower()
    if scheme in ("stdout", "discard"):
        if rest:
            raise ValueError(f'"{scheme}://" takes nothing after it; write {scheme}://')
        return Endpoint("stdout" if scheme == "stdout" else "discard")
    if scheme == "file":
        if not rest:
            raise ValueError(
                '"file://" names no file; write file://PATH, such as file:///tmp/a.json'
            )
        return Endpoint("file", path=rest)
    if scheme not in ("http", "https"):
        raise ValueError(f'"{scheme}://" is not known; {FORMS}')
    parts = _parts(rest)
    host, port = _host_and_port(parts.netloc)
    path = _no_path(parts) if protocol == "grpc" else _path(parts, signal, exact_path=exact_path)
    default_port = HTTPS_PORT if scheme == "https" else PORTS[protocol]
    return Endpoint("https" if scheme == "https" else "http", host, port or default_port, path)


def _parts(rest: str) -> SplitResult:
    """Return the parts of what follows the scheme."""
    # ``rest`` is never shown in a message: it may hold a password or a token.
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:  # a bracket without its partner, and the like
        raise ValueError(f"it is not an address; {FORMS}") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password cannot stand in an endpoint; send it as a header")
    if parts.fragment:
        raise ValueError('"#" has no meaning in an endpoint; leave it and what follows out')
    return parts


def _no_path(parts: SplitResult) -> str:
    """Return the path of an endpoint of gRPC, where the service's name is the path."""
    if parts.path.strip("/") or parts.query:
        raise ValueError(
            "gRPC has no path; leave out what follows host and port, or use http/protobuf"
        )
    return ""


def _path(parts: SplitResult, signal: Signal, *, exact_path: bool) -> str:
    """Return path and query of requests over HTTP."""
    path = parts.path.rstrip("/")
    if not (exact_path and path):
        path = f"{path}/v1/{signal}"
    elif exact_path:
        path = parts.path
    if not re.fullmatch(r"[!-~]*", path + parts.query):
        raise ValueError("its path holds blanks or characters beyond ASCII; percent-encode them")
    return f"{path}?{parts.query}" if parts.query else path


def _host_and_port(netloc: str) -> tuple[str, int | None]:
    """Return host and port of ``host``, ``host:port``, ``[address]`` or ``[address]:port``."""
    if netloc.count(":") > 1 and not netloc.startswith("["):
        raise ValueError(
            f'"{netloc}" has more than one colon; write an IPv6 address in brackets, as [::1]:4318'
        )
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not colon:
        host = netloc
    if not host:
        raise ValueError(f"it names no host; {FORMS}")
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{host}" is not a host name or address; {FORMS}')
    if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f'"{port}" is not a port; write a number from 1 to 65535')
    return host.strip("[]"), int(port) if colon else None
