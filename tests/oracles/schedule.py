"""Arrivals of users, one user and one arrival at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

SECOND_NS = 10**9
NEVER = 2**63 - 1


@dataclass
class User:
    index: int
    joined_ns: int
    left_ns: int = NEVER


def uniform(users: list[User], per_s: float, start_ns: int, stop_ns: int) -> list[int]:
    """Return what is due at a rate that never changes, in exact arithmetic."""
    found = []
    for user in users:
        phase = Fraction(user.index * 0.618034 % 1)
        nth = 0
        while True:
            at = user.joined_ns + (phase + nth) * SECOND_NS / Fraction(per_s)
            # As the schedule, which cannot know the last thousandths of a nanosecond.
            at_ns = math.ceil(at - Fraction(1, 256))
            if at_ns >= min(stop_ns, user.left_ns):
                break
            if at_ns >= start_ns:
                found.append(at_ns)
            nth += 1
    return sorted(found)
