"""Items of telemetry as Locust requests, many in one call.

One span is one request, so that Locust's tables, charts and reports read spans per second. Its own
``log_request`` costs 1.6 µs a request; here a whole body costs about that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import locust.stats
from locust.stats import StatsError

if TYPE_CHECKING:
    from locust.stats import RequestStats

METHOD: Final = "OTLP"
"""The type of our rows in Locust's tables."""

NAMES: Final = {"traces": "spans", "metrics": "data points", "logs": "log records"}
"""What one item of a signal is called; the name of its row."""


def log_items(
    stats: RequestStats,
    signal: str,
    *,
    items: int,
    ack_ms: float | None,
    size: int,
    lost: int = 0,
    error: str = "",
) -> None:
    """Count *items* of one body as that many Locust requests; *lost* of them failed with *error*.

    The outcome is that of as many calls of ``log_request`` and ``log_error``, *size* bytes being
    spread over the items. *ack_ms* is the time to the acknowledgement, None where none came: a zero
    would drag minimum and percentiles down. *error* comes from a small fixed set, as each distinct
    text takes memory on every process.
    """
    # Plain integers: a NumPy one in a counter cannot be packed, and would end a worker's reports.
    items, size, lost = int(items), int(size), int(lost)
    if items < 1:
        return
    name, more = NAMES[signal], items - 1
    # Looked up each time: Locust replaces them when a test starts.
    for entry in (stats.total, stats.entries[name, METHOD]):
        entry.log(ack_ms, size)  # type: ignore[arg-type]  # Locust means int | float | None
        second = int(entry.last_request_timestamp or 0)
        entry.num_requests += more
        entry.num_reqs_per_sec[second] += more
        if ack_ms is None:
            entry.num_none_requests += more
        else:
            entry.total_response_time += ack_ms * more  # type: ignore[assignment]
            # Through the module: users may replace the function there.
            entry.response_times[locust.stats.bucket_response_time(ack_ms)] += more
        if lost:
            entry.num_failures += lost
            entry.num_fail_per_sec[second] += lost
    if lost:
        key = StatsError.create_key(METHOD, name, error)
        row = stats.errors.setdefault(key, StatsError(METHOD, name, error))
        row.occurred()
        row.occurrences += lost - 1


def set_back(report: dict[str, Any], ahead_s: float) -> None:
    """Tell a worker's *report* in the master's time, by a clock that is *ahead_s* of it.

    Locust counts requests by second: with one worker ahead of the others, the current rate of all
    would be averaged over a longer time, and read too low.
    """
    whole_s = round(ahead_s)
    for entry in (*report["stats"], report["stats_total"]) if whole_s else ():
        for name in ("num_reqs_per_sec", "num_fail_per_sec"):
            entry[name] = {second - whole_s: n for second, n in entry[name].items()}
        for name in ("start_time", "last_request_timestamp"):
            if entry[name] is not None:
                entry[name] -= whole_s


def foreign_errors(stats: RequestStats) -> bool:
    """Tell whether requests other than ours have failed."""
    return any(row.method != METHOD for row in stats.errors.values())
