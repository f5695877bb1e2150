"""Gauges: values at each collection, drawn anew or walking at random; all gauges at once.

A *walk* is an Ornstein-Uhlenbeck process, by its exact step (D. T. Gillespie, "Exact numerical
simulation of the Ornstein-Uhlenbeck process and its integral", 1996): after dt the value x becomes
``mean + (x - mean) * d + deviation * sqrt(1 - d * d) * z`` with ``d = exp(-dt / time scale)`` and a
standard normal z. The value that was shown is the state of the next step, so bounds act on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.points import AttributeSet, MetricShape, PointColumns
from motel_locust.engine.series import attribute_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.definitions import MetricDefinition
    from motel_locust.engine.scenarios import Active


class Gauges:
    """The gauges of one topology, columns with an element for each.

    Args:
        definitions: what they show.
    """

    def __init__(self, definitions: Sequence[MetricDefinition]) -> None:
        metrics = [each.metric for each in definitions]
        self._definitions = definitions
        self.shapes = tuple(
            MetricShape(each.service, each.metric.name, each.metric.unit, "gauge")
            for each in definitions
        )
        self._keys = np.array([each.time_key for each in definitions], np.uint64)
        self._least = np.array([-np.inf if each.min is None else each.min for each in metrics])
        self._greatest = np.array([np.inf if each.max is None else each.max for each in metrics])
        # Without a walk, what was is forgotten at once.
        self._scale_ns = np.array([each.walk or 0 for each in metrics], np.float64)
        self._drawings = [each.attributes() for each in definitions]
        self._fixed = [AttributeSet(bases[0]) for bases, _ in self._drawings]
        self._values: dict[Active, NDArray[np.float64]] = {}
        self._value = np.zeros(len(metrics))
        self._collected_ns: int | None = None
        self._collections = 0

    def collect(self, at_ns: int, active: Active, *, time_ns: int) -> list[PointColumns]:
        """Return a point of each gauge, *at_ns* since the epoch, while scenarios *active* are."""
        if not self._definitions:
            return []
        words = draws.draw_words(self._keys, np.uint64(at_ns))
        if active not in self._values:
            values = [each.value(active) for each in self._definitions]
            self._values[active] = np.array([(each.mean, each.deviation) for each in values]).T
        mean, deviation = self._values[active]
        kept = np.zeros(mean.size)
        if self._collected_ns is not None:
            walking = self._scale_ns.nonzero()[0]
            passed_ns = at_ns - self._collected_ns
            kept[walking] = np.exp(-passed_ns / self._scale_ns[walking])
        value = mean + (self._value - mean) * kept
        value += deviation * np.sqrt(1 - kept * kept) * draws.draw_normals(words)
        self._value = np.clip(value, self._least, self._greatest)
        self._collected_ns = at_ns
        self._collections += 1
        return [
            PointColumns(shape, (self._attributes(place, at_ns),), self._value[[place]], 0, time_ns)
            for place, shape in enumerate(self.shapes)
        ]

    def _attributes(self, place: int, at_ns: int) -> AttributeSet:
        bases, drawing = self._drawings[place]
        if not drawing.attributes:
            return self._fixed[place]
        columns = drawing.draw(
            draws.draw_words(self._keys[[place]], np.uint64(at_ns)), np.array([self._collections])
        )
        return attribute_set(bases[0], drawing.attributes, columns, row=0)
