"""One run at length, what arrived of it, and what is said of that.

Each module beside this one judges one property of the spans and metrics that arrived: its function
``statistics`` yields what it found, what the topology says, and how far the two may lie apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from tests.integration.played import ref

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology
    from tests.integration.collected import CollectedMetric, CollectedSpan
    from tests.integration.locust_runs import Finished


@dataclass(frozen=True)
class Arrived:
    """A run that has ended, and what the Collector has of it."""

    topology: Topology
    finished: Finished
    spans: list[CollectedSpan]
    metrics: list[CollectedMetric]
    span_metrics: list[CollectedMetric]
    """What the Collector's connector made of the spans."""

    @cached_property
    def by_operation(self) -> dict[str, list[CollectedSpan]]:
        """The spans by ``service.operation``."""
        found: dict[str, list[CollectedSpan]] = {}
        for each in self.spans:
            found.setdefault(ref(each), []).append(each)
        return found

    @cached_property
    def first_child_ns(self) -> dict[bytes, int]:
        """When the first child of a span began, by the span's id."""
        found: dict[bytes, int] = {}
        for each in self.spans:
            parent, start_ns = each.span.parent_span_id, each.span.start_time_unix_nano
            found[parent] = min(found.get(parent, start_ns), start_ns)
        return found


class Statistic(NamedTuple):
    """Something that was counted or measured."""

    name: str
    found: float
    expected: float
    error: float = 0.0
    """Its standard error; 0 where it has to be exact."""

    @property
    def holds(self) -> bool:
        """Whether it is within four standard errors of what is expected."""
        return abs(self.found - self.expected) <= 4 * self.error


def share(name: str, found: int, of: int, expected: float) -> Statistic:
    """The share of *found* among *of*, where each is counted with the probability *expected*."""
    return Statistic(name, found / of, expected, sqrt(expected * (1 - expected) / of))


def duration_ns(each: CollectedSpan) -> int:
    return each.span.end_time_unix_nano - each.span.start_time_unix_nano
