"""The buckets of exponential histograms: all of a point that has no fixed width."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint

from motel_locust.otlp.wire import enclosed, field_tag, packed_varints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.points import ExponentialBuckets, Stretches

_Side = ExponentialHistogramDataPoint.Buckets

# So that nobody waits for the buckets of all points at a time: 1 ms of work.
_POINTS_TOGETHER: Final = 200


def encode_buckets(buckets: ExponentialBuckets) -> Iterator[bytes]:
    """Yield the scale and the buckets of each point, fields of ``ExponentialHistogramDataPoint``.

    What has no buckets has no field for them.
    """
    for scale, positive, negative in zip(
        buckets.scale.tolist(),
        _side(_POSITIVE, buckets.positive),
        _side(_NEGATIVE, buckets.negative),
        strict=True,
    ):
        yield _scale(scale) + positive + negative


def _side(tag: bytes, stretches: Stretches) -> Iterator[bytes]:
    """Yield the field *tag* of each point."""
    first, offsets = stretches.first.tolist(), stretches.count_offset
    for begin in range(0, len(first), _POINTS_TOGETHER):
        end = min(begin + _POINTS_TOGETHER, len(first))
        start, stop = offsets[[begin, end]].tolist()
        if start == stop:
            yield from [b""] * (end - begin)
            continue
        counts = packed_varints(stretches.count[start:stop], offsets[begin : end + 1] - start)
        for index, packed in zip(first[begin:end], counts, strict=True):
            yield enclosed(tag, _offset(index) + enclosed(_COUNTS, packed)) if packed else b""


@lru_cache(maxsize=1024)
def _scale(scale: int) -> bytes:
    return ExponentialHistogramDataPoint(scale=scale).SerializeToString()


@lru_cache(maxsize=1024)
def _offset(first: int) -> bytes:
    return _Side(offset=first).SerializeToString()


_POSITIVE: Final = field_tag(ExponentialHistogramDataPoint(positive=_Side()))
_NEGATIVE: Final = field_tag(ExponentialHistogramDataPoint(negative=_Side()))
# Packed, so the tag is followed by a length: that of a sample of one byte, and the byte.
_COUNTS: Final = _Side(bucket_counts=[1]).SerializeToString()[:-2]
