"""A batch, encoded and cut into parcels: the items of one signal that are let out together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np

from motel_locust.engine.engine import carry_on
from motel_locust.otlp.blocks import Block, Stretches, byte_offsets, cut_further, sizes_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.otlp.blocks import Encoded

DEFAULT_MAX_BYTES = 1 << 20
MOST_ENCODERS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Items of one signal that are let out together and belong into one body."""

    release_ns: int  # Unix time
    items: int  # spans, data points or log records
    size: int  # bytes of all pieces
    pieces: Mapping[str, Sequence[memoryview]]  # encoded items, by service or its resource


class Owned(Protocol):
    """What all rows of a block have in common."""

    @property
    def owner(self) -> str:
        """Whose they are: a service, or one of its resources where it has several."""


ShapeT_co = TypeVar("ShapeT_co", bound=Owned, covariant=True)
ColumnsT = TypeVar("ColumnsT", bound="Rows[Any]")
ColumnsT_co = TypeVar("ColumnsT_co", bound="Rows[Any]", covariant=True)
ColumnsT_contra = TypeVar("ColumnsT_contra", bound="Rows[Any]", contravariant=True)


class Rows(Protocol[ShapeT_co]):
    """The items of one shape in a batch, such as :class:`motel_locust.engine.columns.Columns`."""

    @property
    def shape(self) -> ShapeT_co:
        """What they have in common."""

    @property
    def trace(self) -> NDArray[np.int64]:
        """Index of each one's trace in the batch: int64[rows]."""

    @property
    def resource(self) -> NDArray[np.int64] | None:
        """Which of the service's each one belongs to: int64[rows]; None where there is one."""

    def part(self, start: int, stop: int) -> Self:
        """Return the rows from *start* to before *stop*."""


class Parts(Protocol[ColumnsT_co]):
    """Items that leave in parts, such as :class:`motel_locust.engine.columns.Batch`."""

    @property
    def trace_id(self) -> NDArray[np.void]:
        """V16[traces]."""

    @property
    def columns(self) -> Sequence[ColumnsT_co]:
        """The items, one for each shape that occurs."""

    @property
    def edges_ns(self) -> NDArray[np.int64]:
        """When each part is released: int64[parts], Unix time."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Where the parts begin and end in each of the columns: int64[columns, parts + 1]."""


class RowEncoder(Protocol[ColumnsT_contra]):
    """Encodes the items of one shape."""

    def encode(self, columns: ColumnsT_contra, trace_id: NDArray[np.void]) -> Encoded:
        """Return the items of *columns*, whose traces have the ids *trace_id*, V16[traces]."""


class Group(Protocol[ColumnsT_contra]):
    """Encodes the items of several shapes in one go."""

    def blocks(
        self,
        columns: Sequence[ColumnsT_contra],
        rows: NDArray[np.int64],
        trace_id: NDArray[np.void],
    ) -> Iterable[tuple[Block, NDArray[np.int64]]]:
        """Return the blocks of *columns*, and where the parts cut each: int64[parts + 1].

        rows      int64[columns, parts + 1]   where they cut the columns
        trace_id  V16[traces]
        """


class Groups(Protocol[ColumnsT_contra]):
    """Tells which shapes are encoded together, such as `motel_locust.otlp.groups.SpanGroups`."""

    def divide(
        self, columns: Sequence[ColumnsT_contra]
    ) -> tuple[list[int], Sequence[tuple[Group[ColumnsT_contra], list[int]]]]:
        """Return which of *columns* are encoded alone, and which by which group."""


class BatchEncoder(Generic[ColumnsT]):
    """Encodes the items of one signal into parcels.

    Args:
        encoder: makes the encoder of a shape; it keeps its shape.
        max_body_bytes: a part of a batch whose items take more is cut further. Traces stay whole
            unless one alone takes more, or the rows are not in the order of traces, as those of
            instances are.
        rows_at_once: how many items are encoded between two pauses; None for all of a shape.
        groups: encode the items of shapes together that have few.
    """

    def __init__(
        self,
        encoder: Callable[[Any], RowEncoder[ColumnsT]],
        *,
        max_body_bytes: int = DEFAULT_MAX_BYTES,
        rows_at_once: int | None = None,
        groups: Groups[ColumnsT] | None = None,
    ) -> None:
        self._make, self._max_bytes = encoder, max_body_bytes
        self._rows_at_once, self._groups = rows_at_once, groups
        self._encoders: dict[int, RowEncoder[ColumnsT]] = {}

    def encode(
        self, batch: Parts[ColumnsT], pause: Callable[[], object] = carry_on
    ) -> list[Parcel]:
        """Return the parcels of *batch* in order of release, none empty.

        *pause* is called now and then.
        """
        blocks, rows = [], []
        alone: Iterable[int] = range(len(batch.columns))
        if self._groups is not None:
            alone, together = self._groups.divide(batch.columns)
            for group, indexes in together:
                of_group = [batch.columns[index] for index in indexes]
                for block, cuts in group.blocks(of_group, batch.rows[indexes], batch.trace_id):
                    blocks.append(block)
                    rows.append(cuts)
                pause()
        for index in alone:
            columns, of_columns = batch.columns[index], batch.rows[index]
            for start, some in self._parts(columns):
                blocks.append(self._block(some, batch.trace_id))
                rows.append((of_columns - start).clip(0, len(some.trace)))
                pause()
        edges = np.array(rows, np.int64).reshape(-1, batch.edges_ns.size + 1).T
        cuts, parts = self._cut(blocks, edges, pause)
        pause()
        items = np.diff(cuts, axis=0).sum(axis=1).tolist()
        sizes = sizes_between(blocks, cuts).tolist()
        offsets = byte_offsets(blocks, cuts).tolist()
        edges_ns = batch.edges_ns.tolist()
        contents = _Contents(blocks, cuts)
        pause()
        parcels = []
        for number, part in enumerate(parts):
            if items[number]:
                pieces = contents.between(offsets[number], offsets[number + 1])
                parcels.append(Parcel(edges_ns[part], items[number], sizes[number], pieces))
            pause()
        return parcels

    def _parts(self, columns: ColumnsT) -> Iterator[tuple[int, ColumnsT]]:
        """Yield the rows of *columns* that are encoded at once, and the first of them."""
        rows, most = len(columns.trace), self._rows_at_once
        if most is None or rows <= most:
            yield 0, columns
            return
        for start in range(0, rows, most):
            yield start, columns.part(start, start + most)

    def _cut(
        self, blocks: Sequence[Block], edges: NDArray[np.int64], pause: Callable[[], object]
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
                pause()
            cuts += further
            part_of += [part] * len(further)
        return np.array(cuts), part_of

    def _block(self, columns: ColumnsT, trace_id: NDArray[np.void]) -> Block:
        encoded = self._encoder(columns.shape).encode(columns, trace_id)
        shape = columns.shape
        return Block(shape.owner, columns.trace, encoded.content, encoded.offsets, columns.resource)

    def _encoder(self, shape: Owned) -> RowEncoder[ColumnsT]:
        # By identity, since Python takes True for 1 and -0.0 for 0.0 when it compares shapes. An
        # encoder holds its shape, so the id is not given to another one meanwhile.
        encoder = self._encoders.pop(id(shape), None) or self._make(shape)
        self._encoders[id(shape)] = encoder
        if len(self._encoders) > MOST_ENCODERS:
            del self._encoders[next(iter(self._encoders))]  # unused for longest
        return encoder


class _Contents:
    """The contents of blocks, by owner; where a block has several, also cut at *cuts*."""

    def __init__(self, blocks: Sequence[Block], cuts: NDArray[np.int64]) -> None:
        self._of_one: dict[str, list[tuple[int, memoryview]]] = {}
        self._of_several: list[tuple[int, Stretches]] = []
        for number, block in enumerate(blocks):
            if block.resource is None:
                self._of_one.setdefault(block.owner, []).append((number, block.content))
            else:
                stretches = Stretches(block, cuts[:, number], block.resource)
                self._of_several.append((number, stretches))

    def between(self, starts: Sequence[int], stops: Sequence[int]) -> dict[str, list[memoryview]]:
        """Return the bytes from *starts* to *stops* of each block, by owner."""
        pieces: dict[str, list[memoryview]] = {}
        # Thousands of slices a batch, where there are many blocks.
        for owner, contents in self._of_one.items():
            found = [
                content[starts[number] : stops[number]]
                for number, content in contents
                if starts[number] < stops[number]
            ]
            if found:
                pieces[owner] = found
        for number, stretches in self._of_several:
            stretches.add_to(pieces, starts[number], stops[number])
        return pieces
