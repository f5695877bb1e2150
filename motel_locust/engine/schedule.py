"""The schedule: when the traces of all users of a process arrive.

A user is a row; its n-th arrival is a pure function of the row and n. So arrivals may be asked for
in any pieces, ahead of time, again, and after users came or went: the answer depends on the
users alone, never on the questions.

Rows are looked at once per *window*, a stretch of time with some arrivals for each of them. What is
due is then a slice of the window, and 10,000 users cost a tick no more than ten do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, factorial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.ranges import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.traffic import Block, Position, Timeline
    from motel_locust.topology.traffic import Arrivals

TICK_NS: Final = 10_000_000
"""The step of simulated time. It shapes what queues and breakers do, so it is no setting."""

# Two columns: the user's row, and the traces since the epoch, on top of a block's.
Due: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float64]]"

NEVER: Final = np.iinfo(np.int64).max
ROW: Final = np.dtype(
    [
        ("user", np.int64),
        ("joined_ns", np.int64),
        ("left_ns", np.int64),  # NEVER while present
        ("whole", np.int64),  # the traces since the epoch at which the first arrival is due:
        ("part", np.float64),  # a whole number and a part from 0 to below 1
    ]
)
Rows: TypeAlias = "NDArray[np.void]"

# Phases of successive users are spread evenly, however many there are: the golden ratio's fraction.
PHASE: Final = 0.618034

_WINDOW_ARRIVALS: Final = 4_096
_WINDOW_ARRIVALS_PER_ROW: Final = 4
_FIRST_WINDOW_NS: Final = 1_000_000_000
_LAST_WINDOW_NS: Final = 64_000_000_000

# Blocks are asked for a little more than the time in question, as a number of traces that rounding
# put on the wrong side must not be missed. What is too much is sorted out by its time.
_MARGIN_TRACES: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What is due from ``start_ns`` to ``stop_ns``: ``time_ns`` int64[arrivals], sorted."""

    start_ns: int
    stop_ns: int
    time_ns: NDArray[np.int64]


class Schedule:
    """The arrivals of users who come and go. Times are ns since the epoch.

    A user's rate is the timeline's. ``paced``: the n-th arrival, n from 0, is due when the user has
    made n traces and its phase since joining, in the next whole ns; user 0 has phase 0 and begins
    with its joining. ``poisson``: a Poisson process of the same rate.

    Args:
        timeline: the traffic of one user.
        arrivals: how they are spread.
        key: 64 bits that fix the draws of ``poisson``.
    """

    def __init__(self, timeline: Timeline, *, arrivals: Arrivals, key: int) -> None:
        self._timeline, self._key = timeline, np.uint64(key)
        self._paced = arrivals == "paced"
        self._rows: Rows = np.empty(16, ROW)
        self._count = 0
        self._present: dict[int, int] = {}
        self._window: Window | None = None
        self._window_ns = _FIRST_WINDOW_NS
        # What the window does not know yet: rows from here on, and departures.
        self._counted = 0
        self._departed: list[int] = []

    def join(self, user: int, at_ns: int) -> None:
        """Let *user* begin at *at_ns*. One who has left may join again, as if new.

        Raises:
            ValueError: the user is present.
        """
        if user in self._present:
            raise ValueError(f"user {user} has joined already")
        if self._count == self._rows.size:
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        self._rows[self._count] = (user, at_ns, NEVER, *self._first(user, at_ns))
        self._present[user] = self._count
        self._count += 1

    def leave(self, user: int, at_ns: int) -> None:
        """Let *user* have no arrivals at *at_ns* or after.

        Raises:
            ValueError: the user is not present.
        """
        if user not in self._present:
            raise ValueError(f"user {user} has not joined")
        row = self._present.pop(user)
        self._rows["left_ns"][row] = at_ns
        if row < self._counted:
            self._departed.append(row)

    def share(self, users: int | None, at_ns: int) -> None:
        """From *at_ns* on divide the topology's rate by *users*, or by nothing.

        What was said before about any later time is void.
        """
        self._timeline.share(1 if users is None else users, at_ns)
        rows = self._rows[: self._count]
        for row in np.flatnonzero(rows["joined_ns"] > at_ns).tolist():
            rows["whole"][row], rows["part"][row] = self._first(
                int(rows["user"][row]), int(rows["joined_ns"][row])
            )
        # While users change, a long window is work thrown away.
        self._window, self._window_ns = None, _FIRST_WINDOW_NS

    def forget(self, before_ns: int) -> None:
        """Give up the rows of users who left by *before_ns*; no earlier time is asked for again."""
        rows = self._rows[: self._count]
        kept = rows["left_ns"] > before_ns
        # Rows are moved once for as many as are given up, whatever the steps.
        if np.count_nonzero(kept) * 2 > rows.size:
            return
        window = self._fitting_window()
        self._window = None if window is None else self._updated(window)
        self._rows = np.concatenate((rows[kept], np.empty(16, ROW)))
        self._count = self._counted = int(np.count_nonzero(kept))
        self._departed = []
        moved = kept.cumsum() - 1
        self._present = {user: int(moved[row]) for user, row in self._present.items()}

    def rate(self, t_ns: int) -> float:
        """Return the rate of all users together at *t_ns*, in traces per second."""
        rows = self._rows[: self._count]
        present = (rows["joined_ns"] <= t_ns) & (t_ns < rows["left_ns"])
        return self._timeline.rate(t_ns) * int(np.count_nonzero(present))

    def due(self, start_ns: int, stop_ns: int) -> NDArray[np.int64]:
        """Return the arrivals from *start_ns* to before *stop_ns*: sorted, not to be written to."""
        window = self._fitting_window()
        if window is None or start_ns < window.start_ns or stop_ns > window.stop_ns:
            window = self._look_ahead(start_ns, stop_ns)
        elif self._departed or self._counted < self._count:
            window = self._updated(window)
        self._window = window
        first, last = window.time_ns.searchsorted((start_ns, stop_ns))
        return window.time_ns[first:last]

    def horizon(self, start_ns: int, *, traces: int, at_most_ns: int) -> int:
        """Return when about *traces* are due since *start_ns*, at most *at_most_ns*.

        All who are present at some time in between count as if they were all along. Later than
        *start_ns*, if *at_most_ns* is.
        """
        rows = self._rows[: self._count]
        users = np.count_nonzero((rows["joined_ns"] < at_most_ns) & (rows["left_ns"] > start_ns))
        if not users:
            return at_most_ns
        stop_ns = self._timeline.reach(start_ns, traces=traces / users, at_most_ns=at_most_ns)
        return min(max(stop_ns, start_ns + 1), at_most_ns)

    def _first(self, user: int, at_ns: int) -> tuple[int, float]:
        """Return the traces since the epoch at which the first arrival is due."""
        whole, part = self._timeline.position(at_ns)
        part += user * PHASE % 1 if self._paced else 0.0
        return (whole + 1, part - 1) if part >= 1 else (whole, part)

    def _fitting_window(self) -> Window | None:
        """Return the window, unless so many users came since that it has become far too long.

        With a rate of millions a second, the arrivals of the first user alone would take 200 MB.
        """
        return None if self._count > 2 * self._counted else self._window

    def _look_ahead(self, start_ns: int, stop_ns: int) -> Window:
        """Return a new window from *start_ns* to *stop_ns*, or further."""
        ahead_ns = self.horizon(
            start_ns,
            traces=max(_WINDOW_ARRIVALS, _WINDOW_ARRIVALS_PER_ROW * self._count),
            at_most_ns=start_ns + self._window_ns,
        )
        self._window_ns = min(2 * self._window_ns, _LAST_WINDOW_NS)
        stop_ns = max(stop_ns, ahead_ns)
        rows = self._rows[: self._count]
        row, time_ns = self._arrivals(rows, start_ns, stop_ns)
        self._counted, self._departed = self._count, []
        return Window(start_ns, stop_ns, _sorted(time_ns[time_ns < rows["left_ns"][row]]))

    def _updated(self, window: Window) -> Window:
        """Return *window* with the users that came since it was made, without those that left."""
        rows, time_ns = self._rows, window.time_ns
        if self._counted < self._count:
            new = rows[self._counted : self._count]
            row, due_ns = self._arrivals(new, window.start_ns, window.stop_ns)
            due_ns = due_ns[due_ns < new["left_ns"][row]]
            time_ns = _sorted(np.concatenate((time_ns, due_ns)))
        if self._departed:
            gone = rows[self._departed]
            row, due_ns = self._arrivals(gone, window.start_ns, window.stop_ns)
            time_ns = _without(time_ns, _sorted(due_ns[due_ns >= gone["left_ns"][row]]))
        self._counted, self._departed = self._count, []
        return replace(window, time_ns=time_ns)

    def _arrivals(
        self, rows: Rows, start_ns: int, stop_ns: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the arrivals of *rows*, as if nobody left, in that time: their rows and times."""
        found_row, found_ns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        # An arrival at start_ns lies up to a nanosecond before it, maybe in the block before.
        for block in self._timeline.blocks(max(start_ns - 1, 0), stop_ns):
            low, high = _bounds(block, start_ns - 1, stop_ns)
            spread = self._paced_due if self._paced else self._poisson_due
            row, traces = spread(rows, block, low, high)
            # Where the rate is so low that rounding matters, nobody arrives before joining.
            time_ns = np.maximum(block.instants(traces), rows["joined_ns"][row])
            these = (time_ns >= start_ns) & (time_ns < stop_ns)
            found_row.append(row[these])
            found_ns.append(time_ns[these])
        return np.concatenate(found_row), np.concatenate(found_ns)

    def _paced_due(self, rows: Rows, block: Block, low: Position, high: Position) -> Due:
        """Return what is due between the two positions, at one trace's distance in each row."""
        part = rows["part"]
        first = np.maximum(_next_whole(low, part), rows["whole"])
        row, whole = ranges(first, _next_whole(high, part))
        return row, (whole - block.whole) + part[row]

    def _poisson_due(self, rows: Rows, block: Block, low: Position, high: Position) -> Due:
        """Return what is due between the two positions, of a Poisson process in each row.

        From each whole number of a user's traces to the next there are Poisson(1) arrivals, at
        places drawn evenly: an exact Poisson process, without any sum carried along.
        """
        part = rows["part"]
        # The stretch that began before the low position may reach beyond it.
        first = np.maximum(_next_whole(low, part) - 1, rows["whole"])
        row, whole = ranges(first, _next_whole(high, part))
        keys = draws.draw_words(rows["user"].astype(np.uint64), self._key)
        nth = (whole - rows["whole"][row]).astype(np.uint64)
        words = draws.draw_words(keys[row], nth * _ODD)
        many = _POISSON.searchsorted(words, "right")
        cell, place = ranges(np.zeros_like(many), many)
        words = draws.draw_words(words[cell], (place + 1).astype(np.uint64) * _ODD)
        row, whole = row[cell], whole[cell]
        drawn = part[row] + (words >> _11) * 2.0**-53
        carried = drawn >= 1
        whole, drawn = whole + carried, drawn - carried
        after_low = (whole > low.whole) | (whole == low.whole) & (drawn >= low.part)
        before_high = (whole < high.whole) | (whole == high.whole) & (drawn < high.part)
        these = after_low & before_high
        return row[these], (whole[these] - block.whole) + drawn[these]


# Spreads successive numbers before they are mixed: splitmix64's increment, see engine/draws.py.
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_11: Final = np.uint64(11)


def _poisson_bounds() -> NDArray[np.uint64]:
    """Return the words below which at most 0, 1, ... 19 arrivals are drawn; 20 have 2**-63."""
    chances = np.cumsum([exp(-1) / factorial(many) for many in range(20)])
    return np.array([min(int(chance * draws.WORDS), draws.WORDS - 1) for chance in chances], "u8")


_POISSON: Final = _poisson_bounds()


def _bounds(block: Block, start_ns: int, stop_ns: int) -> tuple[Position, Position]:
    """Return the positions in *block* at the two instants, a margin apart, but not beyond it.

    The end of a block is exactly the start of the next: no arrival belongs to both, or to neither.
    """
    start_ns, stop_ns = np.clip((start_ns, stop_ns), block.time_ns[0], block.time_ns[-1])
    low, high = block.traces_by(np.array([start_ns, stop_ns]))
    return (
        block.position(max(float(low) - _MARGIN_TRACES, float(block.traces[0]))),
        block.position(min(float(high) + _MARGIN_TRACES, float(block.traces[-1]))),
    )


def _next_whole(position: Position, part: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the least whole numbers that together with *part* are not before *position*."""
    return position.whole + (position.part > part)


def _sorted(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    # Rows follow one another, each in order. 7x over a plain sort with 10 rows, 1.3x with 10,000.
    return np.sort(time_ns, kind="stable")


def _without(time_ns: NDArray[np.int64], gone_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return *time_ns* without *gone_ns*, once for each; both sorted, the first has them all."""
    ordinal = np.arange(gone_ns.size) - gone_ns.searchsorted(gone_ns)
    return np.delete(time_ns, time_ns.searchsorted(gone_ns) + ordinal)
