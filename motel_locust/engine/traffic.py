"""Traffic: how many traces a user makes per second, and how many it has made by an instant.

The integral of the rate may reach 10**12 traces, where a float64 has four digits left behind the
point. So it is kept in *blocks* of a minute: a whole number at the block's start, and on top of it
small numbers that are exact to a fraction of a nanosecond. Where blocks begin, and their nodes (see
:mod:`motel_locust.engine.curves`), depend on nothing that was asked before. Only a few blocks are
kept, each of at most some 60,000 nodes a curve, or what segments and scenarios the file has: any
other is made again from its start, usual traffic in 0.1 ms and the worst in 2 ms.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from motel_locust.engine import scenarios
from motel_locust.engine.curves import compile_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from motel_locust.engine.curves import Curve
    from motel_locust.topology.model import Topology

SECOND_NS: Final = 1_000_000_000
BLOCK_NS: Final = 60 * SECOND_NS

# Blocks kept: what is looked ahead for and what users may still change lie within some of them.
_KEPT: Final = 8

# An instant that rounding put this little behind a whole nanosecond still is that nanosecond.
# Within a block times are exact to 2**-17 ns; rates below 0.01 traces an hour are less exact.
_SLACK_NS: Final = 1 / 256


class Position(NamedTuple):
    """A number of traces since the epoch: ``whole`` and a ``part`` from 0 to below 1.

    Compares exactly, where a sum of the two would round.
    """

    whole: int
    part: float


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One user's traffic over a stretch of time.

    whole    traces before the block, without their fraction
    time_ns  int64[nodes]        since the epoch, ascending
    traces   float64[nodes]      on top of ``whole``; the first one from 0 to below 1
    per_s    float64[nodes - 1]  the rate from each node to the next
    """

    whole: int
    time_ns: NDArray[np.int64]
    traces: NDArray[np.float64]
    per_s: NDArray[np.float64]

    def position(self, traces: float) -> Position:
        """Return the position that is *traces* on top of ``whole``."""
        floor = int(traces // 1)
        return Position(self.whole + floor, traces - floor)

    def traces_by(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the traces by each of *t_ns*, on top of ``whole``; all lie within the block."""
        node = self.time_ns.searchsorted(t_ns, "right") - 1
        per_s = self.per_s[np.minimum(node, self.per_s.size - 1)]
        return self.traces[node] + (t_ns - self.time_ns[node]) * per_s / SECOND_NS

    def instants(self, traces: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return when *traces*, on top of ``whole``, are made: the next whole ns."""
        if self.per_s.size == 1:  # 4x without the search, at 4096 rows
            cell = np.zeros(1, np.int64)
        else:
            cell = self.traces.searchsorted(traces, "right") - 1
            np.minimum(cell, self.per_s.size - 1, out=cell)
        # One division, of an exact product where traces are whole: round rates give round times.
        after_ns = (traces - self.traces[cell]) * SECOND_NS / self.per_s[cell]
        after_ns -= _SLACK_NS
        length_ns = (self.time_ns[cell + 1] - self.time_ns[cell]).astype(np.float64)
        np.clip(after_ns, 0.0, length_ns, out=after_ns)
        return self.time_ns[cell] + np.ceil(after_ns, out=after_ns).astype(np.int64)


class Timeline:
    """The traffic of one user over the whole run: the file's own, and scenarios' in their windows.

    Scenario traffic reads the run's clock. Times are ns since the epoch, 0 or more.

    Args:
        topology: whose traffic.
        rate_per_s: the file's own rate becomes this, in traces per second, and all other rates, of
            patterns, segments and scenarios, scale with it; None keeps them.
    """

    def __init__(self, topology: Topology, *, rate_per_s: float | None = None) -> None:
        base = scenarios.traffic(topology, ())
        self._factor = 1.0 if rate_per_s is None else rate_per_s / base.rate.per_s
        edges = scenarios.boundaries(topology)
        self._from_ns = [0, *edges[edges > 0].tolist()]
        in_force = [
            scenarios.traffic(topology, scenarios.active(topology, t_ns)) for t_ns in self._from_ns
        ]
        compiled = {id(each): compile_traffic(each) for each in in_force}
        self._curves = [compiled[id(each)] for each in in_force]
        self._shared_ns, self._users = [0], [1]
        self._starts = [Position(0, 0.0)]
        self._blocks: dict[int, Block] = {}

    def rate(self, t_ns: int) -> float:
        """Return the rate of one user at *t_ns*, in traces per second."""
        curve = self._curves[bisect_right(self._from_ns, t_ns) - 1]
        users = self._users[bisect_right(self._shared_ns, t_ns) - 1]
        return float(curve.mean(np.array([t_ns, t_ns + 1]))[0]) * self._factor / users

    def arrivals(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the integral of the rate from the epoch to each of *t_ns*, in traces."""
        index = t_ns // BLOCK_NS
        traces = np.empty(t_ns.shape)
        for each in np.unique(index).tolist():
            block, these = self._block(each), index == each
            traces[these] = block.whole + block.traces_by(t_ns[these])
        return traces

    def position(self, t_ns: int) -> Position:
        """Return the integral of the rate from the epoch to *t_ns*."""
        block = self._block(t_ns // BLOCK_NS)
        return block.position(float(block.traces_by(np.array([t_ns]))[0]))

    def reach(self, start_ns: int, *, traces: float, at_most_ns: int) -> int:
        """Return when a user has made *traces* since *start_ns*, but *at_most_ns* at the latest."""
        for block in self.blocks(start_ns, at_most_ns):
            since_ns = max(start_ns, int(block.time_ns[0]))
            done = float(block.traces_by(np.array([since_ns]))[0])
            if done + traces < block.traces[-1]:
                return min(at_most_ns, int(block.instants(np.array([done + traces]))[0]))
            traces -= float(block.traces[-1]) - done
        return at_most_ns

    def blocks(self, start_ns: int, stop_ns: int) -> Iterator[Block]:
        """Yield the blocks that [*start_ns*, *stop_ns*) meets, in order."""
        for index in range(start_ns // BLOCK_NS, -(-stop_ns // BLOCK_NS)):
            yield self._block(index)

    def share(self, users: int, at_ns: int) -> None:
        """Divide the rates from *at_ns* on by *users*; nothing before that instant changes.

        What was said before about any later time is void.
        """
        if users < 1:
            raise ValueError(f"a rate cannot be shared among {users} users")
        kept = bisect_left(self._shared_ns, at_ns)
        self._shared_ns[kept:], self._users[kept:] = [at_ns], [users]
        index = at_ns // BLOCK_NS
        del self._starts[index + 1 :]
        self._blocks = {each: block for each, block in self._blocks.items() if each < index}

    def _block(self, index: int) -> Block:
        known = self._blocks.get(index)
        if known is not None:
            return known
        for each in range(min(index, len(self._starts) - 1), index + 1):
            block = self._build(each)
            self._blocks[each] = block
            if each + 1 == len(self._starts):
                self._starts.append(block.position(float(block.traces[-1])))
            if len(self._blocks) > _KEPT:
                del self._blocks[next(iter(self._blocks))]
        return block

    def _build(self, index: int) -> Block:
        start_ns = index * BLOCK_NS
        time_ns, per_s = self._nodes(start_ns, start_ns + BLOCK_NS)
        first, last = (
            bisect_right(self._shared_ns, start_ns),
            bisect_left(self._shared_ns, start_ns + BLOCK_NS),
        )
        users = np.array(self._users[first - 1 : last], np.int64)
        if users.size > 1:
            # Nodes are put between the others afterwards, so that up to the instant of the change
            # the integral stays what it was, to the last bit: that part may have been walked.
            shared_ns = np.array(self._shared_ns[first:last], np.int64)
            nodes_ns = _distinct(np.concatenate((time_ns, shared_ns)))
            per_s = per_s[time_ns.searchsorted(nodes_ns[:-1], "right") - 1]
            users = users[shared_ns.searchsorted(nodes_ns[:-1], "right")]
            time_ns = nodes_ns
        per_s = per_s / users
        start = self._starts[index]
        added = np.diff(time_ns) * per_s / SECOND_NS
        return Block(start.whole, time_ns, np.cumsum(np.append(start.part, added)), per_s)

    def _nodes(self, start_ns: int, stop_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the nodes of a block, and the rates between, of the whole traffic."""
        times, rates = [], []
        for curve, since_ns, until_ns in self._in_force(start_ns, stop_ns):
            edges = curve.edges(since_ns, until_ns)
            inner = edges[(edges > since_ns) & (edges < until_ns)]
            nodes = _distinct(np.concatenate(((since_ns,), inner, (until_ns,))))
            times.append(nodes[:-1])
            rates.append(curve.mean(nodes))
        time_ns = np.concatenate((*times, (stop_ns,)))
        return time_ns, np.concatenate(rates) * self._factor

    def _in_force(self, start_ns: int, stop_ns: int) -> Iterator[tuple[Curve, int, int]]:
        """Yield the curves in force between the two instants, each with its own stretch."""
        for index in range(bisect_right(self._from_ns, start_ns) - 1, len(self._from_ns)):
            since_ns = max(start_ns, self._from_ns[index])
            if since_ns >= stop_ns:
                return
            following = self._from_ns[index + 1 : index + 2] or [stop_ns]
            yield self._curves[index], since_ns, min(following[0], stop_ns)


def _distinct(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return *time_ns* sorted, each once; quick where it consists of a few sorted runs."""
    ordered = np.sort(time_ns, kind="stable")  # 100x over np.unique at 60,000 nodes
    distinct: NDArray[np.int64] = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return distinct
