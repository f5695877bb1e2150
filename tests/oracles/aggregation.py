"""The SDK's own exponential histogram: one value after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics._internal.aggregation import _ExponentialBucketHistogramAggregation
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics.export import AggregationTemporality

if TYPE_CHECKING:
    from collections.abc import Iterable


class Aggregated(NamedTuple):
    """What an exponential histogram tells, with the buckets that are not empty by their indexes."""

    scale: int
    zeros: int
    positive: dict[int, int]
    negative: dict[int, int]


def aggregated(values: Iterable[float], max_size: int, max_scale: int) -> Aggregated:
    """Return what the SDK makes of *values*, at least one.

    It takes a float64's logarithm as it is, so what is next to a bound may be in the next bucket.
    """
    delta = AggregationTemporality.DELTA
    aggregation = _ExponentialBucketHistogramAggregation(
        {}, SimpleFixedSizeExemplarReservoir, delta, 0, max_size, max_scale
    )
    for value in values:
        aggregation.aggregate(Measurement(value, 0, None, Context(), {}), False)
    point = aggregation.collect(delta, 1)
    positive, negative = (
        {place: count for place, count in enumerate(side.bucket_counts, side.offset) if count}
        for side in (point.positive, point.negative)
    )
    return Aggregated(point.scale, point.zero_count, positive, negative)
