"""``discard://``: count and forget, to find the generator's own ceiling."""

from __future__ import annotations

from typing import Final

from motel_locust.otlp.delivery import Answer, Cause

ACCEPTED: Final = Answer(Cause.ACK)


class DiscardTransport:
    """Accepts every body at once."""

    def send(self, content: bytes, items: int) -> Answer:  # noqa: ARG002  # the protocol's names
        """Return that all was accepted."""
        return ACCEPTED

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
