"""Ensembles: the instruments and gauges that one resource has, and which of them play when.

All services that have only one resource share an ensemble. That of an instance begins when its
resource does. It is dismissed when that is gone, nothing was recorded since the last collection,
and no span is going on. What ends later still begins another one, whose points count from then on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from motel_locust.engine.gauges import Gauges
from motel_locust.engine.instances import FOR_EVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from motel_locust.engine.definitions import MetricDefinition
    from motel_locust.engine.instances import Instances
    from motel_locust.engine.instruments import Instrument
    from motel_locust.engine.points import MetricShape, PointColumns


class Ensemble:
    """The instruments and gauges of one resource.

    Args:
        definitions: what they record.
        make: makes an instrument.
        place: the resource, with its service; None where services have only one.
        begin_ns: from when it exists, Unix time.
        end_ns: before when.

    Attributes:
        used: whether anything was recorded since this was last set.
    """

    def __init__(
        self,
        definitions: Iterable[MetricDefinition],
        make: Callable[[MetricDefinition], Instrument],
        *,
        place: tuple[str, int] | None = None,
        begin_ns: int,
        end_ns: int = FOR_EVER,
    ) -> None:
        found = list(definitions)
        self.place, self.begin_ns, self.end_ns = place, begin_ns, end_ns
        self.gauges = Gauges([each for each in found if each.metric.type == "gauge"])
        self.instruments = [make(each) for each in found if each.metric.type != "gauge"]
        self.used = False
        self._recording = defaultdict(list)
        for instrument in self.instruments:
            definition = instrument.definition
            for operation in () if definition.by_time else definition.operations:
                self._recording[definition.service, operation].append(instrument)

    def recording(self, service: str, operation: str) -> Sequence[Instrument]:
        """Return the instruments that record the spans of an operation."""
        return self._recording[service, operation]

    def overflowed(self) -> Counter[str]:
        """Return how many measurements had no series of their own, by ``service: metric``."""
        found = Counter[str]()
        for each in self.instruments:
            found[f"{each.shape.service}: {each.shape.name}"] += each.overflowed
        return found

    @property
    def busy(self) -> bool:
        """Whether spans are going on that an instrument counts."""
        return any(instrument.going_on for instrument in self.instruments)


class Ensembles:
    """All ensembles of a topology.

    Args:
        definitions: all metrics.
        instances: those of the services that have any, by their names.
        make: makes an instrument.
        origin_ns: when all begins, Unix time.
    """

    def __init__(
        self,
        definitions: Sequence[MetricDefinition],
        instances: Mapping[str, Instances],
        make: Callable[[MetricDefinition], Instrument],
        *,
        origin_ns: int,
    ) -> None:
        self._instances, self._make = instances, make
        self._plain = Ensemble(
            (each for each in definitions if each.service not in instances),
            make,
            begin_ns=origin_ns,
        )
        self._definitions = {
            service: [each for each in definitions if each.service == service]
            for service in instances
        }
        self._known: dict[tuple[str, int], Ensemble] = {}
        self._shapes: dict[tuple[str, str], MetricShape] = {}
        self._gone_ns: dict[tuple[str, int], tuple[int, int]] = {}
        self._overflowed = Counter[str]()

    def of(self, service: str, resource: int | None) -> Ensemble:
        """Return the ensemble of a *resource*, None where the *service* has only one."""
        if resource is None:
            return self._plain
        place = service, resource
        if place not in self._known:
            instances = self._instances[service]
            index = resource % instances.count
            begin_ns, end_ns = instances.lifetime_ns(resource)
            last, gone_ns = self._gone_ns.get((service, index), (-1, 0))
            self._known[place] = Ensemble(
                (each.of_instance(index) for each in self._definitions[service]),
                self._make,
                place=place,
                begin_ns=gone_ns if resource <= last else begin_ns,
                end_ns=end_ns,
            )
        return self._known[place]

    def all(self) -> list[Ensemble]:
        """Return all ensembles, in an order that does not depend on batches."""
        return [self._plain, *(self._known[place] for place in sorted(self._known))]

    def enlist(self, start_ns: int, stop_ns: int) -> None:
        """Let all resources be known that live between two instants and record by time."""
        for service, instances in self._instances.items():
            if any(each.by_time for each in self._definitions[service]):
                for resource in instances.between(start_ns, stop_ns):
                    self.of(service, resource)

    def dismiss(self, ensemble: Ensemble, now_ns: int) -> None:
        """Forget the *ensemble* of a resource that is gone."""
        assert ensemble.place is not None, "where there are no instances, none restarts"
        service, resource = ensemble.place
        self._overflowed.update(ensemble.overflowed())
        self._gone_ns[service, resource % self._instances[service].count] = resource, now_ns
        del self._known[ensemble.place]

    def told(self, ensemble: Ensemble, found: Iterable[PointColumns]) -> Iterator[PointColumns]:
        """Yield points of an *ensemble* with its resource; all of a metric have one shape."""
        for each in found:
            if ensemble.place is None:
                yield each
            else:
                shape = self._shapes.setdefault((each.shape.service, each.shape.name), each.shape)
                yield replace(each, shape=shape, resource=ensemble.place[1])

    def overflowed(self) -> dict[str, int]:
        """Return how many measurements had no series of their own, by ``service: metric``."""
        found = self._overflowed.copy()
        for ensemble in self.all():
            found.update(ensemble.overflowed())
        return dict(+found)
