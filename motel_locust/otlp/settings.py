"""Flags and OTEL_EXPORTER_OTLP_* variables, resolved to the settings of one signal. No I/O.

Each setting is looked for on its own: flag, variable of the signal, general variable, default. The
first source that says something replaces the others whole; a variable that is blank says nothing,
a flag that is given is final, even if empty. The variables are those of the OpenTelemetry
specification, "OTLP Exporter Configuration".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast
from urllib.parse import unquote

from motel_locust.otlp.endpoints import Endpoint, Protocol, default_endpoint, parse_endpoint
from motel_locust.topology.quantities import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.ledger import Signal

Compression = Literal["none", "gzip", "zstd"]
Headers = tuple[tuple[str, str], ...]

PROTOCOLS: Final = ("http/protobuf", "grpc")
COMPRESSIONS: Final = ("none", "gzip", "zstd")
DEFAULT: Final = "default"
"""The source of a setting that nobody set."""


class SettingsError(ValueError):
    """Settings that cannot be used: the option or variable, what is wrong, what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where a flag was not given.

    ``style`` decides what messages call the flags: ``--host`` and ``--otlp-timeout`` under Locust,
    ``--endpoint`` and ``--timeout`` for the ``motel-locust`` commands.
    """

    endpoint: str | None = None
    protocol: str | None = None
    headers: str | None = None
    insecure: bool | None = None
    timeout: str | None = None
    compression: str | None = None
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    style: Literal["locust", "command"] = "locust"

    def name(self, setting: str) -> str:
        """Return the flag of *setting* as a person types it."""
        if self.style == "locust" and setting == "endpoint":
            return "--host"
        prefix = "--otlp-" if self.style == "locust" else "--"
        return prefix + setting.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one signal is delivered, and who said so."""

    signal: Signal
    endpoint: Endpoint
    protocol: Protocol = "http/protobuf"
    """How bodies leave on a network; without meaning where there is none."""
    headers: Headers = field(default=(), repr=False)  # they hold secrets
    timeout_s: float = 10.0
    """For one attempt, from connecting to the last byte of the answer."""
    compression: Compression = "none"
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """Setting to the flag or variable that it came from, or ``"default"``."""

    @property
    def endpoint_is_default(self) -> bool:
        """Whether nobody named an endpoint, so that the built-in receiver may stand in."""
        return self.source("endpoint") == DEFAULT

    @property
    def over_grpc(self) -> bool:
        """Whether bodies leave as calls of gRPC."""
        return self.endpoint.on_network and self.protocol == "grpc"

    def source(self, setting: str) -> str:
        """Return who set *setting*: a flag, a variable or ``"default"``."""
        return self.sources.get(setting, DEFAULT)


class Given(NamedTuple):
    """A text and where it was found."""

    text: str
    source: str
    from_flag: bool
    of_signal: bool
    """Whether it stood in the signal's own variable."""


def resolve(flags: Flags, environ: Mapping[str, str], signal: Signal = "traces") -> Settings:
    """Return the settings of *signal*; raise SettingsError for the first that cannot be used."""
    found = {name: _find(name, flags, environ, signal) for name in SETTINGS}
    protocol = _protocol(found["protocol"])
    settings = Settings(
        signal,
        _endpoint(found["endpoint"], signal, protocol),
        protocol,
        headers=_headers(found["headers"]),
        timeout_s=_timeout_s(found["timeout"]),
        compression=_compression(found["compression"]),
        certificate=_text(found["certificate"]),
        client_certificate=_text(found["client_certificate"]),
        client_key=_text(found["client_key"]),
        sources={name: given.source for name, given in found.items() if given and given.text},
    )
    _check_security(settings, found)
    if settings.over_grpc:
        return _as_grpc_has_it(settings)
    return settings


SETTINGS: Final = (
    "endpoint",
    "protocol",
    "headers",
    "insecure",
    "timeout",
    "compression",
    "certificate",
    "client_certificate",
    "client_key",
)


def _find(setting: str, flags: Flags, environ: Mapping[str, str], signal: Signal) -> Given | None:
    value = getattr(flags, setting)
    if value is not None:
        text = str(value).lower() if isinstance(value, bool) else value.strip()
        return Given(text, flags.name(setting), from_flag=True, of_signal=False)
    for infix in (f"{signal.upper()}_", ""):
        variable = f"OTEL_EXPORTER_OTLP_{infix}{setting.upper()}"
        text = environ.get(variable, "").strip()
        if text:
            return Given(text, variable, from_flag=False, of_signal=bool(infix))
    return None


def _protocol(given: Given | None) -> Protocol:
    if given is None or not given.text:
        return "http/protobuf"
    if given.text not in PROTOCOLS:
        raise SettingsError(
            f'{given.source}: "{given.text}" is not a protocol; use {" or ".join(PROTOCOLS)}'
        )
    return cast("Protocol", given.text)


def _endpoint(given: Given | None, signal: Signal, protocol: Protocol) -> Endpoint:
    if given is None or not given.text:
        return default_endpoint(signal, protocol)
    try:
        return parse_endpoint(given.text, signal, protocol, exact_path=given.of_signal)
    except ValueError as error:
        raise SettingsError(f"{given.source}: {error}") from None


# RFC 9110, section 5.6.2 (token) and 5.5 (field value, without the obsolete forms).
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    (
        *("connection", "content-encoding", "content-length", "content-type", "expect"),
        *("host", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers that describe the request itself, so that another value would break it."""


def _headers(given: Given | None) -> Headers:
    """Return the headers of ``key=value,key=value``; values of variables are percent-decoded.

    Messages give the place of a header, never its value, which is a secret as a rule.
    """
    if given is None:
        return ()
    headers: dict[str, tuple[str, str]] = {}
    for place, part in enumerate(given.text.split(","), start=1):
        if not part.strip():
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise SettingsError(f"{given.source}: header {place} is not key=value")
        if not given.from_flag:
            name, value = unquote(name), unquote(value)
        if not _FIELD_NAME.fullmatch(name):
            raise SettingsError(
                f"{given.source}: the name of header {place} holds characters that HTTP does not"
                " allow; use letters, digits and hyphens"
            )
        if not _FIELD_VALUE.fullmatch(value):
            raise SettingsError(
                f'{given.source}: the value of header "{name}" holds characters that HTTP does not'
                " allow, such as a line break; leave them out"
            )
        if name.lower() in _OURS:
            raise SettingsError(f'{given.source}: header "{name}" is set by the exporter itself')
        headers[name.lower()] = (name, value)  # the last one wins, as in a dictionary
    return tuple(headers.values())


def _timeout_s(given: Given | None) -> float:
    if given is None or not given.text:
        return 10.0
    text = given.text
    # The specification gives variables in milliseconds; a flag always has its unit.
    if not given.from_flag and text.isascii() and text.isdecimal():
        text += "ms"
    try:
        timeout_ns = parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"{given.source}: {error}") from None
    if timeout_ns <= 0:
        raise SettingsError(f"{given.source}: {given.text} is no time to answer; write 10s")
    return timeout_ns / 1_000_000_000


def _compression(given: Given | None) -> Compression:
    if given is None or not given.text:
        return "none"
    if given.text not in COMPRESSIONS:
        raise SettingsError(
            f'{given.source}: "{given.text}" is not a compression; use {", ".join(COMPRESSIONS)}'
        )
    return cast("Compression", given.text)


_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "true"), True),
    **dict.fromkeys(("0", "f", "false", ""), False),
}


def _check_security(settings: Settings, found: Mapping[str, Given | None]) -> None:
    """Raise SettingsError where settings of TLS contradict the endpoint or each other."""
    insecure = found["insecure"]
    if insecure is not None:
        if insecure.text.lower() not in _BOOLEANS:
            raise SettingsError(
                f'{insecure.source}: "{insecure.text}" is not a yes or no; write true or false'
            )
        if _BOOLEANS[insecure.text.lower()] and settings.endpoint.tls:
            raise SettingsError(
                f"{insecure.source} asks for plaintext, {settings.source('endpoint')} for https://;"
                " leave one out, or write http://"
            )
    for name in ("certificate", "client_certificate", "client_key"):
        given = found[name]
        if given and given.text and given.from_flag and not settings.endpoint.tls:
            raise SettingsError(
                f"{given.source} is for TLS, but {settings.endpoint} has none; write https://"
            )
    if settings.client_key and not settings.client_certificate:
        raise SettingsError(
            f"{settings.source('client_key')}: a client key needs its client certificate too"
        )


# gRPC's PROTOCOL-HTTP2.md, "Custom-Metadata": names are lower-case on the wire, those that begin
# with grpc- are gRPC's own, and those that end in -bin have binary values.
_METADATA_NAME: Final = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")
_METADATA_VALUE: Final = re.compile(r"[\x20-\x7e]*")


def _as_grpc_has_it(settings: Settings) -> Settings:
    """Return *settings* with headers as metadata; raise SettingsError for what gRPC cannot do."""
    if settings.compression == "zstd":
        raise SettingsError(
            f"{settings.source('compression')}: gRPC cannot compress with zstd; use gzip or none,"
            " or http/protobuf"
        )
    for name, value in settings.headers:
        if not _METADATA_NAME.fullmatch(name.lower()):
            raise SettingsError(
                f'{settings.source("headers")}: header "{name}" cannot be sent over gRPC; use'
                " letters, digits, hyphens, dots and underscores, no grpc- in front, no -bin at the"
                " end"
            )
        if not _METADATA_VALUE.fullmatch(value):
            raise SettingsError(
                f'{settings.source("headers")}: the value of header "{name}" holds characters that'
                " gRPC does not allow; use printable ASCII"
            )
    return replace(
        settings, headers=tuple((name.lower(), value) for name, value in settings.headers)
    )


def _text(given: Given | None) -> str | None:
    return given.text if given and given.text else None
