"""A topology that was played into a real Collector, and how to look at what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.collected import CollectedSpan
    from tests.integration.locust_runs import Finished

MS = 1_000_000

Row = tuple[str, float, float, int, bool]
"""Ref, start and end in ms after the root's start, kind, and whether the span is an error."""


@dataclass(frozen=True)
class Collected:
    """A run and the traces that the Collector has of it, in order of arrival."""

    finished: Finished
    traces: list[list[CollectedSpan]]

    def beginning_at(self, root: str) -> list[list[CollectedSpan]]:
        return [trace for trace in self.traces if ref(root_of(trace)) == root]


Play = Callable[..., Collected]
"""The fixture ``play``."""


def ref(each: CollectedSpan) -> str:
    return f"{each.service}.{each.span.name}"


def root_of(trace: list[CollectedSpan]) -> CollectedSpan:
    (root,) = (each for each in trace if not each.span.parent_span_id)
    return root


def arrival_ns(trace: list[CollectedSpan]) -> int:
    return root_of(trace).span.start_time_unix_nano


def failed(each: CollectedSpan) -> bool:
    return each.span.status.code == Status.STATUS_CODE_ERROR


def rows(trace: list[CollectedSpan]) -> list[Row]:
    """Return a trace as a table written by hand has it, exact to the nanosecond."""
    zero_ns = arrival_ns(trace)
    return sorted(
        (
            ref(each),
            (each.span.start_time_unix_nano - zero_ns) / MS,
            (each.span.end_time_unix_nano - zero_ns) / MS,
            each.span.kind,
            failed(each),
        )
        for each in trace
    )


def durations_ms(spans: list[CollectedSpan]) -> list[float]:
    return [(s.span.end_time_unix_nano - s.span.start_time_unix_nano) / MS for s in spans]


def service(**operations: dict[str, Any]) -> dict[str, Any]:
    """Return a service as a topology has it."""
    return {"operations": operations}


def traces_of(spans: Iterable[CollectedSpan]) -> list[list[CollectedSpan]]:
    """Return the spans by trace, in order of arrival."""
    traces: dict[bytes, list[CollectedSpan]] = defaultdict(list)
    for each in spans:
        traces[each.span.trace_id].append(each)
    return sorted(traces.values(), key=arrival_ns)
