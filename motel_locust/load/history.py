"""What a run was like over time: totals, second by second, and the rates between them.

Kept where a run is looked at, on the master or the only process. Workers report every three seconds
and not together, so that a master's sums move in jumps; between two reports of a process its totals
are taken to have grown evenly, and the history follows the clock at a distance of a report. As it
holds totals, thinning it out loses detail and never an item.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from motel_locust.load.figures import Figures

STEP_S: Final = 1.0

# A worker reports every three seconds, a busy one a little later.
REPORT_S: Final = 4.0

# Rates shown as present ones are those of the last seconds.
PRESENT_S: Final = 5.0

# As many of the last samples are never thinned out.
RECENT: Final = 120
OLDER: Final = 600
SPELLS: Final = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals since the run began, and what held, at one instant.

    Counts between two reports are interpolated and may be fractions; ``accepted`` to ``dropped``
    are items of all signals.
    """

    at_s: float = 0.0
    """Since the run began."""
    traces: float = 0.0
    spans: float = 0.0
    data_points: float = 0.0
    log_records: float = 0.0
    accepted: float = 0.0
    rejected: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    asked_per_s: float = 0.0
    queued_bytes: float = 0.0
    users: float = 0.0
    lag_s: float = 0.0

    @classmethod
    def of(cls, at_s: float, figures: Figures) -> Sample:
        """Return what the *figures* of a process say at *at_s*."""
        counts = [figures.ledger[signal] for signal in figures.ledger]
        return cls(
            at_s,
            traces=figures.counts.traces,
            spans=figures.counts.spans,
            data_points=figures.generated("metrics"),
            log_records=figures.generated("logs"),
            accepted=sum(each.accepted for each in counts),
            rejected=sum(each.rejected for each in counts),
            failed=sum(each.failed for each in counts),
            dropped=sum(each.dropped for each in counts),
            asked_per_s=figures.asked_per_s,
            queued_bytes=figures.queued_bytes,
            users=figures.users,
            lag_s=figures.lag_ns / 1e9,
        )


COUNTS: Final = (
    *("traces", "spans", "data_points", "log_records"),
    *("accepted", "rejected", "failed", "dropped"),
)
LEVELS: Final = ("asked_per_s", "queued_bytes", "users", "lag_s")


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast things went between two samples, and what held at the later one."""

    at_s: float
    traces_per_s: float
    spans_per_s: float
    data_points_per_s: float
    log_records_per_s: float
    accepted_per_s: float
    rejected_per_s: float
    failed_per_s: float
    dropped_per_s: float
    asked_per_s: float
    queued_bytes: float
    users: float
    lag_s: float


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which a scenario was seen to be active."""

    scenario: str
    from_s: float
    to_s: float


class History:
    """The samples of one run. ``delay_s`` is how far it stays behind the clock.

    Attributes:
        closed: Whether the run is over.
        spells: When scenarios were active, in the order of their beginnings; the last ones.
    """

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._reports: dict[str, deque[Sample]] = {}
        self._older: list[Sample] = []
        self._recent: deque[Sample] = deque([Sample()])
        self._step_s = STEP_S
        self.closed = False
        self._observed_s = 0.0
        self.spells: deque[Spell] = deque(maxlen=SPELLS)

    def observe(self, at_s: float, parts: Mapping[str, Figures]) -> None:
        """Take in the figures of all processes at *at_s*, and let the history go on by a step."""
        for process, figures in parts.items():
            self.hear(at_s, process, figures)
        for scenario in dict.fromkeys(name for each in parts.values() for name in each.scenarios):
            self._extend(scenario, at_s)
        self._observed_s = at_s
        self._append(at_s - self._delay_s)

    def hear(self, at_s: float, process: str, figures: Figures) -> None:
        """Take in the figures that one *process* has at *at_s*; its instants do not descend."""
        sample = Sample.of(at_s, figures)
        reports = self._reports.setdefault(process, deque())
        if not reports:  # it began since it was last looked for, or a report ago
            since_s = at_s - max(self._delay_s, STEP_S)
            reports.append(Sample(max(self._recent[-1].at_s, since_s)))
        if at_s <= reports[-1].at_s:
            reports[-1] = sample
        elif _values(sample) != _values(reports[-1]) or at_s - reports[-1].at_s >= self._delay_s:
            reports.append(sample)
        until_s = at_s - self._delay_s - PRESENT_S
        while len(reports) > 2 and reports[1].at_s <= until_s:
            reports.popleft()

    def close(self, at_s: float, parts: Mapping[str, Figures]) -> None:
        """Take in the last figures, those of the run's end, and catch up with the clock."""
        for process, figures in parts.items():
            self.hear(at_s, process, figures)
        while (next_s := self._recent[-1].at_s + STEP_S) < at_s:
            self._append(next_s)
        self._append(at_s)
        self.closed = True

    def samples(self) -> list[Sample]:
        """Return all samples that are kept, in order; the first is the run's beginning."""
        return [*self._older, *self._recent]

    def rates(self, points: int) -> list[Rates]:
        """Return how fast things went, at most *points* of them, spread over the whole run."""
        samples = self.samples()
        stride = max(1, -(-(len(samples) - 1) // points))
        # From the end, so that the latest one is among them.
        kept = samples[::-stride][::-1]
        return [rates_between(a, b) for a, b in pairwise(kept)]

    def present(self) -> Rates:
        """Return how fast things go now, over the last seconds; not at all after the end."""
        return _present([self._recent[-1]] if self.closed else self._recent)

    def present_of(self, process: str) -> Rates:
        """Return how fast things go on one process, by its last reports."""
        reports = self._reports.get(process)
        return _present(reports if reports and not self.closed else [Sample()])

    def as_dict(self) -> dict[str, list[float]]:
        """Return the rates over time as columns, for JSON."""
        rates = self.rates(OLDER + RECENT)
        return {
            each.name: [round(getattr(rate, each.name), 3) for rate in rates]
            for each in fields(Rates)
        }

    def _extend(self, scenario: str, at_s: float) -> None:
        """Note that *scenario* is active at *at_s*."""
        for index, spell in enumerate(self.spells):
            if spell.scenario == scenario and spell.to_s == self._observed_s:
                self.spells[index] = Spell(scenario, spell.from_s, at_s)
                return
        self.spells.append(Spell(scenario, at_s, at_s))

    def _append(self, at_s: float) -> None:
        if at_s <= self._recent[-1].at_s:
            return
        parts = [_at(at_s, reports) for reports in self._reports.values()]
        sums = {name: sum(getattr(part, name) for part in parts) for name in (*COUNTS, *LEVELS)}
        sums["lag_s"] = max((part.lag_s for part in parts), default=0.0)
        self._recent.append(Sample(at_s, **sums))
        if len(self._recent) > RECENT:
            oldest = self._recent.popleft()
            if not self._older or oldest.at_s >= self._older[-1].at_s + self._step_s - STEP_S / 2:
                self._older.append(oldest)
        if len(self._older) > OLDER:
            del self._older[1::2]
            self._step_s *= 2


def rates_between(a: Sample, b: Sample) -> Rates:
    """Return how fast things went from *a* to *b*, which is later."""
    seconds = b.at_s - a.at_s
    speeds = {
        f"{name}_per_s": (getattr(b, name) - getattr(a, name)) / seconds if seconds else 0.0
        for name in COUNTS
    }
    return Rates(at_s=b.at_s, **speeds, **{name: getattr(b, name) for name in LEVELS})


def _present(samples: Sequence[Sample]) -> Rates:
    last = samples[-1]
    since = next(each for each in samples if last.at_s - each.at_s <= PRESENT_S)
    return rates_between(since, last)


def _at(at_s: float, reports: Sequence[Sample]) -> Sample:
    """Return what a process had at *at_s*, on the line between the reports around it."""
    if at_s <= reports[0].at_s:
        return _replaced(reports[0], {"at_s": at_s})
    for a, b in pairwise(reports):
        if at_s <= b.at_s:
            share = (at_s - a.at_s) / (b.at_s - a.at_s)
            return Sample(*(x + share * (y - x) for x, y in zip(_all(a), _all(b), strict=True)))
    return _replaced(reports[-1], {"at_s": at_s})


NAMES: Final = tuple(each.name for each in fields(Sample))


def _all(sample: Sample) -> list[float]:
    return [getattr(sample, name) for name in NAMES]


def _values(sample: Sample) -> list[float]:
    return _all(sample)[1:]


def _replaced(sample: Sample, changes: Mapping[str, float]) -> Sample:
    return Sample(**{**dict(zip(NAMES, _all(sample), strict=True)), **changes})
