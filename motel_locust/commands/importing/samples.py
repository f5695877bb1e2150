"""Figures that grow with every forest: moments, and a few values of each group for quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.commands.importing.columns import Column

SAMPLES: Final = 1000
"""Values kept for one group. Forests are dealt out by hash, so the first ones are a fair sample."""


class Samples:
    """Values of *groups* groups, of each at most SAMPLES."""

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros(groups, np.int64)
        self._groups: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.int64]] = []
        self._sorted: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def add(self, group: Column, value: Column) -> None:
        """Take in *value* int64[rows] of *group* int64[rows]."""
        order = np.argsort(group, kind="stable")
        group, value = group[order].astype(np.int64), value[order].astype(np.int64)
        added = np.bincount(group, minlength=self.counts.size)
        begin = np.cumsum(added) - added
        nth = np.arange(group.size) - begin[group] + self.counts[group]
        kept = nth < SAMPLES
        self._groups.append(group[kept])
        self._values.append(value[kept])
        self.counts += added
        self._sorted = None

    def quantiles(self, group: int, *shares: float) -> tuple[float, ...]:
        """Return the quantiles *shares*, from 0 to 1, of a group that has values."""
        if self._sorted is None:
            groups, values = np.concatenate(self._groups), np.concatenate(self._values)
            order = np.argsort(groups, kind="stable")
            self._sorted = groups[order], values[order]
        groups, values = self._sorted
        first, last = np.searchsorted(groups, [group, group + 1])
        found = np.quantile(values[first:last], shares)
        return tuple(float(each) for each in found)


class Moments:
    """Count, mean and variance of *groups* groups of values."""

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros(groups, np.int64)
        self.means = np.zeros(groups)
        self._squares = np.zeros(groups)

    def add(self, group: Column, value: Column) -> None:
        """Take in *value* of *group*, by the update of Chan, Golub and LeVeque (1979)."""
        size = self.counts.size
        added = np.bincount(group, minlength=size)
        some = np.maximum(added, 1)
        mean = np.bincount(group, value, minlength=size) / some
        squares = np.bincount(group, (value - mean[group]) ** 2, minlength=size)
        both = np.maximum(self.counts + added, 1)
        away = np.where(added > 0, mean - self.means, 0.0)
        self._squares += squares + away**2 * self.counts * added / both
        self.means += away * added / both
        self.counts += added

    @property
    def deviations(self) -> NDArray[np.float64]:
        """The standard deviation of every group (n - 1); 0 for a single value."""
        found: NDArray[np.float64] = np.sqrt(self._squares / np.maximum(self.counts - 1, 1))
        return found


BINS: Final = 4096
FIRST_WIDTH_NS: Final = 1 << 20
FEWEST_BINS: Final = 50
FEWEST_ARRIVALS: Final = 100
PER_BIN: Final = 2.0


class Arrivals:
    """When traces began, in at most BINS bins of equal width, which doubles as the time grows."""

    def __init__(self) -> None:
        self.traces = 0
        self.first_ns = 0
        self.last_ns = 0
        self._width_ns = FIRST_WIDTH_NS
        self._low = 0
        self._counts = np.zeros(0, np.int64)

    def add(self, start_ns: Column) -> None:
        """Take in the starts of traces, Unix time."""
        if not start_ns.size:
            return
        first, last = int(start_ns.min()), int(start_ns.max())
        self.first_ns = min(self.first_ns, first) if self.traces else first
        self.last_ns = max(self.last_ns, last) if self.traces else last
        self.traces += start_ns.size
        while self.last_ns // self._width_ns - self.first_ns // self._width_ns >= BINS:
            self._halve()
        low = self.first_ns // self._width_ns
        counts = np.zeros(self.last_ns // self._width_ns - low + 1, np.int64)
        counts[self._low - low :][: self._counts.size] += self._counts
        counts += np.bincount(start_ns // self._width_ns - low, minlength=counts.size)
        self._counts, self._low = counts, low

    @property
    def window_s(self) -> float:
        """Seconds from the first trace to the last."""
        return (self.last_ns - self.first_ns) / 1e9

    @property
    def per_s(self) -> float:
        """Traces per second; 0 where one alone, or all at once, tell nothing."""
        return (self.traces - 1) / self.window_s if self.window_s > 0 else 0.0

    def irregularity(self) -> float | None:
        """Return the variance of counts over their mean, from neighbours, None for too few.

        It is 1 for a Poisson process and near 0 for evenly spaced arrivals. Neighbouring bins are
        compared, so that a rate that changes slowly does not matter.
        """
        counts = self._counts
        while counts.size >= FEWEST_BINS and counts.mean() < PER_BIN:
            counts = _paired(counts)
        counts = counts[1:-1]  # the first and the last are not full
        if self.traces < FEWEST_ARRIVALS or counts.size < FEWEST_BINS:
            return None
        return float((np.diff(counts) ** 2).mean() / (2 * counts.mean()))

    def rates(self, parts: int) -> NDArray[np.float64]:
        """Return the traces per second in about *parts* equal parts of the time."""
        counts, width_ns = self._counts[1:-1], self._width_ns
        each = max(1, counts.size // parts)
        whole = counts[: counts.size // each * each].reshape(-1, each).sum(axis=1)
        found: NDArray[np.float64] = whole / (each * width_ns / 1e9)
        return found

    def _halve(self) -> None:
        if self._low % 2:
            self._counts = np.concatenate(([0], self._counts))
        self._counts = _paired(self._counts)
        self._low //= 2
        self._width_ns *= 2


def _paired(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    even = np.concatenate((counts, np.zeros(counts.size % 2, np.int64)))
    pairs: NDArray[np.int64] = even.reshape(-1, 2).sum(axis=1)
    return pairs
