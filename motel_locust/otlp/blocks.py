"""Blocks of encoded items, and where to cut them so that no parcel grows too large.

A *block* is the encoded spans, or log records, of one shape in a batch. A *cut* is a row of every
block, int64[blocks]: what lies before it goes into an earlier parcel. Shape words: ``blocks``, as
many as the batch has columns; ``cuts``, one more than there are stretches between them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from motel_locust.engine.instances import owner_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Cut: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The items of one shape; row *i* is ``content[offsets[i] : offsets[i + 1]]``.

    ``offsets`` is int64[rows + 1]. The content has its memory to itself: slices of it stay valid,
    whatever is encoded later.
    """

    content: memoryview
    offsets: NDArray[np.int64]


NOTHING: Final = Encoded(memoryview(b""), np.zeros(1, np.int64))
"""No rows, encoded."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The encoded items of one shape, and whose they are.

    trace     int64[rows]      index of the trace in the batch
    offsets   int64[rows + 1]  row *i* is ``content[offsets[i] : offsets[i + 1]]``
    resource  int64[rows]      which of the service's, see `motel_locust.engine.instances`; None
                               where ``owner`` has them all
    """

    owner: str
    trace: NDArray[np.int64]
    content: memoryview
    offsets: NDArray[np.int64]
    resource: NDArray[np.int64] | None = None


class Stretches:
    """The stretches of a block's content that are of one resource each, also cut at *cuts*.

    cuts      int64[cuts]   rows of the block, from 0 to the number of rows
    resource  int64[rows]   the block's
    """

    def __init__(self, block: Block, cuts: NDArray[np.int64], resource: NDArray[np.int64]) -> None:
        changes = np.flatnonzero(np.diff(resource)) + 1
        rows = np.unique(np.concatenate((changes, cuts)))
        found = resource[rows[:-1]].tolist()
        names = {each: owner_of(block.owner, each) for each in set(found)}
        self._owners = [names[each] for each in found]
        self._content, self._edges = block.content, block.offsets[rows].tolist()

    def add_to(self, pieces: dict[str, list[memoryview]], start: int, stop: int) -> None:
        """Add the content from byte *start* to *stop*, where cuts are, to *pieces* by owner."""
        owners, edges, content = self._owners, self._edges, self._content
        for place in range(bisect_left(edges, start), bisect_left(edges, stop)):
            piece = content[edges[place] : edges[place + 1]]
            owner = owners[place]
            if owner in pieces:
                pieces[owner].append(piece)
            else:
                pieces[owner] = [piece]


def byte_offsets(blocks: Sequence[Block], cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in the content of each block the *cuts* are; both int64[cuts, blocks]."""
    offsets = np.empty_like(cuts)
    for number, block in enumerate(blocks):
        offsets[:, number] = block.offsets[cuts[:, number]]
    return offsets


def sizes_between(blocks: Sequence[Block], cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes between neighbours of *cuts*, int64[cuts, blocks]: int64[cuts - 1]."""
    sizes: NDArray[np.int64] = np.diff(byte_offsets(blocks, cuts), axis=0).sum(axis=1)
    return sizes


def cut_further(blocks: Sequence[Block], start: Cut, stop: Cut, *, max_bytes: int) -> list[Cut]:
    """Return the cuts from *start* to *stop*, both included, such that no stretch is too large.

    A stretch of more than *max_bytes* is a single item. Traces stay whole but for those that alone
    have more, and for rows that are not in the order of traces.
    """
    between = [start, *_between_traces(blocks, start, stop, max_bytes), stop]
    sizes = sizes_between(blocks, np.array(between)).tolist()
    cuts = [start]
    for (before, cut), size in zip(pairwise(between), sizes, strict=True):
        if size > max_bytes:
            cuts += _between_items(blocks, before, cut, max_bytes)
        cuts.append(cut)
    # Where the last item or trace of a stretch is too large by itself, two cuts are equal.
    return [cut for cut, following in pairwise(cuts) if (cut < following).any()] + [stop]


def _between_traces(blocks: Sequence[Block], start: Cut, stop: Cut, max_bytes: int) -> list[Cut]:
    """Return cuts between traces, as few as the limit allows; none without order of traces."""
    runs = list(zip(blocks, start.tolist(), stop.tolist(), strict=True))
    traces = [block.trace[row:end] for block, row, end in runs]
    joined = np.concatenate(traces)
    falls = (joined[1:] < joined[:-1]).nonzero()[0] + 1
    if not np.isin(falls, (stop - start).cumsum()).all():
        return []  # in a block, not between two
    first = int(joined.min())
    joined -= first
    size = np.concatenate([block.offsets[row + 1 : end + 1] for block, row, end in runs])
    size -= np.concatenate([block.offsets[row:end] for block, row, end in runs])
    # Weights are doubles, exact up to 2**53 bytes.
    ends = np.bincount(joined, size).astype(np.int64).cumsum()
    following: list[int] = []
    behind, done = 0, 0  # traces and bytes before the last cut
    while ends[-1] - done > max_bytes:
        # The first trace that does not fit; the one after the cut goes on alone if it must.
        behind = max(int(ends.searchsorted(done + max_bytes, "right")), behind + 1)
        done = ends[behind - 1]
        following.append(first + behind)
    wanted = np.array(following, np.int64)
    rows = [trace.searchsorted(wanted) for trace in traces]
    return list(start + np.array(rows, np.int64).T) if following else []


def _between_items(blocks: Sequence[Block], start: Cut, stop: Cut, max_bytes: int) -> list[Cut]:
    """Return cuts between items, block after block, where the limit asks for them."""
    cuts: list[Cut] = []
    here, carried = start.copy(), 0  # carried: bytes since the last cut, of earlier blocks
    for number, block in enumerate(blocks):
        row, last = int(start[number]), int(stop[number])
        while carried + block.offsets[last] - block.offsets[row] > max_bytes:
            room = block.offsets[row] + max_bytes - carried
            fits = int(block.offsets.searchsorted(room, "right")) - 1
            row = max(fits, row if carried else row + 1)
            here[number] = row
            cuts.append(here.copy())
            carried = 0
        carried += int(block.offsets[last] - block.offsets[row])
        here[number] = last
    return cuts
