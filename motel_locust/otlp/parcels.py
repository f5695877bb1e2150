"""A batch of spans, encoded and cut into parcels: the spans that are let out together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine.columns import Counts
from motel_locust.engine.engine import carry_on
from motel_locust.otlp.blocks import Block, byte_offsets, cut_further, sizes_between
from motel_locust.otlp.bodies import encode_heads
from motel_locust.otlp.spans import SpanEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch, Columns, Shape
    from motel_locust.engine.recorded import RecordedAttributes

DEFAULT_MAX_BYTES = 1 << 20
MOST_ENCODERS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Spans that are let out together and belong into one body."""

    release_ns: int  # Unix time
    spans: int
    size: int  # bytes of all pieces
    pieces: Mapping[str, Sequence[memoryview]]  # encoded spans, by service
    counts: Counts  # those of a whole part of the batch are on its first parcel


class BatchEncoder:
    """Encodes batches into parcels.

    Args:
        resources: each service's own resource attributes, by the service's name or, where recorded
            spans tell several of a service apart, by that of the resource.
        environment: resource attributes for all services, see `encode_heads`.
        max_body_bytes: a part of a batch whose spans take more is cut further. Traces stay whole
            unless one alone takes more, or the rows are not in the order of traces.
    """

    def __init__(
        self,
        resources: Mapping[str, RecordedAttributes],
        *,
        environment: Mapping[str, str] | None = None,
        max_body_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.heads = encode_heads(resources, environment or {})
        self._max_bytes = max_body_bytes
        self._encoders: dict[int, SpanEncoder] = {}

    def encode(self, batch: Batch, pause: Callable[[], object] = carry_on) -> list[Parcel]:
        """Return the parcels of *batch* in order of release, at least one for each part.

        *pause* is called now and then.
        """
        blocks = []
        for columns in batch.columns:
            blocks.append(self._block(columns, batch.trace_id))
            pause()
        cuts, parts = self._cut(blocks, batch.rows.T)
        spans = np.diff(cuts, axis=0).sum(axis=1).tolist()
        sizes = sizes_between(blocks, cuts).tolist()
        offsets = byte_offsets(blocks, cuts).tolist()
        edges_ns = batch.edges_ns.tolist()
        parcels = []
        for number, (before, part) in enumerate(pairwise([-1, *parts])):
            parcels.append(
                Parcel(
                    release_ns=edges_ns[part],
                    spans=spans[number],
                    size=sizes[number],
                    pieces=_slices(blocks, offsets[number], offsets[number + 1]),
                    counts=batch.counts[part] if part != before else Counts(),
                )
            )
            pause()
        return parcels

    def _cut(
        self, blocks: Sequence[Block], edges: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], list[int]]:
        """Return all cuts, int64[cuts, blocks], and the part that each stretch is of.

        edges int64[parts + 1, blocks]: the cuts between the parts of the batch.
        """
        cuts, part_of = [edges[0]], []
        for part, size in enumerate(sizes_between(blocks, edges).tolist()):
            further = [edges[part + 1]]
            if size > self._max_bytes:
                _, *further = cut_further(
                    blocks, edges[part], edges[part + 1], max_bytes=self._max_bytes
                )
            cuts += further
            part_of += [part] * len(further)
        return np.array(cuts), part_of

    def _block(self, columns: Columns, trace_id: NDArray[np.void]) -> Block:
        encoded = self._encoder(columns.shape).encode(columns, trace_id)
        offsets = np.concatenate(([0], encoded.ends))
        owner = columns.shape.resource or columns.shape.service
        return Block(owner, columns.trace, encoded.content, offsets)

    def _encoder(self, shape: Shape) -> SpanEncoder:
        # By identity, since Python takes True for 1 and -0.0 for 0.0 when it compares shapes. An
        # encoder holds its shape, so the id is not given to another one meanwhile.
        encoder = self._encoders.pop(id(shape), None) or SpanEncoder(shape)
        self._encoders[id(shape)] = encoder
        if len(self._encoders) > MOST_ENCODERS:
            del self._encoders[next(iter(self._encoders))]  # unused for longest
        return encoder


def _slices(
    blocks: Sequence[Block], starts: Sequence[int], stops: Sequence[int]
) -> dict[str, list[memoryview]]:
    """Return the bytes from *starts* to *stops* of each block, by service."""
    pieces: dict[str, list[memoryview]] = {}
    for block, start, stop in zip(blocks, starts, stops, strict=True):
        if start < stop:
            pieces.setdefault(block.service, []).append(block.content[start:stop])
    return pieces
