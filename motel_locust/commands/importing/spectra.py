"""How often values of each size came, in cells 0.8 % wide at most: quantiles of any number of them.

Cells come from the bits of a float64: its exponent and the seven highest bits of its mantissa.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.commands.importing.columns import Column

# A float64 has 52 bits of mantissa, below an exponent whose zero stands for 2**-1023.
_SHIFT: Final = 52 - 7
_ONE: Final = 1023 << 7
# Cell 0 is for 0; cell 1 begins at 1, and no int64 reaches 2**63.
_CELLS: Final = 1 + (63 << 7)

_AT_LEAST: Final = 100_000
"""So many cells may wait to be sorted in among the others."""


class Spectra:
    """Values, not negative, of *groups* groups.

    Memory grows with the cells that are not empty: less than a thousand, 16 bytes each, where the
    greatest value of a group is a hundred times the least.

    counts           int64[groups]  how many values each has
    least, greatest  int64[groups]  of them
    """

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros(groups, np.int64)
        self.least = np.full(groups, np.iinfo(np.int64).max)
        self.greatest = np.zeros(groups, np.int64)
        # Ascending group * _CELLS + cell, and how many values it has.
        self._cells = np.zeros(0, np.int64)
        self._values = np.zeros(0, np.int64)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def add(self, group: Column, value: Column) -> None:
        """Take in *value* int64[rows] of *group* int64[rows]."""
        self.counts += np.bincount(group, minlength=self.counts.size)
        np.minimum.at(self.least, group, value)
        np.maximum.at(self.greatest, group, value)
        bits = value.astype(np.float64).view(np.int64) >> _SHIFT
        cells = group.astype(np.int64) * _CELLS + np.maximum(bits - (_ONE - 1), 0)
        found, values = np.unique(cells, return_counts=True)
        self._waiting.append((found, values))
        # Not every time: what is there already would be sorted again for a few more.
        if sum(each.size for each, _ in self._waiting) > max(self._cells.size, _AT_LEAST):
            self._settle()

    def quantiles(self, group: int, *shares: float) -> tuple[float, ...]:
        """Return the quantiles *shares*, from 0 to 1, of a group that has values.

        They are 0.8 % off at most: within a cell values count as evenly spread.
        """
        self._settle()
        first, last = self._cells.searchsorted([group * _CELLS, (group + 1) * _CELLS])
        reached = self._values[first:last].cumsum()
        ranks = np.array(shares) * self.counts[group]
        place = np.minimum(reached.searchsorted(ranks), reached.size - 1)
        cells = self._cells[first:last][place] - group * _CELLS
        low, high = _begin(cells), _begin(cells + 1)
        before = reached[place] - self._values[first:last][place]
        found = low + (high - low) * (ranks - before) / self._values[first:last][place]
        return tuple(np.clip(found, self.least[group], self.greatest[group]).tolist())

    def _settle(self) -> None:
        """Add what waits to the cells."""
        if not self._waiting:
            return
        cells, values = (np.concatenate(each) for each in zip(*self._waiting, strict=True))
        self._waiting.clear()
        both, place = np.unique(np.concatenate((self._cells, cells)), return_inverse=True)
        self._values = np.bincount(place, np.append(self._values, values)).astype(np.int64)
        self._cells = both


def _begin(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the least values of *cells*."""
    begin = (cells + (_ONE - 1) << _SHIFT).view(np.float64)
    return np.where(cells > 0, begin, 0.0)
