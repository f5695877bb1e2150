"""The metrics of a feed: measured as its batches leave, collected on an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.engine.schedule import TICK_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.engine.columns import Batch
    from motel_locust.engine.metrics import Metrics
    from motel_locust.engine.scenarios import Active
    from motel_locust.load.outlet import Outlet
    from motel_locust.otlp.metrics import MetricEncoder


class Meter:
    """What one feed measures, and the *outlet* that its data points take.

    Collections are at multiples of *interval_ns* of simulated time, each rounded up to a tick:
    what is released before that tick is in it, and nothing else, however late all of it is.
    """

    def __init__(
        self, metrics: Metrics, encoder: MetricEncoder, outlet: Outlet, *, interval_ns: int
    ) -> None:
        self.outlet = outlet
        self._metrics, self._encoder = metrics, encoder
        self._interval_ns = interval_ns
        self._collections = 0

    @property
    def tick(self) -> int:
        """The tick before which the next collection comes."""
        return -(-(self._collections + 1) * self._interval_ns // TICK_NS)

    def record(
        self, batch: Batch, parts: slice, active: Active, pause: Callable[[], object]
    ) -> None:
        """Measure *parts* of *batch*, which have left; *active* are the scenarios of its traces.

        Each part comes once, before any collection that it belongs to. *pause* is called now and
        then.
        """
        self._metrics.record(batch, parts, active, pause)

    def collect(
        self,
        tick: int,
        due_s: float,
        now_s: float,
        pause: Callable[[], object],
        *,
        final: bool = False,
    ) -> None:
        """Let the points out that stand at the start of *tick*; the last ones if *final*.

        The times and *pause* as for :meth:`motel_locust.load.feed.Feed.release`.
        """
        points = self._metrics.collect(tick * TICK_NS, final=final, pause=pause)
        for parcel in self._encoder.encode(points, pause):
            self.outlet.take(parcel, due_s, now_s)
        self._collections = tick * TICK_NS // self._interval_ns

    def pass_over(self, tick: int, until: int) -> None:
        """Let nothing be measured from *tick* to before *until*; all before it was measured."""
        self._metrics.pass_over(tick * TICK_NS, until * TICK_NS)
        self._collections = until * TICK_NS // self._interval_ns

    def overflowed(self) -> dict[str, int]:
        """Return how many measurements had no series of their own, by ``service: metric``."""
        return self._metrics.overflowed()
