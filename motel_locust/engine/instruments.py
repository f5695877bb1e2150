"""Instruments: what a metric has added up, series by series, and the points that this comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws, measures
from motel_locust.engine.exponential import ExponentialCounts
from motel_locust.engine.hashed import Hashed
from motel_locust.engine.points import (
    Buckets,
    Exemplars,
    ExponentialBuckets,
    MetricShape,
    PointColumns,
)
from motel_locust.engine.reservoir import MOST_SHOWN, Reservoir
from motel_locust.engine.series import OVERFLOW, Enumerated, possible
from motel_locust.engine.sums import Examples, Extremes, Totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.definitions import MetricDefinition
    from motel_locust.engine.points import PointKind, Temporality, ValueItems
    from motel_locust.engine.released import Released
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.series import Series, Slots
    from motel_locust.topology.signals import MetricType


class Instrument:
    """A counter, an updowncounter or a histogram of either kind, and what it has recorded so far.

    Args:
        definition: what it records.
        temporality: of its points; an updowncounter's are cumulative in any case, as
            https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/ has it.
        exemplars: whether its points show spans that were measured.
        most_series: beyond these, series share one.
    """

    def __init__(
        self,
        definition: MetricDefinition,
        *,
        temporality: Temporality,
        exemplars: bool,
        most_series: int,
    ) -> None:
        metric = definition.metric
        exponential = metric.type == "exponential_histogram"
        histogram = metric.type == "histogram" or exponential
        if metric.type == "updowncounter":
            temporality = "cumulative"
        self.definition = definition
        self.shape = MetricShape(
            definition.service,
            metric.name,
            metric.unit,
            _kind(metric.type),
            monotonic=metric.type == "counter",
            temporality=temporality,
            bounds=measures.bounds_of(metric.unit) if metric.type == "histogram" else (),
        )
        bases, drawing = definition.attributes()
        few = possible(bases, drawing) <= most_series
        self._series: Series = (
            Enumerated(bases, drawing) if few else Hashed(bases, drawing, most_series)
        )
        self._base = {
            name: place if len(bases) > 1 else 0 for place, name in enumerate(definition.operations)
        }
        self._value_key = definition.key("value")
        self._durations = measures.duration_grid(metric.unit)
        self._grid: measures.Grid | None = None
        if metric.value is not None:
            self._grid = measures.grid_of(definition.values())
        elif histogram:
            self._grid = self._durations
        bounds = () if self._grid is None else self._grid.bounds(self.shape.bounds)
        self._bounds = np.array(bounds, np.int64)
        size, self._width = self._series.size, len(self._bounds) + 1
        self._count = np.zeros(size * self._width, np.int64)
        self._active = np.zeros(size, np.int64)
        self._totals = Totals(size) if self._grid is not None else None
        self._extremes = Extremes(size) if histogram else None
        self._exponential: ExponentialCounts | None = None
        if exponential:
            self._exponential = ExponentialCounts(
                size, max_size=metric.max_size, max_scale=metric.max_scale
            )
        self._examples: Examples | None = None
        if exemplars and exponential:
            self._examples = Reservoir(size, width=min(MOST_SHOWN, metric.max_size))
        elif exemplars:
            self._examples = Examples(size, width=self._width)
        self._overflowed = 0

    @property
    def overflowed(self) -> int:
        """How many measurements have found no series of their own."""
        return self._overflowed + self._overflowing()

    @property
    def going_on(self) -> bool:
        """Whether it counts spans that have begun and not ended."""
        return bool(self._active.any())

    def record(self, operation: str, spans: Released, active: Active) -> None:
        """Record *spans* of *operation*, which have ended; their traces met *active* scenarios."""
        if self.definition.counts_active:
            self._active[self._base[operation]] -= spans.rows
            return
        if self.definition.metric.errors_only:
            failed = spans.failed.nonzero()[0]
            if not failed.size:
                return
            if failed.size < spans.rows:
                spans = spans.some(failed)
        slot = self._series.slots(self._base[operation], spans.span_id, spans.number, self._fold)
        steps = self._steps(spans, active)
        cell = self._add(slot, steps, spans.rows)
        if self._examples is not None:
            self._examples.offer(cell, steps, spans)

    def begin(self, operation: str, spans: int) -> None:
        """Count *spans* more of *operation* as going on; only if that is what it counts."""
        base = self._base[operation]
        self._active[base] += spans
        self._count[base] += spans

    def sample(self, number: NDArray[np.int64], active: Active) -> None:
        """Record by time: the samples *number*, int64[rows], which come while *active* are."""
        sample_id = draws.draw_words(number.view(np.uint64), self.definition.time_key)
        slot = self._series.slots(0, sample_id, number, self._fold)
        self._add(slot, self._drawn(sample_id, active), number.size)

    def collect(self, *, start_ns: int, time_ns: int) -> PointColumns | None:
        """Return the points as of *time_ns*, None if there is none.

        Those that are not cumulative begin at *start_ns*, when the last ones were collected.
        """
        slots = self._series.in_order()
        count = self._count.reshape(-1, self._width)
        slots = slots[count[slots].any(axis=1)]
        points = self._points(slots, start_ns, time_ns) if slots.size else None
        if self._examples is not None:
            self._examples.clear()
        if self.shape.temporality == "delta":
            self._begin_anew()
        self._series.keep()
        return points

    def _points(self, slots: NDArray[np.int64], start_ns: int, time_ns: int) -> PointColumns:
        count = self._count.reshape(-1, self._width)[slots]
        value: ValueItems
        if self._grid is not None and self._totals is not None:
            value = self._grid.values(self._totals.values(slots))
        else:
            value = self._active[slots] if self.definition.counts_active else count[:, 0]
        return PointColumns(
            self.shape,
            tuple(map(self._series.attributes, slots.tolist())),
            value,
            start_ns,
            time_ns,
            self._buckets(slots, count),
            self._exemplars(slots),
        )

    def _buckets(
        self, slots: NDArray[np.int64], count: NDArray[np.int64]
    ) -> Buckets | ExponentialBuckets | None:
        """Return what only histograms have of the points at *slots*, *count* included."""
        if self._extremes is None or self._grid is None:
            return None
        least = self._grid.values(self._extremes.least[slots])
        greatest = self._grid.values(self._extremes.greatest[slots])
        if self._exponential is None:
            return Buckets(count, least, greatest)
        return ExponentialBuckets(
            count[:, 0],
            self._exponential.scales(slots),
            self._exponential.zeros(slots),
            self._exponential.positive(slots),
            self._exponential.negative(slots),
            least,
            greatest,
        )

    def _exemplars(self, slots: NDArray[np.int64]) -> Exemplars | None:
        examples = self._examples
        if examples is None or not (cells := examples.cells).size:
            return None
        place = np.zeros(self._series.size, np.int64)
        place[slots] = np.arange(slots.size)
        point = place[cells // examples.width]
        order = point.argsort(kind="stable")
        cells = cells[order]
        steps = examples.steps[cells]
        return Exemplars(
            point[order],
            examples.time_ns[cells],
            steps if self._grid is None else self._grid.values(steps),
            examples.span_id[cells],
            examples.trace_id[cells],
        )

    def _steps(self, spans: Released, active: Active) -> NDArray[np.int64] | None:
        """Return what is measured on *spans*; None where each counts 1."""
        if self.definition.metric.value is not None:
            return self._drawn(spans.span_id, active)
        if self._grid is None:
            return None
        return self._durations.measure(spans.end_ns - spans.start_ns)

    def _drawn(self, keys: NDArray[np.uint64], active: Active) -> NDArray[np.int64]:
        assert self._grid is not None, "what has values has a grid"
        words = draws.draw_words(keys, self._value_key)
        value = self.definition.value(active)
        return self._grid.draw(words, value, positive=self.shape.monotonic)

    def _add(self, slot: Slots, steps: NDArray[np.int64] | None, rows: int) -> Slots:
        """Add measurements to the series at *slot*; return their cells."""
        cell = slot
        if steps is not None and self._totals is not None:
            least, greatest = int(steps.min()), int(steps.max())
            self._totals.add(slot, steps, least=least, greatest=greatest)
            if self._extremes is not None:
                self._extremes.add(slot, steps, least=least, greatest=greatest)
                bucket = self._bucket(steps, least=least, greatest=greatest)
                cell = slot * self._width + bucket
            if self._exponential is not None and self._grid is not None:
                self._exponential.add(slot, self._grid.values(steps))
        if isinstance(cell, int):
            self._count[cell] += rows
        else:
            self._count += np.bincount(cell, minlength=self._count.size)
        return cell

    def _bucket(self, steps: NDArray[np.int64], *, least: int, greatest: int) -> Slots:
        """Return the bucket of each of *steps*, which lie between *least* and *greatest*.

        In plain Python: ``[sum(step > bound for bound in bounds) for step in steps]``
        """
        first, last = self._bounds.searchsorted([least, greatest]).tolist()
        if first == last:
            return int(first)
        # 4.4 ns a row for all 14 bounds, most of which are not in question; np.searchsorted 6.7.
        buckets = np.full(steps.size, first, np.uint8)
        for bound in self._bounds[first:last].tolist():
            buckets += steps > bound
        return buckets.astype(np.int64)

    def _fold(self, slots: NDArray[np.int64]) -> None:
        """Let what was recorded at *slots* count for the series of all others."""
        count = self._count.reshape(-1, self._width)
        count[OVERFLOW] += count[slots].sum(axis=0)
        count[slots] = 0
        if self._totals is not None:
            self._totals.fold(slots, OVERFLOW)
        if self._extremes is not None:
            self._extremes.fold(slots, OVERFLOW)
        if self._exponential is not None:
            self._exponential.fold(slots, OVERFLOW)
        if self._examples is not None:
            self._examples.fold(slots, OVERFLOW)

    def _begin_anew(self) -> None:
        self._overflowed += self._overflowing()
        self._count[:] = 0
        if self._totals is not None:
            self._totals.clear()
        if self._extremes is not None:
            self._extremes.clear()
        if self._exponential is not None:
            self._exponential.clear()
        self._series.forget()

    def _overflowing(self) -> int:
        return int(self._count[: self._width].sum()) if self._series.overflows else 0


def _kind(metric_type: MetricType) -> PointKind:
    """Return the kind of the points of an instrument that adds up."""
    match metric_type:
        case "histogram" | "exponential_histogram":
            return metric_type
        case _:
            return "sum"
