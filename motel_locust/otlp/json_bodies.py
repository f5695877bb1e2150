"""Bodies of requests as OTLP JSON: whole lines, each with its end.

Items come with a comma behind each of them; the last one of a service is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.otlp.bodies import resource_messages, scope_message
from motel_locust.otlp.lines import message_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from motel_locust.engine.recorded import RecordedAttributes
    from motel_locust.otlp.ledger import Signal

NAMES: Final[Mapping[Signal, tuple[str, str, str]]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}
"""What the arrays of resources, scopes and items are called."""


class JsonHeads:
    """The heads of bodies of *signal* in JSON; *before* is what comes ahead of a service's items.

    All of a resource is enclosed in ``BEHIND``.
    """

    BEHIND: Final = b"]}]}"
    END: Final = b"]}\n"

    def __init__(self, signal: Signal, before: Mapping[str, bytes]) -> None:
        self._start = f'{{"{NAMES[signal][0]}":['.encode()
        self._before = before

    def size(self, sizes: Mapping[str, int]) -> int:
        """See :class:`motel_locust.otlp.bodies.Heads`."""
        # The comma behind a service's last item is left out; but each service has one before it,
        # the first of them the bracket in the start.
        services = sum(
            len(self._before[service]) + size + len(self.BEHIND) for service, size in sizes.items()
        )
        return len(self._start) - 1 + services + len(self.END) if sizes else len(b"{}\n")

    def enclose(
        self,
        pieces: Mapping[str, Sequence[memoryview]],
        sizes: Mapping[str, int],  # noqa: ARG002  # the protocol's name
    ) -> bytes:
        """See :class:`motel_locust.otlp.bodies.Heads`."""
        body: list[bytes | memoryview] = []
        for service, (*items, last) in pieces.items():
            body += [b"," if body else self._start, self._before[service], *items, last[:-1]]
            body.append(self.BEHIND)
        return b"".join((*body, self.END)) if body else b"{}\n"


def json_heads(
    resources: Mapping[str, RecordedAttributes], environment: Mapping[str, str], signal: Signal
) -> JsonHeads:
    """Return the heads of all services in bodies of *signal*.

    The other arguments are those of :func:`motel_locust.otlp.bodies.resource_messages`.
    """
    _, scopes, items = NAMES[signal]
    scope = message_text(scope_message())
    return JsonHeads(
        signal,
        {
            service: (
                f'{{"resource":{message_text(resource)},"{scopes}":[{{"scope":{scope},"{items}":['
            ).encode()
            for service, resource in resource_messages(resources, environment).items()
        },
    )
