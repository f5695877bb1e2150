"""Metrics: what the instruments of a topology record in simulated time, and its collection.

Everything is a pure function of the spans that were released and of the instants of collection:
sums are of whole numbers, choices are by hashes, so batches leave no trace.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.engine.definitions import definitions
from motel_locust.engine.engine import carry_on
from motel_locust.engine.gauges import Gauges
from motel_locust.engine.instruments import Instrument
from motel_locust.engine.intake import Intake, Intervals
from motel_locust.engine.points import MetricPoints, PointColumns
from motel_locust.engine.released import Released
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.series import MOST_SERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.points import Temporality
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import Topology

# Some 10 MB of columns; with more operations, they are recorded in smaller pieces.
_MOST_WAITING: Final = 300_000
_SAMPLES_TOGETHER: Final = 16_384


class Metrics:
    """The metrics of one engine: what was released of it is recorded here.

    Args:
        topology: the engine's.
        seed: the engine's.
        name: the engine's.
        worker: the index of this process in its cluster.
        epoch_ns: when the test begins, Unix time.
        interval_ns: the time from one collection to the next.
        temporality: of the points.
        realtime: whether spans are released at their end, not with their trace.
        time_offset_ns: added to all times of points, as to those of spans.
        exemplars: whether points show spans that were measured.
        most_series: the series that one instrument may have; those beyond share one.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        epoch_ns: int,
        interval_ns: int,
        name: str = "",
        worker: int = 0,
        temporality: Temporality = "cumulative",
        realtime: bool = False,
        time_offset_ns: int = 0,
        exemplars: bool = True,
        most_series: int = MOST_SERIES,
    ) -> None:
        self._topology, self._realtime = topology, realtime
        self._origin_ns = epoch_ns + time_offset_ns
        self._intervals = Intervals(interval_ns, origin_ns=self._origin_ns)
        self._boundaries = scenarios.boundaries(topology)
        found = list(definitions(topology, seed=draws.key(seed, name), worker=worker))
        self._gauges = Gauges([each for each in found if each.metric.type == "gauge"])
        self._instruments = [
            Instrument(each, temporality=temporality, exemplars=exemplars, most_series=most_series)
            for each in found
            if each.metric.type != "gauge"
        ]
        self._order = {(each.service, each.metric.name): place for place, each in enumerate(found)}
        self._intakes = self._taken_in()
        self._start_ns = self._last_ns = self._origin_ns
        self._sampled_ns = 0
        self._fresh = True
        self._waiting = 0

    def record(
        self,
        batch: Batch,
        parts: int | slice,
        active: Active,
        pause: Callable[[], object] = carry_on,
    ) -> None:
        """Record *parts* of *batch*, which have just been released.

        Parts are released in order, each once; *active* are the scenarios that the batch's traces
        met. *pause* is called now and then; it must not use these metrics.
        """
        if isinstance(parts, int):
            parts = slice(parts, parts + 1)
        first, stop, _ = parts.indices(len(batch.edges_ns))
        if first >= stop:
            return
        self._fresh = False
        starts, stops = batch.rows[:, first].tolist(), batch.rows[:, stop].tolist()
        for columns, start, end in zip(batch.columns, starts, stops, strict=True):
            intake = self._intakes.get((columns.shape.service, columns.shape.name))
            if intake is None or columns.shape.edge:
                continue
            spans = Released.of(batch, columns, slice(start, end))
            if not self._realtime:
                intake.begin(spans.start_ns)
            elif first == 0:
                # A trace that has begun goes on to its end, so its spans begin whether or not
                # they have been let out by then.
                intake.begin(columns.start_ns)
            if spans.rows:
                self._waiting -= intake.rows
                intake.add(spans, active)
                self._waiting += intake.rows
                pause()
        if self._waiting > _MOST_WAITING:
            self._settle(pause)

    def collect(
        self, at_ns: int, *, final: bool = False, pause: Callable[[], object] = carry_on
    ) -> MetricPoints:
        """Return the points as they stand *at_ns* since the epoch, the start of a tick.

        That is at the first tick from each multiple of the interval on, when all ticks before have
        been released, or at the end of a run, *final*: then all spans released are in it, and the
        points are of the time when the last of them has ended. *pause* as for :meth:`record`.
        """
        assert at_ns % TICK_NS == 0, f"{at_ns} ns is not the start of a tick"
        for intake in self._intakes.values():
            intake.close(final=final)
            pause()
        self._waiting = 0
        self._sample(at_ns, pause)
        time_ns = max(self._origin_ns + at_ns, self._last_ns)
        if final:
            time_ns = max([time_ns, *(each.latest_ns for each in self._intakes.values())])
        found = self._gauges.collect(
            at_ns, scenarios.active(self._topology, at_ns), time_ns=time_ns
        )
        found += self._collected(time_ns, pause)
        found.sort(key=lambda each: self._order[each.shape.service, each.shape.name])
        self._last_ns, self._fresh = time_ns, False
        self._intervals.enter(at_ns)
        return MetricPoints(time_ns, tuple(found))

    def pass_over(self, start_ns: int, stop_ns: int) -> None:
        """Let nothing be recorded by time from *start_ns* to *stop_ns*, both since the epoch.

        All before *start_ns* was released. If nothing was recorded yet, points begin at *stop_ns*.
        """
        if self._fresh:
            self._start_ns = self._last_ns = self._origin_ns + stop_ns
        else:
            self._sample(start_ns, carry_on)
        self._sampled_ns = max(self._sampled_ns, stop_ns)

    def overflowed(self) -> dict[str, int]:
        """Return how many measurements had no series of their own, by ``service: metric``."""
        return {
            f"{each.shape.service}: {each.shape.name}": each.overflowed
            for each in self._instruments
            if each.overflowed
        }

    def _taken_in(self) -> dict[tuple[str, str], Intake]:
        """Return the intakes of all operations whose spans are recorded, by service and name."""
        recording = defaultdict(list)
        for instrument in self._instruments:
            definition = instrument.definition
            for operation in () if definition.by_time else definition.operations:
                recording[definition.service, operation].append(instrument)
        return {
            (service, operation): Intake(operation, instruments, self._intervals)
            for (service, operation), instruments in recording.items()
        }

    def _settle(self, pause: Callable[[], object]) -> None:
        for intake in self._intakes.values():
            intake.settle()
            pause()
        self._waiting = 0

    def _collected(self, time_ns: int, pause: Callable[[], object]) -> Iterator[PointColumns]:
        """Yield the points of all instruments that have recorded anything."""
        for instrument in self._instruments:
            delta = instrument.shape.temporality == "delta"
            start_ns = self._last_ns if delta else self._start_ns
            points = instrument.collect(start_ns=start_ns, time_ns=time_ns)
            if points is not None:
                yield points
            pause()

    def _sample(self, at_ns: int, pause: Callable[[], object]) -> None:
        """Record by time what is due up to *at_ns*, itself included."""
        for instrument in self._instruments:
            every_ns = instrument.definition.metric.interval
            if every_ns is None:
                continue
            # The n-th sample is due at n * every_ns; a scenario's first one at its start or after.
            first, stop = self._sampled_ns // every_ns + 1, at_ns // every_ns + 1
            changes = {-(-boundary // every_ns) for boundary in self._boundaries.tolist()}
            cuts = [each for each in sorted(changes) if first < each < stop]
            for begin, end in pairwise([first, *cuts, stop]):
                active = scenarios.active(self._topology, begin * every_ns)
                for number in range(begin, end, _SAMPLES_TOGETHER):
                    upto = min(number + _SAMPLES_TOGETHER, end)
                    instrument.sample(np.arange(number, upto), active)
                    pause()
        self._sampled_ns = max(self._sampled_ns, at_ns)
