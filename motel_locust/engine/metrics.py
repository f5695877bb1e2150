"""Metrics: what the instruments of a topology record in simulated time, and its collection.

Everything is a pure function of the spans that were released and of the instants of collection:
sums are of whole numbers, choices are by hashes, so batches leave no trace.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.engine.definitions import definitions
from motel_locust.engine.engine import carry_on
from motel_locust.engine.ensembles import Ensembles
from motel_locust.engine.instances import all_instances
from motel_locust.engine.instruments import Instrument
from motel_locust.engine.intake import Intake, Intervals
from motel_locust.engine.points import MetricPoints, PointColumns
from motel_locust.engine.released import Released
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.series import MOST_SERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.definitions import MetricDefinition
    from motel_locust.engine.ensembles import Ensemble
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
        shared: whether other processes run the same instances of services.
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
        shared: bool = False,
    ) -> None:
        self._topology, self._realtime = topology, realtime
        self._origin_ns = epoch_ns + time_offset_ns
        self._intervals = Intervals(interval_ns, origin_ns=self._origin_ns)
        self._boundaries = scenarios.boundaries(topology)
        self._temporality, self._exemplars = temporality, exemplars
        self._most_series = most_series
        seed = draws.key(seed, name)
        found = list(definitions(topology, seed=seed, worker=worker, shared=shared))
        self._order = {(each.service, each.metric.name): place for place, each in enumerate(found)}
        instances = all_instances(topology, seed=seed, origin_ns=self._origin_ns)
        self._ensembles = Ensembles(found, instances, self._instrument, origin_ns=self._origin_ns)
        self._intakes = self._taken_in(found)
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
                intake.begin(spans.start_ns, spans.resource)
            elif first == 0:
                # A trace that has begun goes on to its end, so its spans begin whether or not
                # they have been let out by then.
                intake.begin(columns.start_ns, columns.resource)
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
        found = self._collected(at_ns, time_ns, pause)
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
        return self._ensembles.overflowed()

    def _taken_in(self, found: Sequence[MetricDefinition]) -> dict[tuple[str, str], Intake]:
        """Return the intakes of all operations whose spans are recorded, by service and name."""
        recorded = {
            (each.service, operation): False
            for each in found
            if not each.by_time
            for operation in each.operations
        }
        for each in found:
            if each.counts_active:
                recorded |= dict.fromkeys([(each.service, name) for name in each.operations], True)
        return {
            place: Intake(
                place[1], self._recording(*place), self._intervals, counting=counts_active
            )
            for place, counts_active in recorded.items()
        }

    def _recording(
        self, service: str, operation: str
    ) -> Callable[[int | None], Sequence[Instrument]]:
        """Return what finds the instruments of an operation, given the resource."""

        def instruments(resource: int | None) -> Sequence[Instrument]:
            ensemble = self._ensembles.of(service, resource)
            ensemble.used = True
            return ensemble.recording(service, operation)

        return instruments

    def _instrument(self, definition: MetricDefinition) -> Instrument:
        return Instrument(
            definition,
            temporality=self._temporality,
            exemplars=self._exemplars,
            most_series=self._most_series,
        )

    def _settle(self, pause: Callable[[], object]) -> None:
        for intake in self._intakes.values():
            intake.settle()
            pause()
        self._waiting = 0

    def _collected(
        self, at_ns: int, time_ns: int, pause: Callable[[], object]
    ) -> list[PointColumns]:
        """Return the points of all ensembles, and let those be gone whose resources are."""
        active, now_ns = scenarios.active(self._topology, at_ns), self._origin_ns + at_ns
        found: list[PointColumns] = []
        for ensemble in self._ensembles.all():
            living = ensemble.end_ns > now_ns
            if living:
                found += self._ensembles.told(
                    ensemble, ensemble.gauges.collect(at_ns, active, time_ns=time_ns)
                )
            if living or ensemble.used or ensemble.busy:
                found += self._ensembles.told(ensemble, self._counted(ensemble, time_ns, pause))
            else:
                self._ensembles.dismiss(ensemble, time_ns)
            ensemble.used = False
        return found

    def _counted(
        self, ensemble: Ensemble, time_ns: int, pause: Callable[[], object]
    ) -> Iterator[PointColumns]:
        """Yield the points of all instruments that have recorded anything."""
        for instrument in ensemble.instruments:
            delta = instrument.shape.temporality == "delta"
            start_ns = max(self._last_ns if delta else self._start_ns, ensemble.begin_ns)
            points = instrument.collect(start_ns=start_ns, time_ns=time_ns)
            if points is not None:
                yield points
            pause()

    def _sample(self, at_ns: int, pause: Callable[[], object]) -> None:
        """Record by time what is due up to *at_ns*, itself included."""
        origin_ns, sampled_ns = self._origin_ns, max(self._sampled_ns, at_ns)
        self._ensembles.enlist(origin_ns + self._sampled_ns, origin_ns + sampled_ns)
        for ensemble in self._ensembles.all():
            begin_ns, end_ns = ensemble.begin_ns - origin_ns, ensemble.end_ns - origin_ns
            for instrument in ensemble.instruments:
                every_ns = instrument.definition.metric.interval
                if every_ns is None:
                    continue
                # The n-th sample is due at n * every_ns; a scenario's first one at its start or
                # after.
                first = max(self._sampled_ns // every_ns + 1, -(-begin_ns // every_ns))
                stop = min(at_ns, end_ns - 1) // every_ns + 1
                changes = {-(-boundary // every_ns) for boundary in self._boundaries.tolist()}
                cuts = [each for each in sorted(changes) if first < each < stop]
                for begin, end in pairwise([first, *cuts, stop]):
                    active = scenarios.active(self._topology, begin * every_ns)
                    for number in range(begin, end, _SAMPLES_TOGETHER):
                        upto = min(number + _SAMPLES_TOGETHER, end)
                        instrument.sample(np.arange(number, upto), active)
                        ensemble.used = True
                        pause()
        self._sampled_ns = sampled_ns
