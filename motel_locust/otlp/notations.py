"""The two ways in which bodies are written, protobuf and OTLP JSON, and which one is for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from motel_locust.otlp.settings import Settings

Notation: TypeAlias = Literal["protobuf", "json"]
"""What bodies are when they are offered. JSON comes as whole lines, each with its end."""


def notation_of(settings: Settings) -> Notation:
    """Return the notation that is cheapest for what is generated and goes where *settings* say.

    Lines are JSON, so spans and log records are encoded as that from the start. Data points, and
    what was recorded, are protobuf for all endpoints; the transport rewrites it for lines.
    """
    lines = settings.endpoint.scheme in ("stdout", "file")
    return "json" if lines and settings.signal != "metrics" else "protobuf"
