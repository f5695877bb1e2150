"""How fast this machine generates a topology, and how many workers a rate needs by that."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from motel_locust.commands.checking.sampling import engine_of
from motel_locust.commands.checking.sets import hold
from motel_locust.otlp.allocator import keep_memory
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.groups import SpanGroups
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES, BatchEncoder
from motel_locust.otlp.resources import ServiceResources
from motel_locust.otlp.spans import SpanEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.commands.checking.sampling import Draw
    from motel_locust.commands.checking.volume import Volume
    from motel_locust.engine.columns import Columns
    from motel_locust.topology.model import Topology

MEASURED_S: Final = 0.5
"""CPU time of the measurement, after a first batch that makes plans and templates."""

# A process that delivers takes three to five times the CPU of one that only generates, and the
# Collector's side is not in it: docs/performance.md, "Rates asked and reached", and "Processes".
PLANNED_SHARE: Final = 0.25
"""The part of the measured speed that a worker is planned to reach."""


# Where operations keep state, a tick is walked at once, so this is also what a batch may hold.
_SPANS_PER_S: Final = 10_000_000.0
_TRACES_PER_S: Final = 1_000_000.0
_AHEAD_NS: Final = 1_000_000_000
# What a batch may take, where single values are large.
_MOST_BYTES: Final = 128 << 20


def measure_speed(
    topology: Topology,
    volume: Volume,
    draw: Draw,
    *,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Return how many spans a second one core makes, from the draws to bodies ready to be sent.

    Traces are those of *volume*, in large batches. Queues and breakers, which cost time too, are at
    work.
    """
    keep_memory()
    held = hold(topology, volume.scenarios.active, stateful=True)
    rate_per_s = min(
        _TRACES_PER_S, _SPANS_PER_S / volume.spans, _MOST_BYTES / (volume.size * _AHEAD_NS / 1e9)
    )
    engine = engine_of(held, draw, rate_per_s=rate_per_s)
    encoder: BatchEncoder[Columns] = BatchEncoder(SpanEncoder, groups=SpanGroups())
    heads = Heads(ServiceResources(topology, seed=draw.seed, name=draw.name), {})
    spans, began_s, first = 0, clock(), True
    while True:
        batch = engine.walk(engine.walked_ns + _AHEAD_NS)
        body = BodyBuilder(heads)
        for parcel in encoder.encode(batch):
            if body.size + parcel.size > DEFAULT_MAX_BYTES:
                body.build()
                body = BodyBuilder(heads)
            body.add(parcel)
            spans += parcel.items
        body.build()
        elapsed_s = clock() - began_s
        if first:
            spans, began_s, first = 0, clock(), False
        elif elapsed_s >= MEASURED_S:
            return spans / elapsed_s


def workers(spans_per_s: float, speed_per_s: float) -> int:
    """Return how many worker processes *spans_per_s* need where one core makes *speed_per_s*."""
    return max(1, math.ceil(spans_per_s / (speed_per_s * PLANNED_SHARE)))
