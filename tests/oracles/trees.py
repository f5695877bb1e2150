"""Collected spans as the trees that they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracles import contents
from tests.oracles.explanation import Child

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.integration.collected import CollectedSpan
    from tests.oracles.rules import Rules


@dataclass
class Visit(Child):
    """A collected span with its place in the trace."""

    collected: CollectedSpan
    rules: Rules
    children: list[Visit] = field(default_factory=list)

    @property
    def span(self) -> Span:
        return self.collected.span

    @property
    def rejection(self) -> str:
        return contents.rejection(self.span)


@dataclass
class Trace:
    """A whole trace."""

    trace_id: bytes
    root: Visit
    arrival_ns: int
    visits: list[Visit]
