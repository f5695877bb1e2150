"""The two clocks: simulated time, and the wall clock that lets it out.

Nothing else in the package compares simulated with real time. Words: the *epoch* is the Unix time
of simulated instant 0, the same on every process of a cluster; a *tick* is ``TICK_NS`` of simulated
time; tick *k* begins at ``k * TICK_NS`` and is due when it is over, so that nothing is let out
before its time. Instants in seconds are those of the monotonic clock, which deliveries use too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from gevent.hub import Waiter

from motel_locust.engine.schedule import TICK_NS
from motel_locust.otlp.turns import TURN_S

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_for(alarm: Event, seconds: float) -> None:
    """Wait until *alarm* is set, or for *seconds*.

    ``Event.wait`` would end its timeout with an exception; of the CPU of a process that wakes ten
    times a second and does nothing, that is a quarter.
    """
    hub = gevent.get_hub()
    waiter: Waiter[object] = Waiter(hub)
    timer = hub.loop.timer(seconds)
    try:
        # Not by setting the alarm, whose news wait behind all that is about to run: thousands of
        # users, when a test starts.
        timer.start(waiter.switch, None, update=True)
        alarm.rawlink(waiter.switch)
        waiter.get()
    finally:
        timer.close()
        alarm.unlink(waiter.switch)


class Release:
    """Tells which tick is due, and waits for the next one.

    *epoch_ns* is Unix time. The distance to it is read from the wall clock once; from then on the
    monotonic clock counts, so that a clock set right during a run does not move the schedule. Where
    the epoch is another machine's, :meth:`begin_at` tells it in this one's monotonic time.
    """

    def __init__(
        self,
        epoch_ns: int,
        *,
        unix_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[Event, float], object] = wait_for,
    ) -> None:
        self._monotonic_ns, self._wait = monotonic_ns, wait
        # When tick 0 is over.
        self._origin_ns = monotonic_ns() + epoch_ns - unix_ns() + TICK_NS
        self._alarm = Event()

    def begin_at(self, epoch_ns: int) -> None:
        """Let the epoch be at *epoch_ns* of the monotonic clock, from now on."""
        self._origin_ns = epoch_ns + TICK_NS

    def elapsed_ns(self) -> int:
        """Return the time since the epoch; negative before it."""
        return self._monotonic_ns() - self._origin_ns + TICK_NS

    def now_s(self) -> float:
        """Return the present instant."""
        return self._monotonic_ns() / 1e9

    def at_s(self, tick: int) -> float:
        """Return the instant at which *tick* is due.

        Multiplied, never summed up from sleeps: one that was late moves none after it.
        """
        return (self._origin_ns + tick * TICK_NS) / 1e9

    def due(self) -> int:
        """Return the last tick that is due; negative before the epoch."""
        return (self._monotonic_ns() - self._origin_ns) // TICK_NS

    def wait_until(self, instant_s: float) -> None:
        """Wait until *instant_s* or the next alarm, whichever comes first."""
        self._wait(self._alarm, max(instant_s - self.now_s(), TURN_S))
        self._alarm.clear()

    def alarm(self) -> None:
        """End the wait that is going on, or the next one."""
        self._alarm.set()

    def turn(self) -> None:
        """Let everybody else on the event loop have a turn."""
        gevent.sleep(TURN_S)
