"""Ctrl-C and SIGTERM in a command that accounts for what it sends."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interruption:
    """SIGINT and SIGTERM, which raise ``KeyboardInterrupt`` only where that is allowed.

    Python raises it in whatever code runs: between a span's end and its place in a batch, or in
    gevent's loop while a line is being written. What was counted would then not be what was sent.
    """

    def __init__(self) -> None:
        self._asked = self._allowed = False
        signal.signal(signal.SIGTERM, self._on_signal)
        # A shell lets what it starts in the background ignore SIGINT.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._on_signal)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal raise ``KeyboardInterrupt`` in the body; one that came before does not."""
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def raise_if_asked(self) -> None:
        """Raise ``KeyboardInterrupt``, once, if a signal came where that was not allowed."""
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def _on_signal(self, *_: object) -> None:
        self._asked = True
        if self._allowed:
            self.raise_if_asked()
