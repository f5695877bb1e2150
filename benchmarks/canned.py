"""A process that sends bodies made beforehand, as fast as they are answered.

Everything but the making is as in a run: the same Python under gevent, the same transport, as many
connections, and a body of the same engine.

``python -m gevent.monkey --module benchmarks.canned HOST PROTOCOL COMPRESSION IDS``, where IDS are
"same" or "renewed"; it sends until it is ended.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import gevent
import numpy as np

from benchmarks.diary import Counts, keep_diary
from benchmarks.generation import Stream
from benchmarks.runs import TOPOLOGY
from motel_locust.otlp.delivery import Cause
from motel_locust.otlp.exporter import CONNECTIONS
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.transports import Transport, open_transport

if TYPE_CHECKING:
    from collections.abc import Callable

# Span.trace_id, field 1, with 16 bytes, and Span.span_id, field 2, with 8.
IDS = re.compile(rb"\x0a\x10.{16}\x12\x08", re.DOTALL)


def renewing(content: bytes, spans: int) -> Callable[[], bytes]:
    """Return what returns *content* with other trace ids each time.

    The receiver judges every trace, and one that comes again costs it more than a new one. Takes
    a quarter of a millisecond for each body.
    """
    body = np.frombuffer(content, np.uint8).copy()
    ids = np.array([match.start() + 2 for match in IDS.finditer(content)])
    assert ids.size == spans, f"found {ids.size} trace ids in {spans} spans"
    first = [body[ids + place] for place in range(4)]
    numbers = count()

    def renewed() -> bytes:
        number = next(numbers)
        for place in range(4):
            body[ids + place] = first[place] ^ np.uint8(number >> 8 * place & 0xFF)
        return body.tobytes()

    return renewed


@dataclass(slots=True)
class Canned:
    """Sends bodies of *spans* spans; ``accepted`` are those that were."""

    transport: Transport
    body: Callable[[], bytes]
    spans: int
    accepted: int = 0

    def send_for_ever(self) -> None:
        """Send one body after the other; the endpoint is to accept each of them."""
        while True:
            answer = self.transport.send(self.body(), self.spans)
            if answer.cause is not Cause.ACK or answer.rejected:
                sys.exit(f"a canned body was not accepted: {answer}")
            self.accepted += self.spans


def main(host: str, protocol: str, compression: str, ids: str) -> None:
    """Send for ever, and keep a diary."""
    settings = resolve(Flags(endpoint=host, protocol=protocol, compression=compression), {})
    stream = Stream(TOPOLOGY)
    content, spans = next(stream.bodies(stream.walk()))
    body = renewing(content, spans) if ids == "renewed" else lambda: content
    canned = Canned(open_transport(settings), body, spans)
    keep_diary(lambda: Counts(users=CONNECTIONS, accepted=canned.accepted))
    gevent.joinall([gevent.spawn(canned.send_for_ever) for _ in range(CONNECTIONS)])


if __name__ == "__main__":
    main(*sys.argv[1:])
