"""Log records as columns: what the engine hands to an encoder.

Shape words: ``rows`` records of one shape in one batch; ``traces`` traces of the batch; ``parts``
those in which the batch leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from motel_locust.engine.columns import (
    Attribute,
    Choice,
    Double,
    Integer,
    Numbered,
    Spelled,
    value_parts,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motel_locust.engine.columns import ValueColumn


class Severity(IntEnum):
    """``SeverityNumber`` of opentelemetry/proto/logs/v1/logs.proto; the name is the text."""

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17
    FATAL = 21


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A duration in Go's print form, such as 1m30s. Column: int64[rows], ns, not negative."""


Shown: TypeAlias = Choice | Integer | Double | Numbered | Spelled | Elapsed
"""What differs from row to row in a body; values stand there as they print, without their keys."""


@dataclass(frozen=True, slots=True)
class LogShape:
    """What all records of a block have in common: everything of a record but its columns."""

    service: str
    severity: Severity
    body: tuple[str | Shown, ...]
    attributes: tuple[Attribute, ...]

    @property
    def owner(self) -> str:
        """Whose record it is: the service's."""
        return self.service


@dataclass(frozen=True, slots=True, eq=False)
class LogColumns:
    """The records of one shape in one batch, in order of release: arrays of equal length.

    trace        int64[rows]    index of the trace in the batch; ascending unless in real time
    span_id      uint64[rows]   as that of the span's columns
    time_ns      int64[rows]    Unix time
    observed_ns  int64[rows]    Unix time
    values       one column per attribute of the shape, None for a ``Constant``
    shown        one column for each of what differs in the body, in its order
    resource     int64[rows]    as that of the span's columns
    """

    shape: LogShape
    trace: NDArray[np.int64]
    span_id: NDArray[np.uint64]
    time_ns: NDArray[np.int64]
    observed_ns: NDArray[np.int64]
    values: tuple[ValueColumn, ...]
    shown: tuple[ValueColumn, ...]
    resource: NDArray[np.int64] | None = None

    def part(self, start: int, stop: int) -> LogColumns:
        """Return the rows from *start* to before *stop*: views."""
        rows = slice(start, stop)
        return replace(
            self,
            trace=self.trace[rows],
            span_id=self.span_id[rows],
            time_ns=self.time_ns[rows],
            observed_ns=self.observed_ns[rows],
            values=value_parts(self.values, start, stop),
            shown=value_parts(self.shown, start, stop),
            resource=None if self.resource is None else self.resource[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class LogBatch:
    """The log records of a batch of spans; they leave in parts as the batch itself does.

    trace_id  V16[traces]    that of the batch
    columns   one per shape that occurs
    edges_ns  int64[parts]   Unix times of ticks, ascending
    rows      int64[columns, parts + 1]   part *i* of ``columns[c]`` is its rows
              ``rows[c, i]`` to ``rows[c, i + 1]``
    """

    trace_id: NDArray[np.void]
    columns: tuple[LogColumns, ...]
    edges_ns: NDArray[np.int64]
    rows: NDArray[np.int64]
