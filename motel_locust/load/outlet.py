"""One signal's way out of a feed: what is let out, packed into bodies."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from motel_locust.otlp.bodies import BodyBuilder
from motel_locust.otlp.delivery import Body
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES

if TYPE_CHECKING:
    from motel_locust.otlp.bodies import Heads
    from motel_locust.otlp.exporter import Exporter
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.parcels import Parcel


class Outlet:
    """Packs the items of one *signal* into bodies for *exporter*, within *heads*.

    Attributes:
        signal: What the items are.
        exporter: Where the bodies go.
        ready: Bodies that were cut and not yet offered to the exporter.
        flush_s: When the body that is being built is to be cut; infinite while there is none.
    """

    def __init__(
        self,
        signal: Signal,
        heads: Heads,
        exporter: Exporter,
        *,
        flush_interval_s: float,
    ) -> None:
        self.signal: Signal = signal
        self.exporter = exporter
        self.ready: deque[Body] = deque()
        self.flush_s = math.inf
        self._heads, self._flush_interval_s = heads, flush_interval_s
        self._body = BodyBuilder(heads)
        self._released_s = 0.0

    @property
    def items(self) -> int:
        """Items that were packed, and not yet offered to the exporter."""
        return self._body.items + sum(body.items for body in self.ready)

    @property
    def size(self) -> int:
        """Bytes of the body that is being built."""
        return self._body.size

    def take(self, parcel: Parcel, due_s: float, now_s: float) -> None:
        """Pack *parcel*, which was to be let out at *due_s*; from here on it counts as generated.

        A body that this fills is cut: it has its time to be acknowledged from *now_s*.
        """
        if self._body.items and self._body.size + parcel.size > DEFAULT_MAX_BYTES:
            self.cut(now_s)
        if not self._body.items:
            # What is let out late begins its time now, as what it is late by was not spent here.
            self._released_s = max(due_s, now_s - self._flush_interval_s)
            self.flush_s = self._released_s + self._flush_interval_s
        self._body.add(parcel)

    def flush(self, now_s: float) -> None:
        """Cut the body that is being built if it has waited long enough."""
        if now_s >= self.flush_s:
            self.cut(now_s)

    def cut(self, now_s: float) -> None:
        """Cut the body that is being built, if there is one."""
        if self._body.items:
            content, items = self._body.build(), self._body.items
            self.ready.append(Body(self.signal, content, items, self._released_s, now_s))
        self._body, self.flush_s = BodyBuilder(self._heads), math.inf
