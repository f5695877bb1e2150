"""Python's garbage collector, kept from looking through what lives as long as a run anyway."""

from __future__ import annotations

import gc
from typing import Final

import gevent

FIRST_S: Final = 1.0


class Sparing:
    """From now until :meth:`end`, collections pass over all that was there at certain instants.

    With all of Locust to look through, one would hold up everybody for 40 ms, and 200 encoders are
    as much once more; batches of many shapes cause one every few seconds.
    """

    def __init__(self) -> None:
        _freeze()
        self._freezing = gevent.spawn(self._freeze_again)

    def end(self) -> None:
        """Let collections look through everything again; idempotent."""
        self._freezing.kill()
        gc.unfreeze()

    def _freeze_again(self) -> None:
        """Freeze what the first batches have left, and, ever more seldom, what came later.

        What is frozen and then becomes garbage in a cycle stays until the end. So the intervals
        double: in a run of a week that can happen twenty times.
        """
        interval_s = FIRST_S
        while True:
            gevent.sleep(interval_s)
            _freeze()
            interval_s *= 2


def _freeze() -> None:
    gc.collect()  # garbage that is frozen would stay
    gc.freeze()
