"""What a master and its workers tell each other, over Locust's own connection.

=====================  ==================  =====================================================
message                from, to            says
=====================  ==================  =====================================================
``motel_topology``     master, workers     the text of a topology and the attributes of its domains,
                                           when a run starts or on demand
``motel_wanted``       worker, master      send me the topologies: what came before I listened is
                                           lost
``motel_time``         worker, master      I take part in the run: how long has it been going on?
``motel_time``         master, worker      so long; and you are that many-th of those who took part
``motel_share``        master, workers     how many users share the rate (``--rate-per cluster``)
``motel_drain``        master, workers     end the run, deliver what is under way, report
``motel_drained``      worker, master      done; my last report came before this message
``motel_trouble``      worker, master      why I could not take part
=====================  ==================  =====================================================

Everything else rides on Locust's messages: the run on ``spawn``, the figures on ``stats``. One
connection keeps the order of its messages, which is what makes the master's sums exact at the end.
The two ends are in :mod:`motel_locust.load.master` and :mod:`motel_locust.load.worker`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from motel_locust.load.generator import Generator
    from motel_locust.load.release import Release
    from motel_locust.load.run import Run

logger = logging.getLogger(__name__)

KEY: Final = "motel_locust"
"""Our part of a worker's report."""


class Alone:
    """The end of a process that has nobody to talk to, and what all ends can do."""

    place = 0
    """Which of the processes of the run this one is: never the same number twice in a run."""

    ended = ""
    """The name of the run that is over here; nobody enters it again."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def spread(self) -> None:
        """Send the topologies of the run to those who run it."""

    def ask(self) -> None:
        """Ask for the topologies of the run."""

    def enter(self, run: Run, release: Release) -> None:
        """Take a place in *run*, and set *release* by what time it is there."""

    def drain(self, timeout_s: float) -> None:
        """Let the others end the run, and wait for their last reports."""

    def tell(self, trouble: str) -> None:
        """Tell why this process could not take part in the run, or not to its end."""
        logger.error("%s", trouble)
        self._generator.troubles.append(trouble)
