"""Metrics in plain Python, one measurement at a time: what the columnar ones must agree with.

It shares with the engine only the draws themselves, and knows nothing of batches, slots or steps.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.topology import model
from tests.oracles.walk import drawn_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from motel_locust.topology.model import Metric, Topology

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
BOUNDS = {
    "s": SECONDS,
    "us": tuple(round(1e6 * bound) for bound in SECONDS),
    "ns": tuple(round(1e9 * bound) for bound in SECONDS),
    "By": tuple(4**power for power in range(3, 16)),
}
OTHER_BOUNDS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)


@dataclass(frozen=True)
class MeasuredSpan:
    service: str
    operation: str
    start_ns: int
    end_ns: int
    failed: bool
    span_id: int
    trace_id: bytes
    number: int | None
    active: tuple[int, ...]
    resource: int | None = None


@dataclass
class ScalarPoint:
    """One series: its measurements, in any order, and what may be shown of them."""

    kind: str
    monotonic: bool = False
    delta: bool = False
    bounds: tuple[float, ...] = ()
    max_size: int = 0
    max_scale: int = 0
    start_ns: int = 0
    values: list[float] = field(default_factory=list)
    candidates: list[tuple[int, float, MeasuredSpan]] = field(default_factory=list)

    @property
    def buckets(self) -> list[int]:
        found = [0] * (len(self.bounds) + 1)
        for value in self.values:
            found[self.bucket(value)] += 1
        return found

    def bucket(self, value: float) -> int:
        return sum(value > bound for bound in self.bounds)

    @property
    def scale(self) -> int:
        """The finest scale at which all values but zeros fit into the buckets of either sign."""
        sides = [list(filter(None, side)) for side in (self.sizes(1), self.sizes(-1))]
        if not any(sides):
            return 0
        for scale in range(self.max_scale, -11, -1):
            indexes = [[index(value, scale) for value in side] for side in sides if side]
            if all(max(side) - min(side) < self.max_size for side in indexes):
                return scale
        raise AssertionError("the coarsest scale has room for all")

    def sizes(self, sign: int) -> list[float]:
        """The values of one sign, without it."""
        return [abs(value) for value in self.values if value * sign > 0]

    def indexes(self, sign: int) -> Counter[int]:
        """How many values of one sign there are by bucket, at the scale."""
        return Counter(index(value, self.scale) for value in self.sizes(sign))

    @property
    def exemplars(self) -> list[tuple[float, MeasuredSpan]]:
        """Of the last interval: the span with the least id of each bucket; or a few of all."""
        inorder = [(value, span) for _, value, span in sorted(self.candidates, key=itemgetter(0))]
        if self.kind == "exponential_histogram":
            return inorder[: min(20, self.max_size)]
        found: dict[int, tuple[float, MeasuredSpan]] = {}
        for value, span in inorder:
            found.setdefault(self.bucket(value), (value, span))
        return list(found.values())


def index(value: float, scale: int) -> int:
    """The bucket of *value* at *scale*, by logarithms of 50 digits."""
    with localcontext(prec=50):
        return math.ceil((octaves(value) * Decimal(2) ** scale).quantize(Decimal(10) ** -25)) - 1


@cache
def octaves(value: float) -> Decimal:
    return Decimal(value).ln() / Decimal(2).ln()


Key = tuple[str, str, frozenset[tuple[str, type, Any]], int | None]
Place = tuple[str, int | None]
"""A service, and which of its resources."""


@dataclass
class ScalarMetrics:
    """All spans of a run, and the points that stand at its collections, one after the other."""

    topology: Topology
    spans: Sequence[MeasuredSpan]
    epoch_ns: int
    seed: int
    worker: int = 0
    delta: bool = False
    name: str = ""
    offset_ns: int = 0
    gone_ns: dict[Place, int] = field(default_factory=dict)
    """When a resource that no longer lives was told of for the last time, since the epoch."""

    def collect(self, *, after_ns: int, at_ns: int, final: bool) -> dict[Key, ScalarPoint]:
        """The points at *at_ns* since the epoch, when those before were collected *after_ns*."""
        found: dict[Key, ScalarPoint] = {}
        recent: set[Place] = set()
        going_on: Counter[Place] = Counter()
        for service, operation, metric in self._metrics():
            if metric.type == "gauge":
                continue
            delta = self.delta and metric.type != "updowncounter"
            derived = metric.type == "updowncounter" and metric.value is None
            for attributes, value, span, time_ns, resource in self._measurements(
                service, operation, metric, until_ns=at_ns
            ):
                place = service, resource
                since_ns = after_ns if delta else self.gone_ns.get(place, 0)
                if span is None:  # by time, the instant of the collection included
                    counts = since_ns < time_ns <= at_ns
                else:
                    counts = (final or time_ns < at_ns) and time_ns >= since_ns
                if not counts:
                    continue
                if time_ns >= after_ns and not (span is None and time_ns == after_ns):
                    recent.add(place)
                going_on[place] += int(value) if derived else 0
                key = (service, metric.name, typed(attributes), resource)
                point = found.setdefault(key, self._point(metric, delta))
                since_ns = max(since_ns, self.lifetime(service, resource)[0])
                point.start_ns = self.epoch_ns + self.offset_ns + since_ns
                point.values.append(value)
                if span is not None and time_ns >= after_ns and not derived:
                    point.candidates.append((span.span_id, value, span))
        for place in {(service, resource) for service, _, _, resource in found}:
            if self.lifetime(*place)[1] <= at_ns and place not in recent and not going_on[place]:
                self.gone_ns[place] = at_ns
        return {
            key: point
            for key, point in found.items()
            if self.gone_ns.get((key[0], key[3])) != at_ns
        }

    def lifetime(self, service: str, resource: int | None) -> tuple[int, float]:
        """From when to before when it lives, since the epoch."""
        instances = self.topology.services[service].instances
        if instances is None or instances.restart_every is None:
            return 0, math.inf
        assert resource is not None
        life, count = instances.restart_every, instances.count
        begin = resource // count * life - life * (count - 1 - resource % count) // count
        return max(begin, 0), begin + life

    def _resources(self, service: str, *, until_ns: int) -> list[int | None]:
        """All that live at any time up to an instant."""
        instances = self.topology.services[service].instances
        if instances is None:
            return [None]
        found, number = [], 0
        while self.lifetime(service, number // instances.count * instances.count)[0] <= until_ns:
            found.append(number)
            number += 1
            if instances.restart_every is None and number == instances.count:
                break
        return [each for each in found if self.lifetime(service, each)[0] <= until_ns]

    def _metrics(self) -> Iterator[tuple[str, str | None, Metric]]:
        for service, owner in self.topology.services.items():
            for metric in owner.metrics:
                yield service, None, metric
            for operation, own in owner.operations.items():
                for metric in own.metrics:
                    yield service, operation, metric

    def _point(self, metric: Metric, delta: bool) -> ScalarPoint:
        if metric.type == "exponential_histogram":
            return ScalarPoint(
                metric.type, delta=delta, max_size=metric.max_size, max_scale=metric.max_scale
            )
        if metric.type == "histogram":
            return ScalarPoint(
                "histogram", delta=delta, bounds=BOUNDS.get(metric.unit, OTHER_BOUNDS)
            )
        return ScalarPoint("sum", monotonic=metric.type == "counter", delta=delta)

    def _measurements(
        self, service: str, operation: str | None, metric: Metric, *, until_ns: int
    ) -> Iterator[tuple[dict[str, Any], float, MeasuredSpan | None, int, int | None]]:
        """Attributes, value, span if any, the time since the epoch, and the resource."""
        place = (draws.key(self.seed, self.name), service, "metric", metric.name)
        scope = service if operation is None else f"{service}.{operation}"
        if metric.interval is not None:
            by_time = [
                (resource, number * metric.interval)
                for resource in self._resources(service, until_ns=until_ns)
                for number in range(1, until_ns // metric.interval + 1)
            ]
            for resource, time_ns in by_time:
                begin_ns, end_ns = self.lifetime(service, resource)
                if not begin_ns <= time_ns < end_ns:
                    continue
                number = time_ns // metric.interval
                purpose = ("time", self.worker)
                instances = self.topology.services[service].instances
                if instances is not None and resource is not None:
                    purpose += ("instance", resource % instances.count)
                key = draws.key(*place, *purpose)
                word = int(draws.draw_words(np.array([number], np.uint64), np.uint64(key))[0])
                named = {} if operation is None else {"operation.name": operation}
                attributes = named | self._drawn(metric, word, number, place)
                active = scenarios.active(self.topology, time_ns)
                value = self._value(metric, scope, active, word, place)
                yield attributes, value, None, time_ns, resource
            return
        for span in self.spans:
            if span.service != service or operation not in (None, span.operation):
                continue
            if metric.errors_only and not span.failed:
                continue
            named = {"operation.name": span.operation}
            attributes = named | self._drawn(metric, span.span_id, span.number, place)
            ends_ns = span.end_ns - self.epoch_ns - self.offset_ns
            if metric.value is not None:
                value = self._value(metric, scope, span.active, span.span_id, place)
                yield attributes, value, span, ends_ns, span.resource
            elif metric.type in ("histogram", "exponential_histogram"):
                took = duration(span.end_ns - span.start_ns, metric.unit)
                yield attributes, took, span, ends_ns, span.resource
            elif metric.type == "counter":
                yield attributes, 1, span, ends_ns, span.resource
            else:
                begins_ns = span.start_ns - self.epoch_ns - self.offset_ns
                yield attributes, 1, span, begins_ns, span.resource
                yield attributes, -1, span, ends_ns, span.resource

    def _value(
        self,
        metric: Metric,
        scope: str,
        active: tuple[int, ...],
        word: int,
        place: tuple[Any, ...],
    ) -> float:
        value = metric.value
        assert value is not None
        for index in active:
            override = self.topology.scenarios[index].override.get(scope)
            if override is not None and metric.name in override.metrics:
                value = override.metrics[metric.name].value
        key = np.array([draws.key(*place, "value")], np.uint64)
        normal = draws.draw_normals(draws.draw_words(key, np.uint64(word)))[0]
        drawn = float(value.mean + value.deviation * normal)
        return max(0.0, drawn) if metric.type == "counter" else drawn

    def _drawn(
        self, metric: Metric, word: int, number: int | None, place: tuple[Any, ...]
    ) -> dict[str, Any]:
        found = {}
        for key, generator in metric.attributes.items():
            found[key] = drawn_value(key, generator, word, *place, "attribute", key)
            if isinstance(generator, model.Sequence):
                found[key] = generator.sequence.replace("{n}", str(number))
        return found


def typed(attributes: dict[str, Any]) -> frozenset[tuple[str, type, Any]]:
    """Attributes to compare: True is not 1."""
    return frozenset((key, type(value), value) for key, value in attributes.items())


def duration(duration_ns: int, unit: str) -> float:
    """A span's duration in *unit*: microseconds are whole, milliseconds the default."""
    match unit:
        case "s":
            return duration_ns / 1e9
        case "us":
            return duration_ns // 1000
        case "ns":
            return duration_ns
    return duration_ns / 1e6
