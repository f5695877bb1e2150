"""Telemetry of a topology, made by the engine itself: the bodies that a run would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.engine.engine import Engine
from motel_locust.otlp.bodies import BodyBuilder
from motel_locust.otlp.parcels import BatchEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Topology

EPOCH_NS = 1_790_000_000_000_000_000
NS_PER_S = 1_000_000_000


def bodies(topology: Topology, *, traces: int, seed: int = 1) -> Iterator[bytes]:
    """Yield requests that hold at least *traces* traces, from the beginning of a run."""
    engine = Engine(topology, seed=seed, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    resources = {name: service.resource_attributes for name, service in topology.services.items()}
    encoder = BatchEncoder(resources)
    made = 0
    while made < traces:
        batch = engine.walk(engine.walked_ns + NS_PER_S)
        made += batch.trace_id.size
        for parcel in encoder.encode(batch):
            if parcel.spans:
                builder = BodyBuilder(encoder.heads)
                builder.add(parcel)
                yield builder.build()
