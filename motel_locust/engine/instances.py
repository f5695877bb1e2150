"""Instances: which of the processes of a service serves a request, and the resource that it is.

One instance serves a request from where it enters the service until it leaves it: it is drawn from
the id of the span with which it *entered*, and so is that of all spans of calls that stay inside.
An instance that restarts becomes another resource; a trace meets instances as they are when it
arrives. So a service's resources are numbered: ``generation * count + index of the instance``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.topology.model import Instances as Model
    from motel_locust.topology.model import Topology

FOR_EVER: Final = 2**63 - 1
_BETWEEN: Final = "\x1f"


def purpose(seed: int, service: str) -> np.uint64:
    """Return the key of the draws that decide which instance of a *service* serves a request."""
    return np.uint64(draws.key(seed, service, "instance"))


def bounds(model: Model) -> NDArray[np.uint64]:
    """Return the words at which one instance goes over to the next: uint64[count - 1]."""
    if model.weights:
        return draws.bounds(
            [model.weights.get(number, 1.0) for number in range(1, model.count + 1)]
        )
    # Just where `draws.draw_integers` has them, which takes a tenth of the time for 40 instances.
    ends = [-(-(index << 32) // model.count) << 32 for index in range(1, model.count)]
    return np.array(ends, np.uint64)


class Instances:
    """The instances of one *service*.

    Args:
        service: its name.
        model: how many there are, their weights, and how often they restart.
        seed: fixes which one serves what, with the engine's name.
        origin_ns: the Unix time at which all of them begin.
    """

    def __init__(self, service: str, model: Model, *, seed: int, origin_ns: int) -> None:
        self.count, self._origin_ns = model.count, origin_ns
        self._purpose = purpose(seed, service)
        self._bounds = bounds(model) if model.weights else None
        self._life_ns = model.restart_every
        # One after the other, evenly, so that the last one's turn comes after a whole life.
        every_ns, last = model.restart_every or 0, self.count - 1
        ahead = [every_ns * (last - index) // self.count for index in range(self.count)]
        self._ahead_ns = np.array(ahead, np.int64)

    def serving(self, entered: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the indexes of the instances that serve requests which *entered* so: int64[rows].

        entered  uint64[rows]  ids of the spans with which requests entered the service
        """
        words = draws.draw_words(self._purpose, entered)
        if self._bounds is None:
            return draws.draw_integers(words, 0, self.count - 1)
        return draws.draw_choices(words, self._bounds)

    def resources(
        self, entered: NDArray[np.uint64], arrival_ns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return which resources they are, in traces that arrive so: int64[rows].

        arrival_ns  int64[rows]  Unix times
        """
        index = self.serving(entered)
        if self._life_ns is None:
            return index
        since_ns = arrival_ns - self._origin_ns
        since_ns += self._ahead_ns[index]
        return since_ns // self._life_ns * self.count + index

    def lifetime_ns(self, resource: int) -> tuple[int, int]:
        """Return from when to before when a resource exists, Unix times."""
        if self._life_ns is None:
            return self._origin_ns, FOR_EVER
        generation, index = divmod(resource, self.count)
        begin_ns = self._origin_ns + generation * self._life_ns - int(self._ahead_ns[index])
        return max(begin_ns, self._origin_ns), begin_ns + self._life_ns

    def between(self, start_ns: int, stop_ns: int) -> list[int]:
        """Return the resources that exist at any time from *start_ns* to *stop_ns*, both included.

        Unix times, from the origin on; in ascending order.
        """
        if self._life_ns is None:
            return list(range(self.count))
        first = (start_ns - self._origin_ns + self._ahead_ns) // self._life_ns
        last = (stop_ns - self._origin_ns + self._ahead_ns) // self._life_ns
        return sorted(
            generation * self.count + index
            for index, (start, stop) in enumerate(zip(first.tolist(), last.tolist(), strict=True))
            for generation in range(start, stop + 1)
        )


def all_instances(topology: Topology, *, seed: int, origin_ns: int) -> dict[str, Instances]:
    """Return the instances of every service that has any."""
    return {
        name: Instances(name, service.instances, seed=seed, origin_ns=origin_ns)
        for name, service in topology.services.items()
        if service.instances is not None
    }


def owner_of(service: str, resource: int) -> str:
    """Return the name of a service's *resource*, under which its telemetry is collected."""
    return f"{service}{_BETWEEN}{resource}"


def parse_owner(owner: str) -> tuple[str, int]:
    """Return the service and the resource with the name *owner*."""
    service, _, resource = owner.rpartition(_BETWEEN)
    return service, int(resource)
