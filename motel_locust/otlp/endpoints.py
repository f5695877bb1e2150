"""Where bodies go: the text of an endpoint, read into its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from motel_locust.otlp.ledger import Signal

Scheme = Literal["http", "https", "stdout", "file", "discard"]

OTLP_HTTP_PORT: Final = 4318
HTTPS_PORT: Final = 443
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
    """Path and query of the request, or the file's path."""

    @property
    def on_network(self) -> bool:
        """Whether bodies leave through a socket."""
        return self.scheme in ("http", "https")

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


def default_endpoint(signal: Signal) -> Endpoint:
    """Return where a collector listens when nobody says otherwise: plaintext on loopback."""
    return Endpoint("http", LOOPBACK, OTLP_HTTP_PORT, f"/v1/{signal}")


def parse_endpoint(text: str, signal: Signal, *, exact_path: bool) -> Endpoint:
    """Return the endpoint that *text* names for *signal*; raise ValueError saying what is wrong.

    Without a scheme it is plaintext HTTP. A missing port is 4318, as OTLP receivers have it, but
    443 for https://, where vendors publish addresses without one. ``/v1/<signal>`` is appended to
    the path, unless *exact_path*: a signal's own variable names the whole path, if it names one.
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
    return _on_network(scheme == "https", rest, signal, exact_path=exact_path)


def _on_network(tls: bool, rest: str, signal: Signal, *, exact_path: bool) -> Endpoint:
    # ``rest`` is never shown in a message: it may hold a password or a token.
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:  # a bracket without its partner, and the like
        raise ValueError(f"it is not an address; {FORMS}") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password cannot stand in an endpoint; send it as a header")
    if parts.fragment:
        raise ValueError('"#" has no meaning in an endpoint; leave it and what follows out')
    host, port = _host_and_port(parts.netloc)
    path = parts.path.rstrip("/")
    if not (exact_path and path):
        path = f"{path}/v1/{signal}"
    elif exact_path:
        path = parts.path
    if not re.fullmatch(r"[!-~]*", path + parts.query):
        raise ValueError("its path holds blanks or characters beyond ASCII; percent-encode them")
    return Endpoint(
        "https" if tls else "http",
        host,
        port or (HTTPS_PORT if tls else OTLP_HTTP_PORT),
        f"{path}?{parts.query}" if parts.query else path,
    )


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
