"""Ctrl-C: the first one ends the run in good order, a second one ends the process."""

from __future__ import annotations

import signal
from itertools import count
from typing import TYPE_CHECKING, Final

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

FORCED: Final = 128 + signal.SIGINT
"""The exit code of a process that did not end in good order, as shells have it."""


def deliver_interrupts(on_second: Callable[[], object]) -> None:
    """Let Ctrl-C end Locust's own wait, and never somebody's work; call *on_second* before an end.

    Python raises KeyboardInterrupt in whatever code runs; under load that is the pump, in the
    middle of a tick.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    interrupts = count(1)

    def interrupt() -> None:
        hub = gevent.get_hub()
        if next(interrupts) == 1:
            hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
        else:
            on_second()
            # Not a signal to ourselves: what Locust has to do at its exit is still done.
            hub.handle_system_error(SystemExit, SystemExit(FORCED))

    gevent.signal_handler(signal.SIGINT, interrupt)
