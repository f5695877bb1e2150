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
MOST_HEADS = 20_000
MOST_BYTES = 1 << 31
"""Of a request: protobuf has none above this."""


class AnyHead(Protocol):
    """What stands around a service's items in a body."""

    @property
    def most(self) -> int:
        """The most bytes that stand around a service's items, however many these are."""

    def enclose(self, pieces: Sequence[memoryview]) -> list[bytes | memoryview]:
        """Return *pieces* of items, at least one, with all that stands around them."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a service's items in protobuf; the same for all signals."""

    resource: bytes  # the field ResourceSpans.resource
    scope: bytes  # the field ScopeSpans.scope

    OF_RESOURCE: ClassVar = field_tag(ExportTraceServiceRequest(resource_spans=[ResourceSpans()]))
    OF_SCOPE: ClassVar = field_tag(ResourceSpans(scope_spans=[ScopeSpans()]))
    LENGTHS: ClassVar = len(OF_RESOURCE) + len(OF_SCOPE) + 2 * varint_width(MOST_BYTES)

    def before(self, size: int) -> bytes:
        """Return everything that stands before *size* bytes of items."""
        scope = self.OF_SCOPE + varint(len(self.scope) + size) + self.scope
        length = len(self.resource) + len(scope) + size
        return self.OF_RESOURCE + varint(length) + self.resource + scope

    @property
    def most(self) -> int:
        """See :class:`AnyHead`."""
        return len(self.resource) + len(self.scope) + self.LENGTHS

    def enclose(self, pieces: Sequence[memoryview]) -> list[bytes | memoryview]:
        """See :class:`AnyHead`."""
        return [self.before(sum(map(len, pieces))), *pieces]


class Heads(dict[str, AnyHead]):
    """The heads of all services, or resources; each is made when it is first asked for.

    Args:
        resources: each service's own resource attributes, by the service's name or, where it has
            several resources, by that of the resource.
        environment: resource attributes for all services, as OTEL_RESOURCE_ATTRIBUTES lists them. A
            service's own win over these; its name and our version win over all.
    """

    def __init__(
        self, resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._resources, self._environment = resources, environment
        self.frame = 0  # bytes around all of a body
        self.scope = InstrumentationScope(
            name=NAME,
            version=__version__,
            attributes=key_values({"motel.synthetic": True}),
        )

    def make(self, resource: Resource) -> AnyHead:
        """Return the head of *resource*."""
        return Head(
            ResourceSpans(resource=resource).SerializeToString(),
            ScopeSpans(scope=self.scope).SerializeToString(),
        )

    def join(self, parts: Sequence[bytes | memoryview]) -> bytes:
        """Return *parts*, some of what heads enclose, as a body."""
        return b"".join(parts)

    def __missing__(self, owner: str) -> AnyHead:
        attributes = {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": NAME,
            "telemetry.sdk.version": __version__,
            **self._environment,
            "service.name": owner,
            **self._resources[owner],
            "motel.version": __version__,
        }
        head = self.make(Resource(attributes=key_values(attributes)))
        if len(self) >= MOST_HEADS:
            del self[next(iter(self))]  # the oldest: resources come and go
        self[owner] = head
        return head


class BodyBuilder:
    """Collects parcels into one body; *heads* are those of their owners.

    Heads and parcels are in the same notation.

    Attributes:
        items: how many there are.
        size: the most bytes that the body has as it stands; some are those of lengths, which are
            known when it is built.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._sections: dict[str, list[memoryview]] = {}
        self.items = self.size = 0

    def add(self, parcel: Parcel) -> None:
        """Add the items of *parcel*."""
        sections = self._sections
        size = (self.size or self._heads.frame) + parcel.size
        for owner, pieces in parcel.pieces.items():
            if owner in sections:
                sections[owner] += pieces
            else:
                sections[owner] = [*pieces]
                size += self._heads[owner].most
        self.size = size
        self.items += parcel.items

    def build(self) -> bytes:
        """Return the body: one complete request of its signal, every resource in it once."""
        body: list[bytes | memoryview] = []
        for owner, pieces in self._sections.items():
            body += self._heads[owner].enclose(pieces)
        return self._heads.join(body) if body else b""
