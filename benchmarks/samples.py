"""What a measured process noted down, and the stretch of it that counts.

A *diary* is the list of one process's samples, in order of time. A *window* is the same stretch of
time in the diaries of all processes of a run; start-up and drain are outside of it. Instants are
those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NoWindowError(RuntimeError):
    """A process ended before its window did, or never began."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one instant; counts and CPU time are totals since it began."""

    at_s: float
    cpu_s: float
    """CPU time of the process, all its threads, user and system."""
    endpoint_cpu_s: float
    """That of the endpoint's process; 0 where there is none."""
    rss_bytes: int
    users: int
    traces: int = 0
    generated: int = 0
    """Spans; so are accepted ones."""
    accepted: int = 0
    lag_s: float = 0.0
    late_s: tuple[float, ...] = ()
    """How late each tick of the ticker was since the sample before; empty without a ticker."""

    def line(self) -> str:
        """Return the sample as one line of a diary."""
        return json.dumps(asdict(self)) + "\n"


def read_diary(path: Path) -> list[Sample]:
    """Return the samples in the file at *path*, without one that is still being written."""
    *lines, _ = path.read_text().split("\n")
    fields = [json.loads(line) for line in lines]
    return [Sample(**{**each, "late_s": tuple(each["late_s"])}) for each in fields]


@dataclass(frozen=True, slots=True)
class Window:
    """The same stretch of time in the diaries of all processes of a run, at least two samples each.

    Rates and cores are sums over the processes, each over its own samples.
    """

    diaries: Sequence[Sequence[Sample]]

    @property
    def from_s(self) -> float:
        """When it begins."""
        return min(diary[0].at_s for diary in self.diaries)

    @property
    def until_s(self) -> float:
        """When it ends."""
        return max(diary[-1].at_s for diary in self.diaries)

    @property
    def traces_per_s(self) -> float:
        """Traces that began, per second: of all samples, as traces are let out in bundles."""
        return sum(
            slope([(sample.at_s, float(sample.traces)) for sample in diary])
            for diary in self.diaries
        )

    @property
    def generated_per_s(self) -> float:
        """Spans that were generated, per second."""
        return self._per_s("generated")

    @property
    def accepted_per_s(self) -> float:
        """Spans that the endpoint acknowledged, per second."""
        return self._per_s("accepted")

    @property
    def cpu(self) -> float:
        """Cores that the processes used."""
        return self._per_s("cpu_s")

    @property
    def endpoint_cpu(self) -> float:
        """Cores that the endpoint used."""
        first, last = self.diaries[0][0], self.diaries[0][-1]
        return (last.endpoint_cpu_s - first.endpoint_cpu_s) / (last.at_s - first.at_s)

    @property
    def late_s(self) -> list[float]:
        """How late each tick of the tickers was, in ascending order."""
        return sorted(
            late for diary in self.diaries for sample in diary[1:] for late in sample.late_s
        )

    def _per_s(self, name: str) -> float:
        return sum(
            (getattr(diary[-1], name) - getattr(diary[0], name)) / (diary[-1].at_s - diary[0].at_s)
            for diary in self.diaries
        )


def settled_window(
    diaries: Sequence[Sequence[Sample]], *, settle_s: float, seconds: float
) -> Window:
    """Return *seconds* of *diaries*, from *settle_s* after all processes were well under way.

    That is when a process has all its users and its first spans have been accepted.

    Raises:
        NoWindowError: A process was never under way, or ended too early.
    """
    began_s = []
    for diary in diaries:
        most = max((sample.users for sample in diary), default=0)
        under_way = (sample.at_s for sample in diary if sample.users == most and sample.accepted)
        began_s.append(next(under_way, math.inf))
    from_s = max(began_s, default=0.0) + settle_s
    if from_s == math.inf:
        raise NoWindowError("a process was never under way")
    return window_between(diaries, from_s, from_s + seconds)


def window_between(diaries: Sequence[Sequence[Sample]], from_s: float, until_s: float) -> Window:
    """Return what *diaries* have from *from_s* on, for as long as it is to *until_s* at least.

    Raises:
        NoWindowError: A process ended too early.
    """
    if not diaries:
        raise NoWindowError("no process kept a diary")
    return Window([_between(diary, from_s, until_s) for diary in diaries])


def _between(diary: Sequence[Sample], from_s: float, until_s: float) -> Sequence[Sample]:
    rest = [sample for sample in diary if sample.at_s >= from_s]
    for place, sample in enumerate(rest):
        if sample.at_s - rest[0].at_s >= until_s - from_s:
            return rest[: place + 1]
    raise NoWindowError("a process ended before its window did")


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the smallest of *ascending* that *share* of them, 0 to 1, do not exceed."""
    return ascending[max(0, min(len(ascending) - 1, -int(-share * len(ascending) // 1) - 1))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through *points*, two of them at least."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
