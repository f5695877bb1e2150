"""Bodies of requests: encoded spans, metrics or log records under their service's resource.

ExportTraceServiceRequest
  resource_spans: one for each service, or each of its resources where it has several
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
from typing import TYPE_CHECKING, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from motel_locust import __version__
from motel_locust.otlp.attributes import key_values
from motel_locust.otlp.wire import field_tag, varint, varint_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.recorded import RecordedAttributes
    from motel_locust.otlp.parcels import Parcel

NAME = "motel-locust"
"""Of our scope, and of the SDK that a resource names."""
MOST_HEADS = 20_000


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


def encode_heads(
    resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str]
) -> Mapping[str, Head]:
    """Return the head of every service, or resource; each is made when it is first asked for.

    Args:
        resources: each service's own resource attributes, by the service's name or, where it has
            several resources, by that of the resource.
        environment: resource attributes for all services, as OTEL_RESOURCE_ATTRIBUTES lists them. A
            service's own win over these; its name and our version win over all.
    """
    return _Heads(resources, environment)


class _Heads(dict[str, Head]):
    """What :func:`encode_heads` returns."""

    def __init__(
        self, resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._resources, self._environment = resources, environment
        scope = InstrumentationScope(
            name=NAME,
            version=__version__,
            attributes=key_values({"motel.synthetic": True}),
        )
        self._scope = ScopeSpans(scope=scope).SerializeToString()

    def __missing__(self, owner: str) -> Head:
        attributes = {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": NAME,
            "telemetry.sdk.version": __version__,
            **self._environment,
            "service.name": owner,
            **self._resources[owner],
            "motel.version": __version__,
        }
        resource = Resource(attributes=key_values(attributes))
        head = Head(ResourceSpans(resource=resource).SerializeToString(), self._scope)
        if len(self) >= MOST_HEADS:
            del self[next(iter(self))]  # the oldest: resources come and go
        self[owner] = head
        return head


class BodyBuilder:
    """Collects parcels into one body; *heads* are those of their owners.

    Attributes:
        items: how many there are.
        size: the bytes of the body as it stands: what `build` would return.
    """

    def __init__(self, heads: Mapping[str, Head]) -> None:
        self._heads = heads
        self._pieces: dict[str, list[memoryview]] = {}
        self._sizes: dict[str, int] = {}
        self.items = self.size = 0

    def add(self, parcel: Parcel) -> None:
        """Add the items of *parcel*."""
        for owner, pieces in parcel.pieces.items():
            head, before = self._heads[owner], self._sizes.get(owner)
            if before is None:
                self._pieces[owner] = list(pieces)
                size = sum(map(len, pieces))
            else:
                self._pieces[owner] += pieces
                size = before + sum(map(len, pieces))
                self.size -= head.with_items(before)
            self._sizes[owner] = size
            self.size += head.with_items(size)
        self.items += parcel.items

    def build(self) -> bytes:
        """Return the body: one complete request of its signal, every resource in it once."""
        body: list[bytes | memoryview] = []
        for owner, pieces in self._pieces.items():
            body.append(self._heads[owner].before(self._sizes[owner]))
            body += pieces
        return b"".join(body)
