"""A call graph with what there is to say of each operation and call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from motel_locust.commands.checking import amounts
from motel_locust.commands.checking.sets import Wiring, wire

if TYPE_CHECKING:
    from motel_locust.commands.checking.sizes import Spread
    from motel_locust.commands.checking.volume import Volume
    from motel_locust.topology.model import Call, Topology


@dataclass(frozen=True, slots=True)
class Box:
    """An operation.

    Attributes:
        ref: ``service.operation``.
        service: Whose it is.
        name: What it is called there.
        root: Whether traces begin here.
        spans_per_s: Expected spans a second.
        errors: Expected share of them that fail, 0 to 1.
        latency: How long its sampled spans take, in ns; None where it was never reached.
    """

    ref: str
    service: str
    name: str
    root: bool
    spans_per_s: float
    errors: float
    latency: Spread | None


@dataclass(frozen=True, slots=True)
class Arrow:
    """All calls of one operation to another.

    Attributes:
        caller: Ref of the one.
        callee: Ref of the other.
        spans_per_s: Expected spans a second that they make, further attempts included.
        awaited: Whether any of them is waited for.
        words: What the file says of each of them, such as ``60 %, timeout 80 ms``.
    """

    caller: str
    callee: str
    spans_per_s: float
    awaited: bool
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallGraph:
    """The operations and calls of a topology while a set of scenarios is active.

    Boxes are in the order of service and name, arrows in the order of callers and their calls.
    """

    label: str
    traces_per_s: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def call_graph(topology: Topology, volume: Volume, traces_per_s: float) -> CallGraph:
    """Return the call graph of *topology*, of whose average traces, *volume*, so many arrive."""
    wiring = wire(topology, volume.scenarios.active)
    boxes = tuple(
        Box(
            ref,
            share.service,
            share.name,
            ref in wiring.roots,
            traces_per_s * share.spans.value,
            share.errors.value,
            share.latency,
        )
        for ref, share in volume.shares.items()
        if ref in wiring.operations
    )
    arrows = tuple(_arrows(wiring, volume, traces_per_s))
    return CallGraph(volume.scenarios.label, traces_per_s, boxes, arrows)


def _arrows(wiring: Wiring, volume: Volume, traces_per_s: float) -> list[Arrow]:
    entries: dict[tuple[str, str], list[Call]] = {}
    for ref, operation in wiring.operations.items():
        for _, each in () if ref in wiring.clients else operation.calls:
            client = wiring.clients.get(each.target)
            call = each if client is None else client.call
            entries.setdefault((ref, call.target), []).append(call)
    return [
        Arrow(
            *edge,
            traces_per_s * volume.calls[edge].value,
            any(not call.detached for call in calls),
            tuple(map(_words, calls)),
        )
        for edge, calls in entries.items()
    ]


def _words(call: Call) -> str:
    said: list[str] = []
    if call.condition is not None:
        said.append(call.condition)
    if call.probability != 1:
        said.append(amounts.share(call.probability))
    if call.count != 1:
        said.append(f"{call.count} times")
    if call.timeout is not None:
        said.append(f"timeout {amounts.duration(call.timeout)}")
    if call.retries:
        said.append(f"{call.retries} {'retries' if call.retries > 1 else 'retry'}")
    if call.detached:
        said.append("async")
    if call.producer:
        said.append("producer")
    if call.network is not None:
        said.append(f"network {call.network}")
    return ", ".join(said) or "always"
