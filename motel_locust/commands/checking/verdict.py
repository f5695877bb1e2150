"""Bounds and samples held against limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from motel_locust.commands.checking.limits import DEFAULTS, MEASURES
from motel_locust.commands.checking.sizes import Sizes, Spread, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from motel_locust.commands.checking.bounds import Bounds
    from motel_locust.commands.checking.limits import Limits
    from motel_locust.commands.checking.sets import ScenarioSet


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about the traces of one set of scenarios; no *sizes*: none was sampled."""

    scenarios: ScenarioSet
    bounds: Bounds
    sizes: Sizes | None = None

    def value(self, measure: str) -> int:
        """Return the bound of *measure*: depth, fan_out or spans."""
        found: int = getattr(self.bounds, measure)
        return found

    def sampled(self, measure: str) -> Spread | None:
        """Return how *measure* is spread over the sample."""
        return None if self.sizes is None else spread(getattr(self.sizes, measure))

    def where(self, measure: str) -> tuple[str, ...]:
        """Return the operations that the bound of *measure* is about."""
        places = {"depth": self.bounds.path, "fan_out": (self.bounds.widest,)}
        return places.get(measure, (self.bounds.root,))


@dataclass(frozen=True, slots=True)
class Row:
    """A value held against its limit.

    Attributes:
        measure: depth, fan_out or spans.
        percent: Of a percentile; None for the bound of all traces.
        value: What was found.
        limit: What is allowed.
        where: The path to the deepest span, the widest operation, the root of the largest trace.
        scenarios: The set of scenarios in which it was found.
        sampled: How the samples of that set are spread; None without.
    """

    measure: str
    percent: int | None
    value: int
    limit: int
    where: tuple[str, ...]
    scenarios: ScenarioSet
    sampled: Spread | None

    @property
    def name(self) -> str:
        """What people call what was looked at."""
        noun = self.measure.replace("_", "-")
        return noun if self.percent is None else f"p{self.percent} {noun}"

    @property
    def passed(self) -> bool:
        """Whether the value is within its limit, and no sample beyond the bound."""
        bounded = self.percent is not None or self.sampled is None
        return self.value <= self.limit and (bounded or self.value >= self._greatest)

    @property
    def _greatest(self) -> int:
        return 0 if self.sampled is None else self.sampled.greatest


def judge(
    findings: Sequence[Finding], *, given: Mapping[str, int | None], file: Limits | None
) -> list[Row]:
    """Return the rows of *findings*, the baseline's first: bounds, then what *file* limits.

    A limit is the *given* one by measure, else the file's, else the default. Of several sets the
    one with the greatest value is told, of equals that with the greatest sample, then the first.
    """
    rows = []
    for measure in MEASURES:
        written = None if file is None else file.greatest(measure)
        limits = (given.get(measure), written, DEFAULTS[measure])
        limit = next(each for each in limits if each is not None)
        rows.append(
            _worst(
                Row(
                    measure,
                    None,
                    each.value(measure),
                    limit,
                    each.where(measure),
                    each.scenarios,
                    each.sampled(measure),
                )
                for each in findings
            )
        )
    for measure, percent, limit in file.percentiles() if file else ():
        rows.append(_worst(_percentile(each, measure, percent, limit) for each in findings))
    return rows


def _percentile(finding: Finding, measure: str, percent: int, limit: int) -> Row:
    sampled = finding.sampled(measure)
    assert sampled is not None, "percentiles are asked of samples only"
    value: int = getattr(sampled, f"p{percent}")
    return Row(measure, percent, value, limit, (), finding.scenarios, sampled)


def _worst(rows: Iterable[Row]) -> Row:
    return max(rows, key=lambda row: (row.value, row.sampled.greatest if row.sampled else 0))
