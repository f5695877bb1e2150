"""Generation and encoding on one core, beside the OpenTelemetry SDK in the same run."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.sdk import sdk_beside
from motel_locust.engine.engine import Engine
from motel_locust.engine.schedule import TICK_NS
from motel_locust.otlp.allocator import keep_memory
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.groups import SpanGroups
from motel_locust.otlp.parcels import DEFAULT_MAX_BYTES, BatchEncoder
from motel_locust.otlp.resources import ServiceResources
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.columns import Batch, Columns
    from motel_locust.topology.model import Topology

ROOT = Path(__file__).parent.parent
SIX_ATTRIBUTES = ROOT / "benchmarks" / "topologies" / "six-attributes.yaml"
WIDE = ROOT / "benchmarks" / "topologies" / "wide.yaml"
SHOP = ROOT / "topologies" / "shop.yaml"
TOPOLOGIES = (ROOT / "topologies" / "four-services.yaml", SIX_ATTRIBUTES, WIDE, SHOP)
PRODUCTION = ROOT / "topologies" / "production.yaml"
"""With all extensions of the language."""
PLAIN = ROOT / "benchmarks" / "topologies" / "production-plain.yaml"
"""The same without them."""
SECOND_NS = 1_000_000_000
EPOCH_NS = 1_700_000_000 * SECOND_NS
TICK_FILLING_PER_S = 1_000_000.0
"""Traces. So many that one tick, all that a topology with state walks at once, fills a batch."""

RATE_PER_S = 100_000.0
"""Traces for the others, and for the SDK: a thousand in a tick."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Spans per second of one core: walked; walked, encoded and joined to bodies; by the SDK."""

    name: str
    walked_per_s: float
    encoded_per_s: float
    bytes_per_span: float
    sdk_per_s: float
    times_sdk: float


class Stream:
    """The spans of a topology, batch after batch, on their way into bodies.

    It has *rate_per_s* traces, of simulated time.
    """

    def __init__(
        self,
        source: Path | Topology,
        *,
        body_bytes: int = DEFAULT_MAX_BYTES,
        rate_per_s: float = TICK_FILLING_PER_S,
    ) -> None:
        keep_memory()
        topology = read_topology(str(source)).topology if isinstance(source, Path) else source
        self._engine = Engine(topology, seed=1, epoch_ns=EPOCH_NS, rate_per_s=rate_per_s)
        self._engine.join(0, 0)
        self._heads = Heads(ServiceResources(topology, seed=1), {})
        self._encoder: BatchEncoder[Columns] = BatchEncoder(
            SpanEncoder, max_body_bytes=body_bytes, groups=SpanGroups()
        )
        self._body_bytes = body_bytes

    def walk(self, at_most_ns: int = SECOND_NS) -> Batch:
        """Return the next batch, of *at_most_ns* of simulated time."""
        return self._engine.walk(self._engine.walked_ns + at_most_ns)

    def bodies(self, batch: Batch) -> Iterator[tuple[bytes, int]]:
        """Return the bodies of *batch*, each with the number of its spans."""
        body = BodyBuilder(self._heads)
        for parcel in self._encoder.encode(batch):
            if body.items and body.size + parcel.size > self._body_bytes:
                yield body.build(), body.items
                body = BodyBuilder(self._heads)
            body.add(parcel)
        yield body.build(), body.items


class Lap(NamedTuple):
    """CPU time of some batches."""

    spans: int
    size: int
    walk_s: float
    encode_s: float


def measure_all() -> list[Speed]:
    """Return the speed of every topology."""
    return [measure(path) for path in (*TOPOLOGIES, PLAIN, PRODUCTION)]


def measure(path: Path, *, spans: int = 2_000_000, laps: int = 9) -> Speed:
    """Return the speed of the topology at *path*: medians of *laps*, each of about *spans* spans.

    The laps of engine and SDK take turns, so that what slows down the machine slows down both; each
    has a process to itself. The SDK makes the same few thousand spans again and again.
    """
    stream = Stream(path, rate_per_s=TICK_FILLING_PER_S if path == SHOP else RATE_PER_S)
    _lap(stream, spans)  # templates and plans are made, batches have found their size
    ours, theirs = [], []
    with sdk_beside(_few(path)) as sdk_lap:
        for _ in range(laps):
            gc.collect()
            ours.append(_lap(stream, spans))
            theirs.append(sdk_lap())
    encoded_per_s = median(lap.spans / (lap.walk_s + lap.encode_s) for lap in ours)
    return Speed(
        name=path.stem,
        walked_per_s=median(lap.spans / lap.walk_s for lap in ours),
        encoded_per_s=encoded_per_s,
        bytes_per_span=sum(lap.size for lap in ours) / sum(lap.spans for lap in ours),
        sdk_per_s=median(theirs),
        times_sdk=encoded_per_s / median(theirs),
    )


def _few(path: Path) -> bytes:
    """Return one body of whole traces, those of a tick."""
    stream = Stream(path, body_bytes=1 << 30, rate_per_s=RATE_PER_S)
    ((content, _),) = stream.bodies(stream.walk(TICK_NS))
    return content


def _lap(stream: Stream, spans: int) -> Lap:
    made = size = 0
    walk_s = encode_s = 0.0
    while made < spans:
        began_s = time.process_time()
        batch = stream.walk()
        walked_s = time.process_time()
        for content, count in stream.bodies(batch):
            made += count
            size += len(content)
        walk_s += walked_s - began_s
        encode_s += time.process_time() - walked_s
    return Lap(made, size, walk_s, encode_s)
