"""How deep, wide and large a trace can become, whatever chance decides.

Probabilities, conditions and timeouts do not lower a bound: every call is made, and every attempt
but the last fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from motel_locust.commands.checking.sets import Wiring
    from motel_locust.topology.model import Call

MOST_SPANS: Final = 2**31 - 1
"""Where counting stops."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The greatest depth, fan-out and size of a trace, and where they are.

    Attributes:
        depth: Spans from below a root to the deepest one.
        path: The operations on the way there, without the caller's sides of calls.
        fan_out: Direct children of one span.
        widest: The operation that has them; it need not be reachable.
        spans: Spans of one trace, held at ``MOST_SPANS``.
        root: Where that trace begins.
    """

    depth: int
    path: tuple[str, ...]
    fan_out: int
    widest: str
    spans: int
    root: str


def bounds(wiring: Wiring) -> Bounds:
    """Return the bounds of traces of *wiring*; of equal ones the first by name is told."""
    depth: dict[str, int] = {}
    deeper: dict[str, str] = {}
    fan_out: dict[str, int] = {}
    size: dict[str, int] = {}
    for ref in wiring.callees_first:
        calls = [call for _, call in wiring.operations[ref].calls]
        depth[ref] = 0
        for call in calls:
            if depth[call.target] >= depth[ref]:
                depth[ref], deeper[ref] = 1 + depth[call.target], call.target
        fan_out[ref] = sum(map(attempts, calls))
        brought = sum(attempts(call) * size[call.target] for call in calls)
        size[ref] = min(1 + brought, MOST_SPANS)
    deepest = max(wiring.roots, key=depth.__getitem__)
    widest = max(wiring.operations, key=fan_out.__getitem__)
    largest = max(wiring.roots, key=size.__getitem__)
    path = [deepest]
    while path[-1] in deeper:
        path.append(deeper[path[-1]])
    told = tuple(ref for ref in path if ref not in wiring.clients)
    return Bounds(depth[deepest], told, fan_out[widest], widest, size[largest], largest)


def attempts(call: Call) -> int:
    """Return the most spans that one caller's span gets from *call*."""
    return call.count * (1 + call.retries)
