"""The resource attributes of services and their instances, and those that all of them get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from uuid import UUID, uuid5

from motel_locust.engine.instances import parse_owner
from motel_locust.otlp.settings import SettingsError
from motel_locust.topology.instances import INSTANCE_ID
from motel_locust.topology.placeholders import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.topology.model import Topology

INSTANCES: Final = UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")
"""The namespace that the semantic conventions give to instance ids made of other facts,
https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/#service-attributes."""


class ServiceResources(dict[str, dict[str, str]]):
    """The resource attributes of every service, and of each instance that is asked for.

    By the name of the service; those of instances by what
    :func:`~motel_locust.engine.instances.owner_of` returns.

    Args:
        topology: has the services.
        seed: with *name*, makes the ids of instances; the same ones in every process.
        name: the engine's.
    """

    def __init__(self, topology: Topology, *, seed: int, name: str = "") -> None:
        super().__init__(
            {name: dict(each.resource_attributes) for name, each in topology.services.items()}
        )
        self._services, self._run = topology.services, f"{seed} {name}"

    def __missing__(self, owner: str) -> dict[str, str]:
        service, resource = parse_owner(owner)
        instances = self._services[service].instances
        assert instances is not None, "only services with instances have several resources"
        restart, index = divmod(resource, instances.count)
        made = str(uuid5(INSTANCES, f"{self._run} {service} {index} {restart}"))
        shown = {"n": str(index + 1), "restart": str(restart), "id": made[:8]}
        own = {
            key: PLACEHOLDER.sub(lambda found: shown[found[1]], value)
            for key, value in self._services[service].instance_attributes.items()
        }
        return {**self[service], "service.name": service, INSTANCE_ID: made, **own}


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
