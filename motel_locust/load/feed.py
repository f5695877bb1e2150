"""What the users of one class generate: walked ahead, filed by tick, let out, packed into bodies.

A feed never waits and reads no clock; :mod:`motel_locust.load.pump` tells it when. Words: a
*parcel* is what leaves at one tick of one signal, already encoded; it is *filed* until then. Filed
is not yet generated: no ledger counts a parcel that is thrown away before its tick, and no metric
its spans. Instants are seconds of the pump's clock; *at_s* gives the one at which a tick is due.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from motel_locust.engine.columns import Counts, total
from motel_locust.engine.engine import carry_on
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.statistics import Outgoing, Statistics
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.engine import Engine
    from motel_locust.engine.replay import Replay
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.statistics import OperationCounts
    from motel_locust.load.meter import Meter
    from motel_locust.load.outlet import Outlet
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.parcels import Parcel

Encode: TypeAlias = "Callable[[Batch, Active, Callable[[], object]], Sequence[Parcel]]"
"""Makes one signal's parcels of a batch, whose traces have these scenarios; pauses now and then."""

# Large batches cost less a span, but a change of users throws away what was walked ahead. A batch
# of a second at 100 traces/s takes 2.9 ms, one of four seconds 4.8 ms; higher rates have smaller
# batches anyway. Walking begins again while the least is still filed, so that none is late.
MOST_TICKS_AHEAD: Final = 400
LEAST_TICKS_AHEAD: Final = 12
MOST_BYTES_AHEAD: Final = 8 << 20


class Departure:
    """A batch on its way out, counted and measured as far as it has left."""

    def __init__(self, batch: Batch, active: Active, meter: Meter | None) -> None:
        self._outgoing = Outgoing(batch)
        # Only what is measured is kept whole.
        self._meant = None if meter is None else (meter, batch, active)
        self._measured = 0

    def release(self, edge_ns: int) -> bool:
        """Let the part leave that begins at *edge_ns*; return whether it was the last one."""
        return self._outgoing.release(edge_ns)

    def count(self, statistics: Statistics) -> None:
        """Count what has left since the last time."""
        self._outgoing.count(statistics)

    def measure(self, pause: Callable[[], object]) -> None:
        """Measure what has left since the last time."""
        if self._meant is not None and self._measured < self._outgoing.released:
            meter, batch, active = self._meant
            parts = slice(self._measured, self._outgoing.released)
            self._measured = parts.stop
            meter.record(batch, parts, active, pause)


class Filed(NamedTuple):
    """What of one batch waits for its tick: parcels, and with spans the part that they are."""

    parcels: Sequence[tuple[Outlet, Parcel]]
    size: int
    batch: Departure
    edge_ns: int
    counts: Counts | None
    """The part's counters; None where no part begins at ``edge_ns``."""
    begun: int
    """The tick from which on its traces began; a change of users there undoes it."""


class Feed:
    """The engine of one user class, and the way of its telemetry up to the exporters.

    *encoders* are the outlets whose items are made as batches are walked, *meter* has that of the
    metrics.

    Attributes:
        outlets: one for each signal that is sent.
        counts: the simulation's counters, of what was released.
    """

    def __init__(
        self,
        engine: Engine | Replay,
        encoders: Mapping[Outlet, Encode],
        meter: Meter | None = None,
        *,
        epoch_ns: int,
        flush_interval_s: float,
        realtime: bool = False,
        worker: int = 0,
        stride: int = 1,
    ) -> None:
        self.outlets = (*encoders, *([meter.outlet] if meter else []))
        self.counts = Counts()
        self._engine, self._encoders, self._meter = engine, encoders, meter
        self._epoch_ns, self._realtime = epoch_ns, realtime
        self._flush_interval_s = flush_interval_s
        self._worker, self._stride = worker, stride
        self._shared: int | None = None
        self._filed: dict[int, list[Filed]] = {}
        self._filed_bytes = 0
        self._departing: dict[Departure, None] = {}  # a set that keeps its order
        self._statistics = Statistics()
        self._ahead = 1

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
        if self._meter:
            self._meter.pass_over(tick, until)

    @property
    def full(self) -> bool:
        """Whether so much is filed that nothing more should be walked before it is due."""
        return self._filed_bytes >= MOST_BYTES_AHEAD

    @property
    def walked(self) -> int:
        """The tick up to which all is filed, and perhaps a part of what leaves in it."""
        return self._engine.walked_ns // TICK_NS

    def walk(self, last: int, pause: Callable[[], object]) -> bool:
        """Walk a stretch and return True, unless all that leaves until tick *last* is filed.

        That, and a few ticks more, if users did not change lately. *pause* is called now and then,
        so that others get their turn.
        """
        following_ns = (last + 1) * TICK_NS
        enough_ns = following_ns
        if not self.full and self._engine.could_go_back(following_ns):
            enough_ns += min(self._ahead // 4, LEAST_TICKS_AHEAD) * TICK_NS
        if self._engine.walked_ns >= enough_ns:
            return False
        begun_ns = self._engine.walked_ns
        active = self._engine.active(begun_ns)
        batch = self._engine.walk((last + self._ahead) * TICK_NS, pause)
        parcels = [
            (outlet, parcel)
            for outlet, encode in self._encoders.items()
            for parcel in encode(batch, active, pause)
        ]
        self._file(batch, active, parcels, begun_ns // TICK_NS)
        if self._engine.walked_ns >= enough_ns:
            self._ahead = min(2 * self._ahead, MOST_TICKS_AHEAD)
        return True

    def due_s(self, tick: int, at_s: Callable[[int], float]) -> float:
        """Return when the ticks from *tick* on have to be let out, so that no body leaves late.

        That is when a body is full or has waited long enough: until then, whether a span that is
        due lies in it makes no difference to anybody.
        """
        ahead = [self.walked, *([self._meter.tick] if self._meter else [])]
        due_s = min(at_s(max(tick, min(ahead))), *(outlet.flush_s for outlet in self.outlets))
        if self._filed:
            due_s = min(due_s, at_s(min(self._filed)) + self._flush_interval_s)
        sizes = {outlet: outlet.size for outlet in self.outlets}
        if self._filed_bytes + max(sizes.values()) <= DEFAULT_MAX_BYTES:
            return due_s
        for filed in sorted(self._filed):
            if at_s(filed) >= due_s:
                break
            for each in self._filed[filed]:
                for outlet, parcel in each.parcels:
                    sizes[outlet] += parcel.size
            if max(sizes.values()) > DEFAULT_MAX_BYTES:
                return at_s(filed)
        return due_s

    def release(
        self,
        last: int,
        at_s: Callable[[int], float],
        now_s: float,
        pause: Callable[[], object] = carry_on,
    ) -> None:
        """Pack what is filed up to tick *last* into bodies: from here on it counts as generated.

        Args:
            last: All before it is walked; metrics are collected where it is time.
            at_s: When a tick was due; a body's time begins with this.
            now_s: The present; a body that is cut has its time to be acknowledged from here.
            pause: Is called now and then, and whenever a body is ready.
        """
        while self._meter and (tick := self._meter.tick) <= last:
            self._let_out(tick - 1, at_s, now_s, pause)
            self._measure(pause)
            self._meter.collect(tick, at_s(tick), now_s, pause)
        self._let_out(last, at_s, now_s, pause)

    def flush(self, now_s: float) -> None:
        """Cut the bodies that have waited long enough."""
        for outlet in self.outlets:
            outlet.flush(now_s)

    def finish(self, now_s: float, pause: Callable[[], object] = carry_on) -> None:
        """Begin no new trace, release the rest of those that were begun, and cut all bodies."""
        if self._realtime and self._filed:
            self._let_out(max(self._filed), lambda _: now_s, now_s, pause)
        self._filed.clear()
        self._filed_bytes = 0
        self._measure(pause)
        self._forget_batches()
        self._cut(now_s)

    def end(self, tick: int, now_s: float, pause: Callable[[], object] = carry_on) -> None:
        """Finish for good before *tick*: metrics are collected a last time."""
        self.finish(now_s, pause)
        if self._meter:
            self._meter.collect(tick, now_s, now_s, pause, final=True)
            self._cut(now_s)

    def held(self) -> Iterator[tuple[Signal, int]]:
        """Yield the items that were let out, so generated, and not yet offered to an exporter."""
        for outlet in self.outlets:
            yield outlet.signal, outlet.items

    def asked_per_s(self, tick: int) -> float:
        """Return the traces per second that the users ask for at *tick*."""
        return self._engine.rate(tick * TICK_NS)

    def scenarios(self, tick: int) -> tuple[str, ...]:
        """Return the names of the scenarios that are active at *tick*, in merge order."""
        return self._engine.scenarios(tick * TICK_NS)

    def operations(self) -> Mapping[str, OperationCounts]:
        """Return what was released of each operation."""
        for batch in self._departing:
            batch.count(self._statistics)
        return self._statistics.operations()

    def overflowed(self) -> dict[str, int]:
        """Return how many measurements had no series of their own, by ``service: metric``."""
        return self._meter.overflowed() if self._meter else {}

    def _file(
        self,
        batch: Batch,
        active: Active,
        parcels: Sequence[tuple[Outlet, Parcel]],
        begun: int,
    ) -> None:
        """File *parcels* and the parts of *batch*, from tick *begun* on."""
        departure = Departure(batch, active, self._meter)
        counts = dict(zip(batch.edges_ns.tolist(), batch.counts, strict=True))
        leaving = defaultdict(list, {edge_ns: [] for edge_ns in counts})
        for outlet, parcel in parcels:
            leaving[parcel.release_ns].append((outlet, parcel))
        for edge_ns, together in leaving.items():
            release = (edge_ns - self._epoch_ns) // TICK_NS
            filed = Filed(
                together,
                sum(parcel.size for _, parcel in together),
                departure,
                edge_ns,
                counts.get(edge_ns),
                # In real time a batch is of one tick, and leaves in many.
                begun if self._realtime else release,
            )
            self._filed.setdefault(max(release, begun), []).append(filed)
            self._filed_bytes += filed.size

    @contextmanager
    def _change(self, tick: int) -> Iterator[None]:
        """Throw away what was walked with the users of before, from *tick* on."""
        walked_ns = self._engine.walked_ns
        yield
        if self._engine.walked_ns < walked_ns:
            self._throw_away(tick)
            self._measure(carry_on)
            self._forget_batches()
        self._ahead = 1

    def _let_out(
        self,
        last: int,
        at_s: Callable[[int], float],
        now_s: float,
        pause: Callable[[], object],
    ) -> None:
        counts, left = [self.counts], {}
        for tick in sorted(self._filed):
            if tick > last:
                break
            due_s = at_s(tick)
            for filed in self._filed.pop(tick):
                self._filed_bytes -= filed.size
                if filed.counts is not None:
                    counts.append(filed.counts)
                    left[filed.batch] = filed.edge_ns
                for outlet, parcel in filed.parcels:
                    outlet.take(parcel, due_s, now_s)
                    if outlet.ready:
                        self.counts = total(counts)
                        counts = [self.counts]
                        pause()
        self.counts = total(counts)
        for batch, edge_ns in left.items():
            if batch.release(edge_ns):
                batch.count(self._statistics)
                self._departing.pop(batch, None)
                batch.measure(pause)
            else:
                self._departing[batch] = None

    def _measure(self, pause: Callable[[], object]) -> None:
        """Measure what was let out of batches that are still leaving."""
        for batch in list(self._departing):
            batch.measure(pause)

    def _forget_batches(self) -> None:
        """Count what was let out of batches, of which nothing is filed any more."""
        for batch in self._departing:
            batch.count(self._statistics)
        self._departing.clear()

    def _row(self, user: int) -> int:
        # Interleaved over the cluster: a user's row sets its phase, and all phases are to differ.
        return user * self._stride + self._worker

    def _throw_away(self, tick: int) -> None:
        """Let what was begun from *tick* on be filed no more."""
        for late in [filed for filed in self._filed if filed >= tick]:
            filed = self._filed.pop(late)
            if kept := [each for each in filed if each.begun < tick]:
                self._filed[late] = kept
            self._filed_bytes -= sum(each.size for each in filed if each.begun >= tick)

    def _cut(self, now_s: float) -> None:
        for outlet in self.outlets:
            outlet.cut(now_s)
