"""How metrics are collected: what the options say, else the OTEL_ variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from motel_locust.engine.schedule import TICK_NS
from motel_locust.otlp.settings import SettingsError
from motel_locust.topology.diagnostics import quoted
from motel_locust.topology.quantities import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.points import Temporality

INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
PREFERENCE: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"

# lowmemory is delta for the instruments that follow spans, and these are all of ours that add up.
PREFERENCES: Final = {"cumulative": "cumulative", "delta": "delta", "lowmemory": "delta"}
DEFAULT_INTERVAL_MS: Final = "60000"


class Collection(NamedTuple):
    """How often metrics are collected, and what their points tell."""

    interval_ns: int
    temporality: Temporality


def collection(options: Mapping[str, Any], environ: Mapping[str, str]) -> Collection:
    """Return how metrics are collected; raise SettingsError.

    *options* are plain values by option name, None where an option was not given.
    """
    return Collection(_interval_ns(options, environ), _temporality(options, environ))


def _interval_ns(options: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    source, written = "--metrics-interval", options["metrics_interval"]
    if written is None:
        # The specification gives the variable in milliseconds, a whole number.
        source, written = INTERVAL, environ.get(INTERVAL, "").strip() or DEFAULT_INTERVAL_MS
        if not (written.isascii() and written.isdecimal()):
            raise SettingsError(f"{source}: {quoted(written)} is no whole number of milliseconds")
        written += "ms"
    try:
        interval_ns = parse_duration(written)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from None
    if interval_ns < TICK_NS:
        least = format_duration(TICK_NS)
        raise SettingsError(f"{source}: {written} is too short; write at least {least}")
    return interval_ns


def _temporality(options: Mapping[str, Any], environ: Mapping[str, str]) -> Temporality:
    if options["metrics_temporality"]:
        return cast("Temporality", options["metrics_temporality"])
    # The specification has the values in any case.
    written = environ.get(PREFERENCE, "").strip() or "cumulative"
    if written.lower() not in PREFERENCES:
        raise SettingsError(
            f"{PREFERENCE}: {quoted(written)} is not known; write cumulative, delta or lowmemory"
        )
    return cast("Temporality", PREFERENCES[written.lower()])
