"""Metrics as a topology defines them: for which operations, with which values and attributes."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.columns import Constant
from motel_locust.engine.values import Drawing, compile_generator
from motel_locust.topology import linking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.engine.columns import Value
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.series import Base
    from motel_locust.topology.model import Metric, Topology
    from motel_locust.topology.quantities import NumberDistribution

OPERATION_NAME: Final = "operation.name"
WORKER: Final = "motel.worker"


def definitions(
    topology: Topology, *, seed: int, worker: int, shared: bool = False
) -> Iterator[MetricDefinition]:
    """Yield the metrics of *topology* in file order, a service's before its operations'.

    *seed* fixes what they draw; what is not drawn for a span differs from worker to worker. Where
    instances are *shared* with other processes, their points tell the worker, so that cumulative
    sums are not taken for one another.
    """
    refs = linking.operations(topology)
    for service, model in topology.services.items():
        scopes: list[tuple[str | None, tuple[Metric, ...]]] = [(None, model.metrics)]
        scopes += [(operation, own.metrics) for operation, own in model.operations.items()]
        for operation, metrics in scopes:
            scope = service if operation is None else f"{service}.{operation}"
            # A scenario's key that is both an operation's and a service's is the operation's.
            reached = operation is not None or service not in refs
            for metric in metrics:
                yield MetricDefinition(
                    (service, operation),
                    metric,
                    operations=tuple(model.operations) if operation is None else (operation,),
                    overrides=_overrides(topology, scope, metric) if reached else {},
                    seed=seed,
                    worker=worker,
                    marks={WORKER: worker} if shared and model.instances is not None else {},
                )


def _overrides(topology: Topology, scope: str, metric: Metric) -> dict[int, NumberDistribution]:
    """Return the values that scenarios give to *metric* of *scope*, by the scenarios' indexes."""
    return {
        index: scenario.override[scope].metrics[metric.name].value
        for index, scenario in enumerate(topology.scenarios)
        if scope in scenario.override and metric.name in scenario.override[scope].metrics
    }


class MetricDefinition:
    """One metric as the topology defines it: the operations it is for, its values and attributes.

    ``operations`` are the names that its measurements may carry; ``operation`` is that of the
    operation whose metric it is, None where it is a service's. ``time_key`` is that of what it
    records by time; ``marks`` are attributes of all its points.
    """

    def __init__(
        self,
        place: tuple[str, str | None],
        metric: Metric,
        *,
        operations: tuple[str, ...],
        overrides: Mapping[int, NumberDistribution],
        seed: int,
        worker: int,
        marks: Mapping[str, Value],
    ) -> None:
        (self.service, self.operation), self.metric = place, metric
        self.operations, self._overrides = operations, overrides
        self._purpose = (seed, self.service, "metric", metric.name)
        self._worker, self._marks = worker, marks
        self.time_key = self.key("time", worker)

    def of_instance(self, index: int) -> MetricDefinition:
        """Return the same metric of one of the service's instances."""
        found = copy(self)
        found.time_key = self.key("time", self._worker, "instance", index)
        return found

    @property
    def by_time(self) -> bool:
        """Whether it is recorded by time, not on spans."""
        return self.metric.type == "gauge" or self.metric.interval is not None

    @property
    def counts_active(self) -> bool:
        """Whether it counts the spans that are going on."""
        return self.metric.type == "updowncounter" and self.metric.value is None

    def key(self, *purpose: object) -> np.uint64:
        """Return the key of draws for *purpose*."""
        return np.uint64(draws.key(*self._purpose, *purpose))

    def value(self, active: Active) -> NumberDistribution:
        """Return the values that are recorded while the scenarios *active* are."""
        assert self.metric.value is not None, "what measures spans has no values of its own"
        found = [self._overrides[each] for each in active if each in self._overrides]
        return found[-1] if found else self.metric.value

    def values(self) -> list[NumberDistribution]:
        """Return all values that may be recorded, in whatever scenario."""
        assert self.metric.value is not None, "what measures spans has no values of its own"
        return [self.metric.value, *self._overrides.values()]

    def attributes(self) -> tuple[tuple[Base, ...], Drawing]:
        """Return the fixed attributes of measurements, and the drawn ones.

        The fixed ones are one set for each of ``operations``, or a single one where they do not
        differ by operation.
        """
        compiled = [
            compile_generator(key, generator, purpose=int(self.key("attribute", key)))
            for key, generator in self.metric.attributes.items()
        ]
        drawing = Drawing([each for each in compiled if not isinstance(each.attribute, Constant)])
        fixed: dict[str, Value] = {
            each.attribute.key: each.attribute.value
            for each in compiled
            if isinstance(each.attribute, Constant) and not isinstance(each.attribute.value, tuple)
        }
        fixed |= self._marks
        named = self.operation is not None or not self.by_time
        if not named or OPERATION_NAME in self.metric.attributes:
            return (tuple(fixed.items()),), drawing
        return tuple(((OPERATION_NAME, name), *fixed.items()) for name in self.operations), drawing
