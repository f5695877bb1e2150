"""A run, and figures of it, as processes tell them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from motel_locust.engine.columns import Counts
from motel_locust.engine.statistics import Durations, OperationCounts
from motel_locust.load.figures import Figures
from motel_locust.load.run import Part, Run
from motel_locust.load.run_options import plain_values
from motel_locust.otlp.ledger import Ledger

RUN: Final = Run(
    name="a",
    epoch_ns=1_700_000_000_000_000_000,
    seed=2**63 - 1,
    stride=4096,
    users=10,
    parts=(Part("Shopper", "shop.yaml", "ab" * 32, "", "10/s", ""),),
    options=plain_values({"rate": "10/s", "otlp_headers": "authorization=hunter2"}),
    environ={"OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter3"},
)


def figures(*, accepted: int = 8, dropped: int = 0, pending: int = 0, **others: Any) -> Figures:
    """Return figures of traces of four spans each, so many of which ended so."""
    ledger = Ledger()
    ledger.generate("traces", accepted + dropped + pending)
    ledger.settle("traces", accepted=accepted, dropped=dropped, reason="queue full")
    spans = accepted + dropped + pending
    return Figures(ledger=ledger, counts=Counts(traces=spans // 4, spans=spans), **others)


def operation(spans: int, *, errors: int = 0, cell: int = 800) -> OperationCounts:
    """Return counts of spans that all took the same time, some of them failing."""
    taken = Durations(np.array([cell]), np.array([spans])) if spans else Durations()
    return OperationCounts(spans, errors, taken)
