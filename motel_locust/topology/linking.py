"""From names to operations: what a valid topology's texts refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology, Traffic


def operations(topology: Topology) -> dict[str, tuple[str, str]]:
    """Return every operation by its ref, as service and operation name, sorted by these two."""
    names = sorted(
        (service_name, operation_name)
        for service_name, service in topology.services.items()
        for operation_name in service.operations
    )
    return {f"{service}.{operation}": (service, operation) for service, operation in names}


def roots(topology: Topology, traffic: Traffic | None = None) -> dict[str, float]:
    """Return the operations at which traces begin with their weights, sorted by ref.

    These are the ones that *traffic* lists (a scenario's, say), else the ones that the topology's
    own traffic lists; if neither does, every operation that no operation calls, with weight 1.
    """
    for given in (traffic, topology.traffic):
        if given is not None and given.roots is not None:
            return dict(sorted(given.roots.items()))
    called = {
        call.target
        for service in topology.services.values()
        for operation in service.operations.values()
        for call in operation.calls
    }
    return {ref: 1.0 for ref in sorted(operations(topology)) if ref not in called}
