"""How many texts of a length there are: what a ``text`` generator may be asked for."""

from __future__ import annotations

from typing import Final

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
"""Those that texts consist of: the base 32 of RFC 4648, small."""

LONGEST: Final = 65_536
MOST_DISTINCT: Final = 10**12
GREATEST_SKEW: Final = 10


def least_length(distinct: int) -> int:
    """Return how long *distinct* different texts of one length must be.

    In plain Python: ``min(n for n in range(1, 99) if len(LETTERS) ** n >= distinct)``
    """
    bits = len(LETTERS).bit_length() - 1
    return max(1, -(-(distinct - 1).bit_length() // bits))
