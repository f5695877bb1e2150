"""The one greenlet of a process that generates, whatever the number of users.

It lets the ticks of simulated time out when they are due and gives every body to its exporter.
Users only leave a note that they come or go; the notes take effect together at the next tick. The
event loop belongs to everybody: after ``SLICE_S`` of work the others get their turn.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

import gevent
from locust.log import greenlet_exception_logger

from motel_locust.engine.columns import Counts
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.statistics import total_by_operation
from motel_locust.load.figures import Figures
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.turns import SLICE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from gevent import Greenlet

    from motel_locust.load.feed import Feed
    from motel_locust.load.outlet import Outlet
    from motel_locust.load.release import Release
    from motel_locust.otlp.exporter import Exporter

logger = logging.getLogger(__name__)

LAG_NS: Final = 1_000_000_000
"""A lag above this is worth a line in the log; so is getting rid of it."""
NO_LAG_NS: Final = 100_000_000

# A user costs some microseconds to join; so many are well within a slice.
USERS_AT_ONCE: Final = 500

# Users come and go between so many ticks, if the process is far behind. A body that has waited for
# the default interval, and the tick before it, are let out in one step.
TICKS_AT_ONCE: Final = 12

# An alarm ends a pause; this is how often the pump looks whether it went unheard.
HELD_S: Final = 1.0

# A settled delivery wakes the pump when there is room again; this is for what settles unheard.
ROOM_S: Final = 0.05


@dataclass(slots=True)
class Change:
    """The users of one class that come and go at the next tick, by their row."""

    joined: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


class Pump:
    """Generates for all users of one process, from :meth:`start` until :meth:`drain`.

    *feeds* is called once, in the pump's own greenlet, and returns a feed for each user class by
    name; it may wait, for a topology that is still on its way. Users that joined before wait too.
    """

    def __init__(
        self,
        release: Release,
        feeds: Callable[[], Mapping[str, Feed]],
        *,
        ledger: Ledger,
        wait_on_full: bool = False,
        drain_s: float = 10.0,
    ) -> None:
        self.users: Counter[str] = Counter()
        """The users that joined and did not leave, by user class."""
        self._release, self._build, self._ledger = release, feeds, ledger
        self._wait_on_full, self._drain_s = wait_on_full, drain_s
        self._feeds: Mapping[str, Feed] = {}
        self._rows: dict[Hashable, tuple[str, int]] = {}
        self._next_row: Counter[str] = Counter()
        self._changes: dict[str, Change] = defaultdict(Change)
        self._shares: dict[str, int] = {}
        self._shares_changed = False
        self._first_tick = self._tick = self._last_tick = 0
        self._slice_s = self._began_s = self._ended_s = self._due_s = 0.0
        self._lag_max_ns, self._lagging = 0, False
        self._held = self._stopping = False
        self._deadline_s = 0.0
        self._greenlet: Greenlet[..., None] | None = None

    def start(self) -> Greenlet[..., None]:
        """Begin to generate, in the greenlet that is returned."""
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.link_exception(greenlet_exception_logger(logger))
        return self._greenlet

    def join(self, user: Hashable, user_class: str) -> None:
        """Let *user* take part from the next tick on."""
        row = self._next_row[user_class]
        self._next_row[user_class] += 1
        self.users[user_class] += 1
        self._rows[user] = user_class, row
        self._changes[user_class].joined.append(row)
        self._release.alarm()

    def leave(self, user: Hashable) -> None:
        """Let *user* start no more traces from the next tick on; harmless if it did not join."""
        if user in self._rows:
            user_class, row = self._rows.pop(user)
            self.users[user_class] -= 1
            self._changes[user_class].left.append(row)
            self._release.alarm()

    def share(self, users: Mapping[str, int]) -> None:
        """Divide each topology's rate among the *users* of the whole cluster, by user class."""
        if users != self._shares:
            self._shares, self._shares_changed = dict(users), True
            self._release.alarm()

    def hold(self) -> None:
        """Generate nothing until :meth:`resume`; what was begun is delivered."""
        self._held = True
        self._release.alarm()

    def resume(self) -> None:
        """Go on at the present: what was due in between is not made up for, and is no lag."""
        self._held = False
        self._release.alarm()

    def drain(self) -> None:
        """End the run: begin no trace, end those that were begun, deliver, close the ledger.

        Returns when that is done, within the time for draining; a second call changes nothing.
        """
        if self._greenlet is None:
            return
        if not self._stopping:
            self._stopping = True
            self._deadline_s = self._release.now_s() + self._drain_s
            self._release.alarm()
            self._last_tick = self._release.due()
            if not self._feeds:  # still waiting for a topology
                self._greenlet.kill()
        self._greenlet.join()

    def wake(self) -> None:
        """Look again whether there is room: a delivery has ended."""
        if self._wait_on_full:
            self._release.alarm()

    def figures(self, *, operations: bool = True) -> Figures:
        """Return what happened so far; of 200 operations it takes 8 ms to tell."""
        feeds = self._feeds.values()
        ended_s = self._ended_s or self._release.now_s()
        scenarios = (feed.scenarios(self._tick) for feed in feeds if not self._stopping)
        return Figures(
            ledger=self._whole_ledger(),
            counts=sum((feed.counts for feed in feeds), Counts()),
            users=len(self._rows),
            asked_per_s=0.0
            if self._stopping
            else sum(feed.asked_per_s(self._tick) for feed in feeds),
            lag_ns=0 if self._idle else self._lag_ns(),
            lag_max_ns=self._lag_max_ns,
            queued_bytes=sum(exporter.size for exporter in self._exporters()),
            simulated_ns=(self._tick - self._first_tick) * TICK_NS,
            elapsed_ns=int((ended_s - self._began_s) * 1e9) if self._began_s else 0,
            operations=total_by_operation(feed.operations() for feed in feeds)
            if operations
            else {},
            overflowed=dict(sum((Counter(feed.overflowed()) for feed in feeds), Counter())),
            scenarios=tuple(dict.fromkeys(chain.from_iterable(scenarios))),
        )

    def _whole_ledger(self) -> Ledger:
        """Return the ledger at present, with what no exporter has seen yet as pending."""
        whole = Ledger(self._ledger)
        whole.merge(self._ledger)
        for feed in self._feeds.values():
            for signal, items in feed.held():
                whole.generate(signal, items)
        return whole

    def _run(self) -> None:
        self._feeds = self._build()
        if not self._feeds:
            return
        self._enter_present()
        self._began_s = self._slice_s = self._release.now_s()
        try:
            while not self._stopping:
                self._generate()
                if self._held:
                    self._pause()
                else:
                    self._release.wait_until(self._due_s)
                self._slice_s = self._release.now_s()
        finally:
            self._stopping, self._ended_s = True, self._release.now_s()
            self._end()

    @property
    def _idle(self) -> bool:
        return self._stopping or self._held

    def _enter_present(self) -> None:
        """Go on at the present; of what was due before, nothing is made up for."""
        tick = max(self._tick, self._release.due() + 1)
        for feed in self._feeds.values():
            feed.pass_over(self._tick, tick)
        self._first_tick += tick - self._tick
        self._tick = tick
        self._look_ahead()

    def _pause(self) -> None:
        """Let traces that were begun leave whole, and wait until somebody resumes or ends it."""
        self._let_out(self._release.due())
        for feed in self._feeds.values():
            feed.finish(self._release.now_s(), self._give_way)
            self._deliver(feed)
        while self._held and not self._stopping:
            self._release.wait_until(self._release.now_s() + HELD_S)
        self._enter_present()

    def _generate(self) -> None:
        """Let out every tick that is due, and walk ahead for those that follow."""
        while not self._idle:
            self._watch_lag()
            due = self._release.due()
            last = min(due, self._tick + TICKS_AT_ONCE - 1)
            for feed in self._feeds.values():
                # Let out at once what was walked: a tick of a high rate may fill the memory.
                while not self._idle and feed.walk(last, self._give_way):
                    self._release_from(feed, min(last, feed.walked))
            self._let_out(last)
            # From the first tick on that is not due: what was due already is let out without them.
            self._apply_changes()
            # Not only when all is caught up: what lags behind is to arrive as it goes.
            for feed in self._feeds.values():
                feed.flush(self._release.now_s())
                self._deliver(feed)
            if self._tick > due:
                break
            self._look_ahead()
        for feed in self._feeds.values():
            while not self._idle and not feed.full and feed.walk(self._tick, self._give_way):
                self._give_way()
        self._look_ahead()

    def _let_out(self, last: int) -> None:
        """Let out the ticks up to *last*, as far as they are walked."""
        for feed in self._feeds.values():
            self._release_from(feed, last)
        self._tick = max(self._tick, last + 1)

    def _release_from(self, feed: Feed, last: int) -> None:
        """Let out what *feed* has up to tick *last*."""

        def deliver() -> None:
            self._deliver(feed)

        feed.release(last, self._release.at_s, self._release.now_s(), deliver)
        deliver()

    def _apply_changes(self) -> None:
        """Let users come and go, all at the same tick."""
        if not self._changes and not self._shares_changed:
            return
        changes, self._changes = self._changes, defaultdict(Change)
        changed = self._feeds.keys() if self._shares_changed else changes.keys()
        self._shares_changed = False
        # A class that was picked while the test was running has no feed until the next one.
        for name in changed & self._feeds.keys():
            feed, change = self._feeds[name], changes[name]
            feed.share(self._shares.get(name), self._tick)
            # Whoever came and went between two ticks is in both lists, so joining comes first.
            for users, apply in ((change.joined, feed.join), (change.left, feed.leave)):
                for start in range(0, len(users), USERS_AT_ONCE):
                    apply(users[start : start + USERS_AT_ONCE], self._tick)
                    self._give_way()

    def _look_ahead(self) -> None:
        """Find the instant from which something is late if it is not done."""
        at_s = self._release.at_s
        self._due_s = min(feed.due_s(self._tick, at_s) for feed in self._feeds.values())

    def _deliver(self, feed: Feed) -> None:
        """Offer the bodies that are ready; where asked to, only when there is room."""
        for outlet in feed.outlets:
            while outlet.ready:
                if self._must_wait(outlet):
                    self._look_ahead()
                    self._watch_lag()
                    self._release.wait_until(self._release.now_s() + ROOM_S)
                    self._slice_s = self._release.now_s()
                else:
                    outlet.exporter.offer(outlet.ready.popleft())
        self._give_way()

    def _must_wait(self, outlet: Outlet) -> bool:
        if not self._wait_on_full or outlet.exporter.room(len(outlet.ready[0].content)):
            return False
        return not self._stopping or self._release.now_s() < self._deadline_s

    def _give_way(self) -> None:
        """Give the others on the event loop a turn once the slice is used up."""
        if self._release.now_s() - self._slice_s > SLICE_S:
            self._release.turn()
            self._slice_s = self._release.now_s()

    def _end(self) -> None:
        with ExitStack() as closing:
            for exporter in self._exporters():
                closing.callback(exporter.close)
            # They were due before the end, and waited for their body to be full.
            self._let_out(self._last_tick)
            for feed in self._feeds.values():
                feed.end(self._tick, self._release.now_s(), self._give_way)
                self._deliver(feed)
            for exporter in self._exporters():
                exporter.drain(max(0.0, self._deadline_s - self._release.now_s()))

    def _exporters(self) -> Sequence[Exporter]:
        outlets = chain.from_iterable(feed.outlets for feed in self._feeds.values())
        return list(dict.fromkeys(outlet.exporter for outlet in outlets))

    def _lag_ns(self) -> int:
        late_s = self._release.now_s() - self._due_s if self._began_s else 0.0
        return max(0, round(late_s * 1e9))

    def _watch_lag(self) -> None:
        lag_ns = self._lag_ns()
        self._lag_max_ns = max(self._lag_max_ns, lag_ns)
        if not self._lagging and lag_ns > LAG_NS:
            self._lagging = True
            logger.warning("lag above 1 s: ticks are let out later than they are due")
        elif self._lagging and lag_ns < NO_LAG_NS:
            self._lagging = False
            logger.info("lag back to 0, at most it was %.1f s", self._lag_max_ns / 1e9)
