"""What each operation did, counted from the spans that arrived, one by one."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.integration.collected import CollectedSpan

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}

OFF = 0.016
"""By how much of itself a percentile may be wrong: half a cell of its histogram."""

DIGITS_MS = 0.00005
"""By how much it may be rounded besides."""


def operation_faults(
    rows: Iterable[dict[str, Any]], collected: Sequence[CollectedSpan]
) -> Iterator[str]:
    """Judge the *rows* of a table of operations by the spans that were *collected*.

    Yields faults, sentences for a person.
    """
    taken_ms: dict[str, list[float]] = defaultdict(list)
    errors: dict[str, int] = defaultdict(int)
    for each in collected:
        span, ref = each.span, f"{each.service}.{each.span.name}"
        taken_ms[ref].append((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6)
        errors[ref] += span.status.code == Status.STATUS_CODE_ERROR
    found = {row["operation"]: row for row in rows}
    if found.keys() != taken_ms.keys():
        yield f"operations {sorted(found)}, not {sorted(taken_ms)}"
        return
    for ref, row in found.items():
        exact = sorted(taken_ms[ref])
        counts = {"spans": len(exact), "errors": errors[ref]}
        if {name: row[name] for name in counts} != counts:
            yield f"{ref}: {row}, not {counts}"
        for name, share in PERCENTILES.items():
            wanted = exact[math.ceil(share * len(exact)) - 1]
            if abs(row[name] - wanted) > OFF * wanted + DIGITS_MS:
                yield f"{ref}: {name} is {row[name]}, not {wanted}"
