"""A recording on its way: read a few traces at a time, put on tape, encoded, and delivered.

However large the recording is, in memory there are only the traces of one tape, the bodies that
were cut from it, and what the exporter has under way. When that is full the reading waits, so no
span is ever dropped.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from gevent.event import Event

from motel_locust.engine import draws
from motel_locust.engine.columns import Counts
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.settling import settle
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.delivery import Body
from motel_locust.otlp.exporter import GIVE_UP_S, Exporter
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES, BatchEncoder
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.otlp.taping import TapeBuilder
from motel_locust.otlp.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Columns
    from motel_locust.engine.recorded import RecordedTrace
    from motel_locust.otlp.exporter import Settled
    from motel_locust.otlp.ledger import Ledger
    from motel_locust.otlp.survey import Survey
    from motel_locust.otlp.transports import Transport

SPANS_OF_A_TAPE: Final = 8_192
"""Some 10 MB while it is made; with fewer, making the templates costs more than the reading."""
TOGETHER_NS: Final = 50_000_000
"""Traces that are due within this time leave together, when the last of them is due."""
QUEUE_BYTES: Final = 16 << 20
ROOM_S: Final = 0.05
"""A settled delivery wakes whoever waits for room; this is for what settles unheard."""
INTERRUPTED_S: Final = 5.0
"""Time for deliveries under way when a replay is stopped."""
NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """When traces are sent, and with which times."""

    first_ns: int
    """The first start in the recording, Unix time."""
    anchor_ns: int | None
    """What it becomes, Unix time; None where all times stay as they were recorded."""
    speed: float | None
    """How many times faster than recorded; None as fast as may be, with all distances kept."""
    loops: int
    period_ns: int
    """From one loop to the next, where there is a speed."""
    copies: float = 1.0
    """How often each trace is sent on average; copies are spread over ``gap_ns``."""
    gap_ns: float = 0.0
    """The mean time from one trace to the next, as sent."""

    def picks(self, traces: int, *, before: int) -> NDArray[np.int64]:
        """Return which of *traces* are sent, as often as they are: int64[picks], ascending.

        *before* is how many traces came before these. Of n traces ``floor(n * copies)`` are sent.
        """
        until = np.floor(np.arange(before, before + traces + 1) * self.copies).astype(np.int64)
        return np.repeat(np.arange(traces), np.diff(until))

    def spread_ns(self, picks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how much later than the first copy each of *picks* takes place: int64[picks]."""
        copy = np.arange(picks.size) - picks.searchsorted(picks)
        return (copy * (self.gap_ns / max(1.0, self.copies))).astype(np.int64)

    def after_ns(self, start_ns: NDArray[np.int64], loop: int) -> NDArray[np.int64]:
        """Return how long after the anchor traces start that were recorded at *start_ns*."""
        if self.speed is None:
            return start_ns - self.first_ns
        return ((start_ns - self.first_ns) / self.speed).astype(np.int64) + loop * self.period_ns

    def stamps_ns(self, start_ns: NDArray[np.int64], loop: int) -> NDArray[np.int64]:
        """Return the Unix times with which they are sent: int64[traces]."""
        if self.anchor_ns is None:
            return start_ns
        return self.anchor_ns + self.after_ns(start_ns, loop)


def score_of(
    found: Survey,
    *,
    anchor_ns: int | None,
    at_end: bool,
    speed: float | None,
    loops: int,
    rate_per_s: float | None = None,
) -> Score:
    """Return the score of the recording *found*; raise ValueError if it has no rate to change.

    *rate_per_s* is how many traces per second are sent on average, None for all that there are.
    *anchor_ns* is the Unix time on which its last end falls, of the first loop, or its first start
    unless *at_end*; None leaves all times as they are.
    """
    length_ns, copies = found.length_ns, 1.0
    gap_ns = (found.last_start_ns - found.first_ns) / max(1, found.traces - 1) / (speed or 1)
    if rate_per_s is not None:
        if not gap_ns:
            raise ValueError("its traces start at one instant, so there is no rate to change")
        copies = rate_per_s * gap_ns / NS_PER_S
    if speed is not None and speed != 1:
        # The last trace need not be the one that ends last, but this is never too short.
        length_ns = int((found.last_start_ns - found.first_ns) / speed) + found.longest_ns
    if anchor_ns is not None and at_end:
        anchor_ns -= length_ns
    return Score(
        first_ns=found.first_ns,
        anchor_ns=anchor_ns,
        speed=speed,
        loops=loops,
        period_ns=max(1, int(max(found.length_ns, TICK_NS) / (speed or 1))),
        copies=copies,
        gap_ns=gap_ns,
    )


class Player:
    """Sends the traces of a recording by its *score*, until the end or until :meth:`stop`.

    Args:
        transport: the way out; the player closes it.
        ledger: where spans are counted.
        environment: resource attributes for all services, as OTEL_RESOURCE_ATTRIBUTES lists them.
        preserve_ids: sends the ids that were recorded, else new ones, others in every loop.
        sent: called with the number of spans that were sent.

    Attributes:
        counts: of all that was sent.
        read: the traces that were read.
        lag_s: how far the latest of it was behind the score; 0 where that has no speed.
    """

    def __init__(
        self,
        score: Score,
        transport: Transport,
        ledger: Ledger,
        *,
        environment: Mapping[str, str],
        preserve_ids: bool,
        sent: Callable[[int], object],
    ) -> None:
        self.counts, self.lag_s, self.read = Counts(), 0.0, 0
        self._score, self._environment = score, environment
        self._preserve_ids, self._sent = preserve_ids, sent
        self._room, self._stopped = Event(), Event()
        self._exporter = Exporter(
            transport, ledger, queue_bytes=QUEUE_BYTES, on_settled=self._on_settled
        )
        self._turns = Turns()
        self._builder = TapeBuilder(preserve_ids=preserve_ids)
        self._due_ns = 0

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped.set()
        self._room.set()

    def play(self, traces: Callable[[], Iterable[RecordedTrace]]) -> None:
        """Send what *traces* returns, again in every loop; return when nothing is under way.

        Raises:
            FormatError: an id that is to be preserved cannot be one.
        """
        try:
            began_s = time.monotonic()
            for loop in range(self._score.loops):
                key = secrets.randbits(64)
                for trace in traces():
                    self._wait_for(trace, loop, key, began_s)
                    if self.stopped:
                        break
                    self._builder.add(trace)
                    if self._builder.spans >= SPANS_OF_A_TAPE:
                        self._send(loop, key)
                    self._turns()
                if self.stopped:
                    break
                self._send(loop, key)
            self._exporter.drain(INTERRUPTED_S if self.stopped else 2 * GIVE_UP_S)
        finally:
            self._exporter.close()

    def _wait_for(self, trace: RecordedTrace, loop: int, key: int, began_s: float) -> None:
        """Wait until *trace* is due; send those before it unless it can leave with them."""
        if self._score.speed is None:
            return
        start_ns = np.array([min(settle(trace).start_ns)])
        due_ns = int(self._score.after_ns(start_ns, loop)[0])
        if self._builder.spans and due_ns - self._due_ns > TOGETHER_NS:
            self._send(loop, key)
        if not self._builder.spans:
            self._due_ns = due_ns
        ahead_s = began_s + due_ns / NS_PER_S - time.monotonic()
        self.lag_s = max(self.lag_s, -ahead_s)
        if ahead_s > 0:
            self._stopped.wait(ahead_s)

    def _send(self, loop: int, key: int) -> None:
        """Send what was put on tape, with ids by *key*, and begin a new one."""
        builder, self._builder = self._builder, TapeBuilder(preserve_ids=self._preserve_ids)
        if not builder.spans:
            return
        tape = builder.build()
        picked = self._score.picks(tape.start_ns.size, before=self.read)
        self.read += tape.start_ns.size
        if not picked.size:
            return
        spread_ns = self._score.spread_ns(picked)
        batch = tape.batch(
            picked,
            _keys(key, picked),
            start_ns=self._score.stamps_ns(tape.start_ns[picked], loop) + spread_ns,
            tick_ns=np.zeros(picked.size, np.int64),
            pause=self._turns,
        )
        encoder: BatchEncoder[Columns] = BatchEncoder(SpanEncoder)
        heads = Heads(builder.resources, self._environment)
        body = BodyBuilder(heads)
        for parcel in encoder.encode(batch, self._turns):
            if body.items and body.size + parcel.size > DEFAULT_MAX_BYTES:
                self._offer(body)
                body = BodyBuilder(heads)
            body.add(parcel)
        self._offer(body)
        self.counts = sum(batch.counts, self.counts)

    def _offer(self, builder: BodyBuilder) -> None:
        """Give a body to the exporter once there is room for it."""
        content = builder.build()
        until_s = None
        while not self._exporter.room(len(content)):
            if self.stopped:
                until_s = until_s or time.monotonic() + INTERRUPTED_S
                if time.monotonic() > until_s:
                    break
            self._room.clear()
            self._room.wait(ROOM_S)
        now_s = time.monotonic()
        self._exporter.offer(Body("traces", content, builder.items, now_s, now_s))
        self._turns()

    def _on_settled(self, settled: Settled) -> None:
        self._room.set()
        self._sent(settled.accepted + settled.rejected + settled.failed + settled.dropped)


def _keys(key: int, picked: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return what the ids of *picked* are drawn from, another for each copy: uint64[picks, 2]."""
    copy = np.arange(picked.size) - picked.searchsorted(picked)
    halves = np.array([draws.key(key, half) for half in (0, 1)], np.uint64)
    return draws.draw_words(draws.nth_keys(halves, copy[:, np.newaxis]), np.uint64(0))
