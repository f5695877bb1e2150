"""Instances get their shares of requests, one for each visit, and restart one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.integration.production.arrived import Statistic, share
from tests.oracles.contents import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.production.arrived import Arrived

POD = "k8s.pod.name"


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield each pod's share of what enters its service, and how many resources it has been."""
    service_of = {each.span.span_id: each.service for each in arrived.spans}
    resource_of = {each.span.span_id: str(each.resource) for each in arrived.spans}
    arrival_ns = {
        each.span.trace_id: each.span.start_time_unix_nano - arrived.finished.epoch_ns
        for each in arrived.spans
        if not each.span.parent_span_id
    }
    moved = 0
    entered, visits = Counter[str](), Counter[str]()
    resources, lives = defaultdict(set), defaultdict(set)
    for each in arrived.spans:
        instances = arrived.topology.services[each.service].instances
        if instances is None:
            continue
        pod = plain(each.resource.attributes)[POD]
        resources[pod].add(str(each.resource))
        restarts = 0
        if instances.restart_every is not None:
            number = int(pod.split("-")[-1]) if pod.startswith(each.service) else 0
            first_ns = instances.restart_every * number // instances.count
            since_ns = arrival_ns[each.span.trace_id] - first_ns + instances.restart_every
            restarts = since_ns // instances.restart_every
        lives[pod].add((str(each.resource), restarts))
        parent = each.span.parent_span_id
        if service_of.get(parent) == each.service:
            moved += resource_of[each.span.span_id] != resource_of[parent]
        else:
            entered[pod] += 1
            visits[each.service] += 1
    yield Statistic("spans away from their visit's instance", moved, 0)
    for name, service in arrived.topology.services.items():
        if service.instances is None:
            continue
        numbers = range(1, service.instances.count + 1)
        pods = [f"{name}-{number}" for number in numbers]
        weights = [service.instances.weights.get(number, 1.0) for number in numbers]
        for pod, weight in zip(pods, weights, strict=True):
            yield share(f"visits of {pod}", entered[pod], visits[name], weight / sum(weights))
            # As many as it has lived lives, and never two at a time.
            yield Statistic(f"resources of {pod}", len(resources[pod]), len(lives[pod]))
            restarts = {number for _, number in lives[pod]}
            yield Statistic(f"lives of {pod}", len(restarts), len(lives[pod]))
