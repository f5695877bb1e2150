"""What time it is in a run, on a machine whose own clock may be wrong.

A worker asks its master how long the run has been going on. The answer was true at some instant
between question and answer, on the monotonic clock of whoever asks; the middle of the two is at
most half the round trip off. So the answer that came fastest is the best one. Times are ns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

# Every ten seconds one: clocks that drift apart by 100 millionths are told apart by 8 ms meanwhile.
KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """What one question and its answer tell."""

    epoch_ns: int
    """When the run began, on the monotonic clock of whoever asked."""
    trip_ns: int
    """From the question to its answer; ``epoch_ns`` is at most half of it off."""
    skew_ns: int
    """How far the Unix clock of whoever asked is ahead of the run's."""


def read(
    *, sent_ns: int, received_ns: int, elapsed_ns: int, unix_ns: int, run_epoch_ns: int
) -> Reading:
    """Return what an answer tells.

    Args:
        sent_ns: When the question left, on the monotonic clock here.
        received_ns: When the answer came, on the same clock.
        elapsed_ns: The answer: the time since the run's epoch.
        unix_ns: The Unix time here, when the answer came.
        run_epoch_ns: The run's epoch, as a Unix time.
    """
    middle_ns = (sent_ns + received_ns) // 2
    return Reading(
        epoch_ns=middle_ns - elapsed_ns,
        trip_ns=received_ns - sent_ns,
        skew_ns=unix_ns - (received_ns - middle_ns) - (run_epoch_ns + elapsed_ns),
    )


class Readings:
    """The latest readings of one run, of which the best one counts."""

    def __init__(self) -> None:
        self._latest: deque[Reading] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, reading: Reading) -> Reading:
        """Take one more; return the best of the latest."""
        self._latest.append(reading)
        return min(self._latest, key=attrgetter("trip_ns"))
