"""The way of an operation's spans into its instruments: each waits for the interval of its end.

A span is released at the arrival of its trace, and ends later; what has not ended when points are
collected is not in them. *Intervals* are the stretches of simulated time between collections,
numbered from 0; the times of spans are Unix times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine.released import join
from motel_locust.engine.schedule import TICK_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.instruments import Instrument
    from motel_locust.engine.released import Released
    from motel_locust.engine.scenarios import Active

# With few rows, the cost is that of calls into NumPy; parts of a row or two would take more memory
# than what they hold.
_ROWS_TOGETHER: Final = 16_384
_PARTS_TOGETHER: Final = 128


class Intervals:
    """The time between collections, cut at the first tick from each multiple of *interval_ns* on.

    Attributes:
        current: the interval that is being recorded.
        stop_ns: where it ends, Unix time.
    """

    def __init__(self, interval_ns: int, *, origin_ns: int) -> None:
        self._interval_ns, self._origin_ns = interval_ns, origin_ns
        self.enter(0)

    def enter(self, at_ns: int) -> None:
        """Let the interval be current that *at_ns*, the start of a tick, lies in."""
        self.current = at_ns // self._interval_ns
        ticks = -(-(self.current + 1) * self._interval_ns // TICK_NS)
        self.stop_ns = self._origin_ns + ticks * TICK_NS

    def of(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the intervals of *time_ns*, the current one for times before: int64[rows]."""
        since_ns = time_ns - self._origin_ns
        since_ns -= since_ns % TICK_NS
        return np.maximum(since_ns // self._interval_ns, self.current)


class Intake:
    """The spans of *operation* and the *instruments* that record them, by resource.

    *counting* tells whether any of these counts the spans that are going on.

    Attributes:
        rows: spans that wait to be handed to the instruments.
        latest_ns: the end of the last span that was, in whatever interval; 0 before the first.
    """

    def __init__(
        self,
        operation: str,
        instruments: Callable[[int | None], Sequence[Instrument]],
        intervals: Intervals,
        *,
        counting: bool,
    ) -> None:
        self._operation, self._intervals = operation, intervals
        self._instruments, self._counting = instruments, counting
        self._waiting: defaultdict[Active, list[Released]] = defaultdict(list)
        self._later: defaultdict[int, list[tuple[Active, Released]]] = defaultdict(list)
        self._begun: Counter[tuple[int, int | None]] = Counter()
        self.rows = self._parts = self.latest_ns = 0

    def begin(self, start_ns: NDArray[np.int64], resource: NDArray[np.int64] | None = None) -> None:
        """Count spans as going on from *start_ns* on, with their *resource*: int64[rows] both."""
        if not self._counting or not start_ns.size:
            return
        if resource is not None:
            interval = self._intervals.of(start_ns)
            first, least = int(interval.min()), int(resource.min())
            width = int(resource.max()) - least + 1
            # Much sooner than the pairs themselves.
            keys = (interval - first) * width + (resource - least)
            found, spans = np.unique(keys, return_counts=True)
            for key, count in zip(found.tolist(), spans.tolist(), strict=True):
                self._begun[first + key // width, least + key % width] += count
        elif start_ns.max() < self._intervals.stop_ns:
            self._begun[self._intervals.current, None] += start_ns.size
        else:
            intervals, spans = np.unique(self._intervals.of(start_ns), return_counts=True)
            for interval, count in zip(intervals.tolist(), spans.tolist(), strict=True):
                self._begun[interval, None] += count

    def add(self, spans: Released, active: Active) -> None:
        """Record *spans*, whose traces met the scenarios *active*, each in the interval it ends."""
        self._waiting[active].append(spans)
        self.rows += spans.rows
        self._parts += 1
        if self.rows >= _ROWS_TOGETHER or self._parts >= _PARTS_TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Hand to the instruments what has come, and keep what ends in later intervals."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        self.rows = self._parts = 0
        for active, parts in waiting.items():
            spans = join(parts)
            last_ns = int(spans.end_ns.max())
            self.latest_ns = max(self.latest_ns, last_ns)
            if last_ns >= self._intervals.stop_ns:
                interval = self._intervals.of(spans.end_ns)
                for number in np.unique(interval).tolist():
                    found = spans.some((interval == number).nonzero()[0])
                    if number == self._intervals.current:
                        self._record(found, active)
                    else:
                        self._later[number].append((active, found))
            else:
                self._record(spans, active)

    def close(self, *, final: bool) -> None:
        """Hand over all that belongs to the current interval; everything if *final*."""
        self.settle()
        last = self._intervals.current
        if final:
            last = max((*self._later, *(interval for interval, _ in self._begun), 0))
        for key in [each for each in self._begun if each[0] <= last]:
            begun = self._begun.pop(key)
            for instrument in self._instruments(key[1]):
                if instrument.definition.counts_active:
                    instrument.begin(self._operation, begun)
        for number in sorted(each for each in self._later if each <= last):
            for active, spans in self._later.pop(number):
                self._record(spans, active)

    def _record(self, spans: Released, active: Active) -> None:
        for resource, found in spans.by_resource():
            for instrument in self._instruments(resource):
                instrument.record(self._operation, found, active)
