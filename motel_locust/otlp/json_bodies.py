"""Bodies of requests as OTLP JSON: whole lines, each with its end.

Items come with a comma behind each of them, and so do resources; the last ones are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from motel_locust.otlp.bodies import Heads
from motel_locust.otlp.lines import message_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from motel_locust.engine.recorded import RecordedAttributes
    from motel_locust.otlp.bodies import AnyHead
    from motel_locust.otlp.ledger import Signal

NAMES: Final[Mapping[Signal, tuple[str, str, str]]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}
"""What the arrays of resources, scopes and items are called."""


@dataclass(frozen=True, slots=True)
class JsonHead:
    """What stands around a service's items in JSON."""

    before: bytes

    BEHIND: ClassVar = b"]}]},"

    @property
    def most(self) -> int:
        """See :class:`motel_locust.otlp.bodies.AnyHead`."""
        return len(self.before) - 1 + len(self.BEHIND)

    def enclose(self, pieces: Sequence[memoryview]) -> list[bytes | memoryview]:
        """See :class:`motel_locust.otlp.bodies.AnyHead`."""
        *items, last = pieces
        return [self.before, *items, last[:-1], self.BEHIND]


class JsonHeads(Heads):
    """The heads of bodies of *signal* in JSON."""

    END: ClassVar = b"]}\n"

    def __init__(
        self,
        resources: Mapping[str, RecordedAttributes],
        environment: Mapping[str, str],
        signal: Signal,
    ) -> None:
        super().__init__(resources, environment)
        of_resources, self._scopes, self._items = NAMES[signal]
        self._start = f'{{"{of_resources}":['.encode()
        self.frame = len(self._start) - 1 + len(self.END)

    def make(self, resource: Resource) -> AnyHead:
        """Return the head of *resource*."""
        return JsonHead(
            (
                f'{{"resource":{message_text(resource)},'
                f'"{self._scopes}":[{{"scope":{message_text(self.scope)},"{self._items}":['
            ).encode()
        )

    def join(self, parts: Sequence[bytes | memoryview]) -> bytes:
        """Return *parts*, some of what heads enclose, as a body."""
        *others, last = parts
        return b"".join((self._start, *others, last[:-1], self.END))
