"""Limits that traces are held to, and the file that may hold them."""

from collections.abc import Iterator
from typing import ClassVar, Final

from pydantic import field_validator

from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.kinds import Count
from motel_locust.topology.model import Version
from motel_locust.topology.part import Part
from motel_locust.topology.reading import parse_part, read_source

MEASURES: Final = ("depth", "fan_out", "spans")
PERCENTS: Final = (50, 95, 99)
DEFAULTS: Final = {"depth": 10, "fan_out": 100, "spans": 10_000}


class Limits(Part):
    """The limits of a checks file."""

    title: ClassVar[str] = "checks"

    max_depth: Count | None = None
    """Calls from a root to the deepest span."""
    max_fan_out: Count | None = None
    """Direct children of one span."""
    max_spans: Count | None = None
    """Spans of one trace."""
    p50_depth: Count | None = None
    p95_depth: Count | None = None
    p99_depth: Count | None = None
    p50_fan_out: Count | None = None
    p95_fan_out: Count | None = None
    p99_fan_out: Count | None = None
    p50_spans: Count | None = None
    p95_spans: Count | None = None
    p99_spans: Count | None = None

    def greatest(self, measure: str) -> int | None:
        """Return the limit of all traces in one of the MEASURES, None if the file has none."""
        limit: int | None = getattr(self, f"max_{measure}")
        return limit

    def percentiles(self) -> Iterator[tuple[str, int, int]]:
        """Yield measure, percent and limit of every percentile that the file limits."""
        for measure in MEASURES:
            for percent in PERCENTS:
                limit = getattr(self, f"p{percent}_{measure}")
                if limit is not None:
                    yield measure, percent, limit


class ChecksFile(Part):
    """A file of limits."""

    title: ClassVar[str] = "checks file"
    examples: ClassVar = {
        "version": "version: 1",
        "checks": "checks: {max_depth: 6, p99_spans: 150}",
    }

    version: Version
    checks: Limits

    @field_validator("checks")
    @classmethod
    def _some_limit(cls, checks: Limits) -> Limits:
        if not checks.model_fields_set:
            allowed = ", ".join(Limits.keys())
            raise Mistake("missing-key", f"is empty, at least one limit is needed: {allowed}")
        return checks


def read_limits(source: str) -> Limits:
    """Return the limits in the checks file that *source* names: a path, a URL, or ``-``.

    Raises:
        TopologyError: with every problem, in file order.
    """
    return parse_part(read_source(source), ChecksFile).checks
