"""Data points as columns: what a collection of metrics hands to an encoder.

Shape words: ``points`` of one instrument in one collection; ``bounds`` of a histogram's buckets;
``exemplars`` of all those points. Every array is built once and never written to again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from motel_locust.engine.instances import owner_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Value

Temporality: TypeAlias = Literal["cumulative", "delta"]
PointKind: TypeAlias = Literal["sum", "histogram", "exponential_histogram", "gauge"]
ValueItems: TypeAlias = "NDArray[np.int64] | NDArray[np.float64]"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class AttributeSet:
    """The attributes of one series. The same series has the same object at every collection."""

    attributes: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True, eq=False)
class MetricShape:
    """What all points of an instrument have in common; the same object at every collection.

    ``bounds`` are the upper ones of a histogram's buckets, included, in the instrument's unit; one
    bucket more has what lies above. ``monotonic`` and ``temporality`` say nothing of a gauge.
    """

    service: str
    name: str
    unit: str
    kind: PointKind
    monotonic: bool = False
    temporality: Temporality = "cumulative"
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """What a histogram's points have besides their sums.

    count             int64[points, bounds + 1]
    least, greatest   float64[points]
    """

    count: NDArray[np.int64]
    least: NDArray[np.float64]
    greatest: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Consecutive buckets of an exponential histogram's points, as many of each as it takes.

    first          int64[points]             index of the first bucket, 0 where there is none
    count          int64[count_offset[-1]]   of the buckets of all points, one behind the other
    count_offset   int64[points + 1]         where those of each begin; the first element is 0
    """

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    count_offset: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExponentialBuckets:
    """What an exponential histogram's points have besides their sums.

    At scale *s*, bucket *i* has what lies above ``2**(i / 2**s)``, in the instrument's unit, and
    not above ``2**((i + 1) / 2**s)``.

    total             int64[points]   measurements
    scale             int64[points]
    zeros             int64[points]   measurements that are 0
    positive          of the others, those above 0
    negative          and those below, by their sizes
    least, greatest   float64[points]
    """

    total: NDArray[np.int64]
    scale: NDArray[np.int64]
    zeros: NDArray[np.int64]
    positive: Stretches
    negative: Stretches
    least: NDArray[np.float64]
    greatest: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Exemplars:
    """Measurements shown as examples, each with the span that it was made on.

    point      int64[exemplars]   index of the point, ascending
    time_ns    int64[exemplars]   Unix time
    value      int64 or float64[exemplars]
    span_id    uint64[exemplars]  little-endian bytes are the id's bytes
    trace_id   V16[exemplars]
    """

    point: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    value: ValueItems
    span_id: NDArray[np.uint64]
    trace_id: NDArray[np.void]


@dataclass(frozen=True, slots=True, eq=False)
class PointColumns:
    """The points of one instrument, one for each series, at least one.

    attributes   one set per point
    value        int64 or float64[points]: the sum of a sum or of either histogram, the value of a
                 gauge
    start_ns     Unix time from which on the points count; 0 for a gauge
    time_ns      Unix time of the collection
    buckets      of either histogram, else None
    exemplars    None where there is none
    resource     which of the service's resources, see :mod:`~motel_locust.engine.instances`; None
                 where it has one
    """

    shape: MetricShape
    attributes: tuple[AttributeSet, ...]
    value: ValueItems
    start_ns: int
    time_ns: int
    buckets: Buckets | ExponentialBuckets | None = None
    exemplars: Exemplars | None = None
    resource: int | None = None

    @property
    def owner(self) -> str:
        """The resource, or the service where it has only one."""
        service = self.shape.service
        return service if self.resource is None else owner_of(service, self.resource)


@dataclass(frozen=True, slots=True, eq=False)
class MetricPoints:
    """What one collection has found, in the order of the topology's definitions."""

    time_ns: int
    columns: tuple[PointColumns, ...]
