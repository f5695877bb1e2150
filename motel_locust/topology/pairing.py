"""Which calls make spans on both sides, and how long the network between them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.topology.quantities import DurationDistribution

if TYPE_CHECKING:
    from motel_locust.topology.model import Call, Topology
    from motel_locust.topology.percentiles import PercentileDistribution

NETWORK: Final = DurationDistribution(1_000_000)
"""A request and its answer inside a data centre."""


def paired(topology: Topology, call: Call, *, caller: str, callee: str) -> bool:
    """Return whether *call*, from the service *caller* to the service *callee*, makes two spans.

    Calls to another service do, and messages, wherever they go.
    """
    return topology.spans == "paired" and (caller != callee or message(call))


def message(call: Call) -> bool:
    """Return whether *call* sends a message, not a request."""
    return call.detached or call.producer


def network(topology: Topology, call: Call) -> DurationDistribution | PercentileDistribution:
    """Return how long the network takes on both ways of *call*, if that makes two spans."""
    return call.network or topology.network or NETWORK
