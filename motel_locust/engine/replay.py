"""A tape replayed by any number of users: the other thing, besides a topology, that a feed walks.

Every user replays the whole tape from when it joins, with ids of its own. Times between traces are
divided by the *speed*; inside a trace they stay what they were. Users who join together would send
the same traces at the same instants, so each begins a little later than the one before, by less
than the mean time between two traces; user 0 begins at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.assembly import NOTHING
from motel_locust.engine.engine import MOST_SPANS, SPANS_OF_A_SHAPE, carry_on
from motel_locust.engine.ranges import ranges
from motel_locust.engine.schedule import NEVER, PHASE, TICK_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.tape import Tape

SECOND_NS: Final = 1_000_000_000
LEAST_STRETCH_NS: Final = 1_000_000
"""However many traces there are, a stretch is not cut shorter."""


class Users(NamedTuple):
    """Users, one element each.

    number    int64[users]
    began_ns  int64[users]  since the epoch; the first trace is due then
    left_ns   int64[users]  since the epoch, NEVER while present
    """

    number: NDArray[np.int64]
    began_ns: NDArray[np.int64]
    left_ns: NDArray[np.int64]


class Due(NamedTuple):
    """Traces that are due: columns of equal length, in the order of their times.

    user     int64[picks]  the user's number
    loop     int64[picks]  how often that user has replayed the whole tape before
    trace    int64[picks]  index on the tape
    time_ns  int64[picks]  since the epoch
    """

    user: NDArray[np.int64]
    loop: NDArray[np.int64]
    trace: NDArray[np.int64]
    time_ns: NDArray[np.int64]


class Replay:
    """One tape, replayed by users who come and go. Times are ns since the epoch.

    Everything is a pure function of the tape, the seed and the joins and leaves; how far and in
    which steps it is walked, and when, changes nothing.

    Args:
        tape: what every user replays.
        seed: fixes the ids.
        name: tells apart replays that share a seed, so that no id is made twice.
        epoch_ns: when the test begins, Unix time.
        speed: how many times faster than recorded.
        loops: how often each user replays the tape; 0 means for ever.
        time_offset_ns: added to all times of spans.
        verbatim: times of spans stay as they were recorded.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        seed: int,
        epoch_ns: int,
        name: str = "",
        speed: float = 1.0,
        loops: int = 1,
        time_offset_ns: int = 0,
        verbatim: bool = False,
    ) -> None:
        self.walked_ns = 0
        self._tape, self._epoch_ns, self._loops = tape, epoch_ns, loops
        self._time_offset_ns, self._verbatim = time_offset_ns, verbatim
        self._keys = np.array([draws.key(seed, name, "id", half) for half in (0, 1)], np.uint64)
        after_ns = (tape.start_ns - tape.start_ns[0]) / speed
        self._after_ns = after_ns.astype(np.int64)
        """When each trace is due after its user began: int64[traces], ascending."""
        # A user begins again when the last span has ended, but not at once if all are 0 long.
        length_ns = max(tape.end_ns - int(tape.start_ns[0]), TICK_NS)
        self._period_ns = max(int(length_ns / speed), int(self._after_ns[-1]), 1)
        # As a topology's batches: few rows of a shape at once fit a slice of the event loop.
        spans = min(MOST_SPANS, SPANS_OF_A_SHAPE * len(tape.tracks))
        self._most_traces = max(1.0, spans / float(tape.spans.mean()))
        self._rows: list[tuple[int, int, int]] = []
        self._place: dict[int, int] = {}
        self._users: Users | None = None

    def join(self, user: int, at_ns: int) -> None:
        """Let *user* begin at *at_ns*, the start of a tick of which nothing is released yet.

        If more was walked already, ``walked_ns`` becomes *at_ns*, and what was handed out from
        there on never existed.
        """
        self._go_back(at_ns)
        phase_ns = int(user * PHASE % 1 * self._period_ns / self._after_ns.size)
        self._place[user] = len(self._rows)
        self._rows.append((user, at_ns + phase_ns, NEVER))

    def leave(self, user: int, at_ns: int) -> None:
        """Let *user* start no trace at *at_ns* or after; otherwise as :meth:`join`."""
        self._go_back(at_ns)
        place = self._place.pop(user)
        _, began_ns, _ = self._rows[place]
        self._rows[place] = user, began_ns, at_ns

    def share(self, users: int | None, at_ns: int) -> None:
        """Change nothing: a recording has no rate that users could share."""

    def pass_over(self, start_ns: int, stop_ns: int) -> None:
        """Let nothing be sent of what is due from *start_ns* to *stop_ns*, both starts of ticks."""
        self._go_back(start_ns)
        self.walked_ns = max(self.walked_ns, stop_ns)

    def could_go_back(self, to_ns: int) -> bool:
        """Return True: users may change at any time of which nothing is released yet."""
        del to_ns
        return True

    def rate(self, t_ns: int) -> float:
        """Return the traces that all users together begin in the second from *t_ns* on."""
        low, high = self._places(t_ns, t_ns + SECOND_NS)
        return float((high - low).sum())

    def active(self, t_ns: int) -> Active:
        """Return no scenario: what was recorded has none."""
        del t_ns
        return ()

    def scenarios(self, t_ns: int) -> tuple[str, ...]:
        """Return nothing: what was recorded changes no more."""
        del t_ns
        return ()

    def walk(self, until_ns: int, pause: Callable[[], object] = carry_on) -> Batch:
        """Walk the next stretch of time and return its spans; it may have none.

        The stretch ends at *until_ns*, or sooner where many spans have come together. *pause* is
        called now and then; it must not change the replay.
        """
        start_ns, stop_ns = self.walked_ns, until_ns
        low, high = self._places(start_ns, stop_ns)
        while stop_ns - start_ns > LEAST_STRETCH_NS and (high - low).sum() > self._most_traces:
            stop_ns = start_ns + max((stop_ns - start_ns) // 2, LEAST_STRETCH_NS)
            low, high = self._places(start_ns, stop_ns)
        self.walked_ns = stop_ns
        due = self._due(low, high)
        if not due.trace.size:
            return NOTHING
        tick_ns = self._epoch_ns + due.time_ns // TICK_NS * TICK_NS
        first_ns = self._epoch_ns + due.time_ns + self._time_offset_ns
        return self._tape.batch(
            due.trace,
            self._pass_keys(due),
            start_ns=self._tape.start_ns[due.trace] if self._verbatim else first_ns,
            tick_ns=tick_ns,
            pause=pause,
        )

    def _go_back(self, at_ns: int) -> None:
        self.walked_ns, self._users = min(self.walked_ns, at_ns), None

    def _present(self) -> Users:
        """Return the users whose traces may be asked for, in columns."""
        if self._users is None:
            # Nothing before walked_ns is asked for again, so whoever left by then is forgotten.
            self._rows = [row for row in self._rows if row[2] > self.walked_ns]
            self._place = {row[0]: place for place, row in enumerate(self._rows) if row[2] == NEVER}
            self._users = Users(*np.array(self._rows, np.int64).reshape(-1, 3).T)
        return self._users

    def _places(self, start_ns: int, stop_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each user's traces that are due in that time begin and end: int64[users].

        A user's traces are counted through all loops.
        """
        users = self._present()
        low = self._passed(start_ns - users.began_ns)
        stop = self._passed(np.minimum(stop_ns, users.left_ns) - users.began_ns)
        return low, np.maximum(low, stop)

    def _passed(self, since_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many traces are due before each time since a user's beginning."""
        since_ns = np.maximum(since_ns, 0)
        loop = since_ns // self._period_ns
        within_ns = since_ns - loop * self._period_ns
        passed: NDArray[np.int64] = loop * self._after_ns.size + self._after_ns.searchsorted(
            within_ns
        )
        if self._loops:
            np.minimum(passed, self._loops * self._after_ns.size, out=passed)
        return passed

    def _due(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> Due:
        row, place = ranges(low, high)
        loop, trace = np.divmod(place, self._after_ns.size)
        users = self._present()
        time_ns = users.began_ns[row] + loop * self._period_ns + self._after_ns[trace]
        order = time_ns.argsort(kind="stable")  # rows follow one another, each in order
        return Due(users.number[row][order], loop[order], trace[order], time_ns[order])

    def _pass_keys(self, due: Due) -> NDArray[np.uint64]:
        """Return what the ids of each trace are drawn from: uint64[picks, 2]."""
        keys = self._keys
        for number in (due.user, due.loop):
            keys = draws.draw_words(draws.nth_keys(keys, number[:, np.newaxis]), _NOTHING_MORE)
        return keys


_NOTHING_MORE: Final = np.uint64(0)
