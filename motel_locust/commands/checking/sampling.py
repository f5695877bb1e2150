"""Traces drawn as in a run, and what there is to see in them.

Sample *i* is trace number *i* of the seed: the same tree and the same values as in a run of
``locustfiles/topology.py`` with that seed, on one process, while the same scenarios are active.
Queues, backpressure and circuit breakers are left out, as they depend on the traces before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.checking.sets import BETWEEN_TRACES_NS, hold
from motel_locust.commands.checking.sizes import Sizes, join, measure
from motel_locust.engine.engine import Engine
from motel_locust.otlp.spans import SpanEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch, Shape
    from motel_locust.engine.scenarios import Active
    from motel_locust.topology.model import (
        DurationDistribution,
        PercentileDistribution,
        Topology,
    )

USER_CLASS: Final = "Topology"
"""The user class of ``locustfiles/topology.py``; its name is a part of the seed's key."""

MOST_SPANS_PER_TRACE: Final = 10_000
"""The limit of a run that does not say otherwise."""

# A Unix time, so that times in encoded spans are as wide as in a run.
_EPOCH_NS: Final = 1_700_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Draw:
    """Which traces are drawn.

    Attributes:
        seed: As of a run.
        name: What else is in the key of the draws; see :func:`run_name`.
        limit: No new span once a trace has as many.
    """

    seed: int
    name: str
    limit: int


def tell_nobody(done: float) -> None:
    """Make no progress known."""
    del done


def run_name(sha256: str) -> str:
    """Return the name of the draws in a run of the topology whose text has the hash *sha256*."""
    return f"{USER_CLASS} {sha256}"


@dataclass(slots=True)
class Seen:
    """The spans of one operation in a sample.

    Attributes:
        spans: How many there are.
        errors: How many of them have status ERROR.
        size: Bytes of all of them, encoded.
        took_ns: How long they took, int64[rows] of every batch.
    """

    spans: int = 0
    errors: int = 0
    size: int = 0
    took_ns: list[NDArray[np.int64]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sample:
    """Some traces: their sizes, and what was seen of each operation, by its ref."""

    sizes: Sizes
    seen: dict[str, Seen]


def sample(
    topology: Topology,
    active: Active,
    draw: Draw,
    *,
    traces: int,
    advance: Callable[[float], None] = tell_nobody,
) -> Sample:
    """Return the first *traces* of *draw*, at least one, while the scenarios *active* hold.

    *advance* is told how many traces are done, batch after batch.
    """
    sizes, seen = [], dict[str, Seen]()
    encoders: dict[int, SpanEncoder] = {}
    for batch in _batches(hold(topology, active), draw, traces):
        sizes.append(measure(batch.columns, traces=batch.trace_id.size))
        for columns in batch.columns:
            shape = columns.shape
            encoded = _encoder(encoders, shape).encode(columns, batch.trace_id)
            of = seen.setdefault(shape.ref, Seen())
            of.spans += columns.trace.size
            of.errors += int(np.count_nonzero(columns.failed))
            of.size += len(encoded.content)
            of.took_ns.append(columns.end_ns - columns.start_ns)
        advance(batch.trace_id.size)
    return Sample(join(sizes), seen)


def late_share(
    topology: Topology,
    active: Active,
    draw: Draw,
    *,
    ref: str,
    baggage: Mapping[str, str],
    timeout_ns: int,
    traces: int,
    network: DurationDistribution | PercentileDistribution,
) -> float:
    """Return how many of *traces* requests to *ref* go well but take over *timeout_ns*: 0 to 1.

    What lies below a request depends neither on its caller, but for the *baggage* that it brings,
    nor on its time, so these are traces that begin there; the *network* takes its time besides.
    """
    late = 0.0
    for batch in _batches(hold(topology, active, begin_at=ref, bringing=baggage), draw, traces):
        for columns in batch.columns:
            if columns.shape.ref == ref:
                took_ns = (columns.end_ns - columns.start_ns)[~columns.failed]
                over = took_ns > timeout_ns
                late += int(np.count_nonzero(over))
                left_ns = timeout_ns - took_ns[~over]
                late += sum(map(network.share_above, left_ns.tolist()))
    return late / traces


def engine_of(topology: Topology, draw: Draw, *, rate_per_s: float | None = None) -> Engine:
    """Return an engine for *topology* with one user, present from the start."""
    engine = Engine(
        topology,
        seed=draw.seed,
        name=draw.name,
        epoch_ns=_EPOCH_NS,
        rate_per_s=rate_per_s,
        max_spans_per_trace=draw.limit,
    )
    engine.join(0, 0)
    return engine


def _batches(held: Topology, draw: Draw, traces: int) -> Iterator[Batch]:
    engine = engine_of(held, draw)
    while engine.walked_ns < traces * BETWEEN_TRACES_NS:
        batch = engine.walk(traces * BETWEEN_TRACES_NS)
        if batch.trace_id.size:
            yield batch


def _encoder(encoders: dict[int, SpanEncoder], shape: Shape) -> SpanEncoder:
    # By identity, which is quicker than comparing shapes; an encoder keeps its shape alive.
    if id(shape) not in encoders:
        encoders[id(shape)] = SpanEncoder(shape)
    return encoders[id(shape)]
