"""Endpoints behind TLS, and their certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gevent.ssl

from tests.oracles.scripted import Scripted

CERTIFICATE = Path(__file__).parent / "tls" / "certificate.pem"
KEY = CERTIFICATE.with_name("key.pem")

E = TypeVar("E", bound=Scripted)


def tls_server(
    kind: type[E],
    *script: Callable[[Any], None],
    alpn: str = "",
    asks_for_certificates: bool = False,
) -> E:
    """Return an endpoint behind TLS, which offers the protocol *alpn* if there is one."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    if alpn:
        context.set_alpn_protocols([alpn])
    if asks_for_certificates:
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_REQUIRED
    return kind(*script, ssl_context=context)


def https(endpoint: Scripted) -> str:
    """Return the URL of an endpoint behind TLS."""
    return endpoint.url.replace("http://127.0.0.1", "https://localhost")
