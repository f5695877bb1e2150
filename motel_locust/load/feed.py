"""What the users of one class generate: walked ahead, filed by tick, let out, packed into bodies.

A feed never waits and reads no clock; :mod:`motel_locust.load.pump` tells it when. Words: a
*parcel* is what leaves at one tick, already encoded; it is *filed* until then. Filed is not yet
generated: no ledger counts a parcel that is thrown away before its tick. Instants are seconds of
the pump's clock; *at_s* gives the one at which a tick is due.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from motel_locust.engine.columns import Counts
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.statistics import Outgoing, Statistics
from motel_locust.otlp.bodies import BodyBuilder
from motel_locust.otlp.delivery import Body
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from motel_locust.engine.engine import Engine
    from motel_locust.engine.replay import Replay
    from motel_locust.engine.statistics import OperationCounts
    from motel_locust.otlp.exporter import Exporter
    from motel_locust.otlp.parcels import BatchEncoder, Parcel

# Large batches cost less a span, but a change of users throws away what was walked ahead. Walking
# begins again while this many ticks are still filed, so that it makes none of them late.
MOST_TICKS_AHEAD: Final = 100
LEAST_TICKS_AHEAD: Final = 12
MOST_BYTES_AHEAD: Final = 8 << 20


class Filed(NamedTuple):
    """A parcel that waits for its tick, and the batch that it is of."""

    parcel: Parcel
    batch: Outgoing
    begun: int
    """The tick from which on its traces began; a change of users there undoes it."""


class Feed:
    """The engine of one user class, and the way of its spans up to the exporter.

    Attributes:
        exporter: where the bodies go.
        ready: bodies that were cut and not yet offered to the exporter.
        counts: the simulation's counters, of what was released.
        flush_s: when the body that is being built is to be cut; infinite while there is none.
    """

    def __init__(
        self,
        engine: Engine | Replay,
        encoder: BatchEncoder,
        exporter: Exporter,
        *,
        epoch_ns: int,
        flush_interval_s: float,
        realtime: bool = False,
        worker: int = 0,
        stride: int = 1,
    ) -> None:
        self.exporter = exporter
        self.ready: deque[Body] = deque()
        self.counts = Counts()
        self.flush_s = math.inf
        self._engine, self._encoder = engine, encoder
        self._epoch_ns, self._realtime = epoch_ns, realtime
        self._flush_interval_s = flush_interval_s
        self._worker, self._stride = worker, stride
        self._shared: int | None = None
        self._filed: dict[int, list[Filed]] = {}
        self._filed_bytes = 0
        self._outgoing: set[Outgoing] = set()
        self._statistics = Statistics()
        self._ahead = 1
        self._body = BodyBuilder(encoder.heads)
        self._released_s = 0.0

    def join(self, users: Iterable[int], tick: int) -> None:
        """Let *users* begin at *tick*, the first one that was not released."""
        with self._change(tick):
            for user in users:
                self._engine.join(self._row(user), tick * TICK_NS)

    def leave(self, users: Iterable[int], tick: int) -> None:
        """Let *users* end at *tick*, the first one that was not released."""
        with self._change(tick):
            for user in users:
                self._engine.leave(self._row(user), tick * TICK_NS)

    def share(self, users: int | None, tick: int) -> None:
        """Divide the topology's rate among *users* of the whole cluster from *tick* on.

        None: each has all of it.
        """
        if users != self._shared:
            with self._change(tick):
                self._engine.share(users, tick * TICK_NS)
                self._shared = users

    def pass_over(self, tick: int, until: int) -> None:
        """Let nothing arrive from *tick*, the first one that was not released, to before *until*.

        :meth:`finish` comes first, unless nothing was walked yet.
        """
        start_ns = tick * TICK_NS
        if self._realtime:
            # What was walked of this tick has left with the traces that were begun.
            start_ns = max(start_ns, self._engine.walked_ns)
        self._engine.pass_over(start_ns, until * TICK_NS)
        self._ahead = 1

    def walk(self, tick: int, pause: Callable[[], object]) -> bool:
        """Walk a stretch and return True, unless all that leaves until *tick* is filed already.

        That, and a few ticks more, if users did not change lately. *pause* is called now and then,
        so that others get their turn.
        """
        following_ns = (tick + 1) * TICK_NS
        enough_ns = following_ns
        if self._filed_bytes < MOST_BYTES_AHEAD and self._engine.could_go_back(following_ns):
            enough_ns += min(self._ahead // 4, LEAST_TICKS_AHEAD) * TICK_NS
        if self._engine.walked_ns >= enough_ns:
            return False
        begun = self._engine.walked_ns // TICK_NS
        batch = self._engine.walk((tick + self._ahead) * TICK_NS, pause)
        outgoing = Outgoing(batch)
        for parcel in self._encoder.encode(batch, pause):
            release = (parcel.release_ns - self._epoch_ns) // TICK_NS
            # In real time a batch is of one tick, and leaves in many.
            filed = Filed(parcel, outgoing, begun if self._realtime else release)
            self._filed.setdefault(max(release, tick), []).append(filed)
            self._filed_bytes += parcel.size
        if self._engine.walked_ns >= enough_ns:
            self._ahead = min(2 * self._ahead, MOST_TICKS_AHEAD)
        return True

    def next_tick(self, tick: int) -> int:
        """Return the first tick from *tick* on that needs :meth:`walk` or :meth:`release`."""
        return max(tick, min((self._engine.walked_ns // TICK_NS, *self._filed)))

    def due_s(self, tick: int, at_s: Callable[[int], float]) -> float:
        """Return when the ticks from *tick* on have to be let out, so that no body leaves late.

        That is when a body is full or has waited long enough: until then, whether a span that is
        due lies in it makes no difference to anybody.
        """
        walked = max(tick, self._engine.walked_ns // TICK_NS)
        due_s, size = min(self.flush_s, at_s(walked)), self._body.size
        for filed in sorted(self._filed):
            if at_s(filed) >= due_s:
                break
            size += sum(each.parcel.size for each in self._filed[filed])
            if size > DEFAULT_MAX_BYTES:
                return at_s(filed)
            due_s = min(due_s, at_s(filed) + self._flush_interval_s)
        return due_s

    def release(self, tick: int, due_s: float, now_s: float) -> None:
        """Pack what is filed for *tick* into bodies: from here on it counts as generated.

        Args:
            tick: Is let out.
            due_s: When it was due; a body's time begins with this.
            now_s: The present; a body that is cut has its time to be acknowledged from here.
        """
        for parcel, batch, _ in self._taken_out(tick):
            self._take(parcel, due_s, now_s)
            if batch.release(parcel.release_ns):
                batch.count(self._statistics)
                self._outgoing.discard(batch)
            else:
                self._outgoing.add(batch)

    def flush(self, now_s: float) -> None:
        """Cut the body that is being built if it has waited long enough."""
        if now_s >= self.flush_s:
            self._cut(now_s)

    def finish(self, now_s: float) -> None:
        """Begin no new trace, release the rest of those that were begun, and cut the last body."""
        for tick in sorted(self._filed) if self._realtime else ():
            self.release(tick, now_s, now_s)
        for tick in list(self._filed):
            self._taken_out(tick)
        self._forget_batches()
        self._cut(now_s)

    def asked_per_s(self, tick: int) -> float:
        """Return the traces per second that the users ask for at *tick*."""
        return self._engine.rate(tick * TICK_NS)

    def scenarios(self, tick: int) -> tuple[str, ...]:
        """Return the names of the scenarios that are active at *tick*, in merge order."""
        return self._engine.scenarios(tick * TICK_NS)

    def operations(self) -> Mapping[str, OperationCounts]:
        """Return what was released of each operation."""
        for batch in self._outgoing:
            batch.count(self._statistics)
        return self._statistics.operations()

    @contextmanager
    def _change(self, tick: int) -> Iterator[None]:
        """Throw away what was walked with the users of before, from *tick* on."""
        walked_ns = self._engine.walked_ns
        yield
        if self._engine.walked_ns < walked_ns:
            for late in [filed for filed in self._filed if filed >= tick]:
                self._taken_out(late, from_tick=tick)
            self._forget_batches()
        self._ahead = 1

    def _forget_batches(self) -> None:
        """Count what was let out of batches, of which nothing is filed any more."""
        for batch in self._outgoing:
            batch.count(self._statistics)
        self._outgoing.clear()

    def _row(self, user: int) -> int:
        # Interleaved over the cluster: a user's row sets its phase, and all phases are to differ.
        return user * self._stride + self._worker

    def _taken_out(self, tick: int, *, from_tick: int = 0) -> list[Filed]:
        """Return what is filed for *tick* and begun from *from_tick* on; it is no longer then."""
        filed = self._filed.pop(tick, [])
        if kept := [each for each in filed if each.begun < from_tick]:
            self._filed[tick] = kept
        taken = [each for each in filed if each.begun >= from_tick]
        self._filed_bytes -= sum(each.parcel.size for each in taken)
        return taken

    def _take(self, parcel: Parcel, due_s: float, now_s: float) -> None:
        self.counts += parcel.counts
        if self._body.spans and self._body.size + parcel.size > DEFAULT_MAX_BYTES:
            self._cut(now_s)
        if not self._body.spans:
            # What is let out late begins its time now, as what it is late by was not spent here.
            self._released_s = max(due_s, now_s - self._flush_interval_s)
            self.flush_s = self._released_s + self._flush_interval_s
        self._body.add(parcel)

    def _cut(self, now_s: float) -> None:
        if self._body.spans:
            content, items = self._body.build(), self._body.spans
            self.ready.append(Body("traces", content, items, self._released_s, now_s))
        self._body, self.flush_s = BodyBuilder(self._encoder.heads), math.inf
