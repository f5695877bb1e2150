"""The resource attributes that a person gives to every service."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from motel_locust.otlp.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def resource_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that OTEL_RESOURCE_ATTRIBUTES gives to every service.

    They are written ``key=value,key=value`` and percent-encoded, as the specification of the
    OpenTelemetry resource SDK has it. Raises SettingsError.
    """
    attributes = {}
    for place, part in enumerate(environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","), start=1):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if part.strip():
            if not name or not equals:
                raise SettingsError(f"OTEL_RESOURCE_ATTRIBUTES: part {place} is not key=value")
            attributes[unquote(name)] = unquote(value)
    return attributes
