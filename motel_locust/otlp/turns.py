"""Work on an event loop that belongs to everybody."""

from __future__ import annotations

import time
from typing import Final

import gevent

SLICE_S: Final = 0.005
"""Each slice of work is added to every acknowledgement that is being measured meanwhile."""
# Not 0: sleep(0) only runs what is ready, and starves timers and sockets while it does.
TURN_S: Final = 1e-6


class Turns:
    """Gives the others on the event loop a turn after each slice of work."""

    def __init__(self) -> None:
        self._slice_s = time.monotonic()

    def __call__(self) -> None:
        """Give them one if it is time."""
        if time.monotonic() - self._slice_s > SLICE_S:
            gevent.sleep(TURN_S)
            self._slice_s = time.monotonic()
