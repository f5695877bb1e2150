"""Bodies of requests: encoded spans, metrics or log records under their service's resource.

ExportTraceServiceRequest
  resource_spans: one for each service
    resource
    scope_spans: one
      scope
      spans

The requests of metrics and logs have other names and the same field numbers, so their bodies are
built in the same way: ``resource_metrics``, ``scope_metrics``, ``metrics``; ``resource_logs``,
``scope_logs``, ``log_records``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from motel_locust import __version__
from motel_locust.otlp.attributes import key_values
from motel_locust.otlp.wire import field_tag, varint, varint_width

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from motel_locust.engine.recorded import RecordedAttributes
    from motel_locust.otlp.parcels import Parcel

NAME = "motel-locust"
"""Of our scope, and of the SDK that a resource names."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a service's items in a body; the same for all signals."""

    resource: bytes  # the field ResourceSpans.resource
    scope: bytes  # the field ScopeSpans.scope

    OF_RESOURCE: ClassVar = field_tag(ExportTraceServiceRequest(resource_spans=[ResourceSpans()]))
    OF_SCOPE: ClassVar = field_tag(ResourceSpans(scope_spans=[ScopeSpans()]))

    def before(self, size: int) -> bytes:
        """Return everything that stands before *size* bytes of items."""
        scope = self.OF_SCOPE + varint(len(self.scope) + size) + self.scope
        length = len(self.resource) + len(scope) + size
        return self.OF_RESOURCE + varint(length) + self.resource + scope

    def with_items(self, size: int) -> int:
        """Return how many bytes *size* bytes of items and all that stands before them are."""
        for tag, field in ((self.OF_SCOPE, self.scope), (self.OF_RESOURCE, self.resource)):
            size += len(field)
            size += len(tag) + varint_width(size)
        return size


class Heads(Protocol):
    """What stands around the items of every service in a body."""

    def size(self, sizes: Mapping[str, int]) -> int:
        """Return the bytes of a body whose items have *sizes*, by service."""

    def enclose(
        self, pieces: Mapping[str, Sequence[memoryview]], sizes: Mapping[str, int]
    ) -> bytes:
        """Return the body with *pieces* of items, which have *sizes*; both by service."""


class ProtobufHeads:
    """The heads of bodies in protobuf, by service."""

    def __init__(self, heads: Mapping[str, Head]) -> None:
        self._heads = heads

    def size(self, sizes: Mapping[str, int]) -> int:
        """See :class:`Heads`."""
        return sum(self._heads[service].with_items(size) for service, size in sizes.items())

    def enclose(
        self, pieces: Mapping[str, Sequence[memoryview]], sizes: Mapping[str, int]
    ) -> bytes:
        """See :class:`Heads`."""
        body: list[bytes | memoryview] = []
        for service, items in pieces.items():
            body.append(self._heads[service].before(sizes[service]))
            body += items
        return b"".join(body)


def encode_heads(
    resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str]
) -> ProtobufHeads:
    """Return the heads of all services; the arguments are those of `resource_messages`."""
    scope = ScopeSpans(scope=scope_message()).SerializeToString()
    return ProtobufHeads(
        {
            service: Head(ResourceSpans(resource=resource).SerializeToString(), scope)
            for service, resource in resource_messages(resources, environment).items()
        }
    )


def scope_message() -> InstrumentationScope:
    """Return the scope of everything that is generated."""
    return InstrumentationScope(
        name=NAME,
        version=__version__,
        attributes=key_values({"motel.synthetic": True}),
    )


def resource_messages(
    resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str]
) -> dict[str, Resource]:
    """Return the resource of every service.

    Args:
        resources: each service's own resource attributes, by the service's name or, where recorded
            spans tell several of a service apart, by that of the resource.
        environment: resource attributes for all services, as OTEL_RESOURCE_ATTRIBUTES lists them. A
            service's own win over these; its name and our version win over all.
    """
    found = {}
    for service, own in resources.items():
        attributes = {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": NAME,
            "telemetry.sdk.version": __version__,
            **environment,
            "service.name": service,
            **own,
            "motel.version": __version__,
        }
        found[service] = Resource(attributes=key_values(attributes))
    return found


class BodyBuilder:
    """Collects parcels into one body; *heads* know how it is written, as do the parcels."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._pieces: dict[str, list[memoryview]] = {}
        self._sizes: dict[str, int] = {}
        self.items = 0

    @property
    def size(self) -> int:
        """The bytes of the body as it stands: what `build` would return."""
        return self._heads.size(self._sizes)

    def add(self, parcel: Parcel) -> None:
        """Add the items of *parcel*."""
        for service, pieces in parcel.pieces.items():
            self._pieces.setdefault(service, []).extend(pieces)
            self._sizes[service] = self._sizes.get(service, 0) + sum(map(len, pieces))
        self.items += parcel.items

    def build(self) -> bytes:
        """Return the body: one complete request of its signal, every service in it once."""
        return self._heads.enclose(self._pieces, self._sizes)
