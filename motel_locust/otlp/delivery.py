"""The way of one body, from the queue to its end. No socket and no clock: times are passed in.

A body waits in the queue, is sent, perhaps backs off and is sent again, and ends in one of four
stages. Which stage follows which, and why, stands in STEPS; everything that can change a stage is
here. What an endpoint says becomes a :class:`Cause` in ``answers.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.otlp.ledger import Signal


class Stage(Enum):
    """Where a body is."""

    QUEUED = "queued"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    DROPPED = "dropped"


class Cause(Enum):
    """Why a body moves on."""

    SEND = "a connection is free"
    OVERFLOW = "the queue is full"
    ACK = "the endpoint took it, or all but some of its items"
    REFUSAL = "the endpoint refused it for good"
    PUSHBACK = "the endpoint asked to try again later"
    UNREACHABLE = "no connection: nothing was sent"
    LOSS = "no answer came back after sending began"
    GARBLED = "the endpoint said yes, but what it took cannot be read"
    UNWRITABLE = "the file or pipe took no whole line"
    INTERRUPTED = "we stopped waiting for the answer"
    GIVE_UP = "its time is over"


# Every legal step of one body. A pair that is missing is a bug, not a case to tolerate.
STEPS: Final[Mapping[tuple[Stage, Cause], Stage]] = {
    (Stage.QUEUED, Cause.SEND): Stage.IN_FLIGHT,
    (Stage.QUEUED, Cause.OVERFLOW): Stage.DROPPED,
    (Stage.QUEUED, Cause.GIVE_UP): Stage.FAILED,  # too old, or not reached by the final drain
    (Stage.IN_FLIGHT, Cause.ACK): Stage.ACCEPTED,  # a partial success only splits the counts
    (Stage.IN_FLIGHT, Cause.REFUSAL): Stage.REJECTED,
    (Stage.IN_FLIGHT, Cause.PUSHBACK): Stage.BACKING_OFF,
    (Stage.IN_FLIGHT, Cause.UNREACHABLE): Stage.BACKING_OFF,
    (Stage.IN_FLIGHT, Cause.LOSS): Stage.BACKING_OFF,
    (Stage.IN_FLIGHT, Cause.GARBLED): Stage.FAILED,  # not retried: a yes is final, as OTLP says
    (Stage.IN_FLIGHT, Cause.UNWRITABLE): Stage.FAILED,
    (Stage.IN_FLIGHT, Cause.INTERRUPTED): Stage.FAILED,
    (Stage.BACKING_OFF, Cause.SEND): Stage.IN_FLIGHT,
    (Stage.BACKING_OFF, Cause.GIVE_UP): Stage.FAILED,
}

MAY_HAVE_ARRIVED: Final = frozenset({Cause.LOSS, Cause.GARBLED, Cause.INTERRUPTED})
"""Causes that leave open whether the endpoint counted the items: these make them ambiguous."""

ENDS: Final = frozenset({Stage.ACCEPTED, Stage.REJECTED, Stage.FAILED, Stage.DROPPED})

# The OpenTelemetry exporters wait 1 to 5 s at first and up to 30 s or more. A load tool has more
# to send meanwhile and a queue of a few seconds, so it asks sooner; the doubling keeps it polite.
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Body:
    """One encoded OTLP request; its two times are readings of the exporter's clock."""

    signal: Signal
    content: bytes
    items: int
    released_s: float
    """When its first item was released; it is given up a fixed time after this."""
    cut_s: float
    """When the body was cut; the time to acknowledge counts from here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try."""

    cause: Cause
    reason: str = ""
    """One of a small fixed set of texts, for statistics; empty when all was accepted."""
    rejected: int = 0
    """Items that a partial success refused."""
    retry_after_s: float | None = None
    """How long the endpoint asked us to wait."""
    detail: str = ""
    """The endpoint's own words, for the log."""


class Delivery:
    """A body on its way.

    Attributes:
        body: What is delivered.
        stage: Where it is.
        tries: How often sending it began.
        reason: Why the last try did not succeed.
    """

    __slots__ = ("body", "queued_s", "reason", "stage", "tries", "waited_s")

    def __init__(self, body: Body, *, now_s: float) -> None:
        self.body = body
        self.stage = Stage.QUEUED
        self.tries = 0
        self.reason = ""
        self.queued_s = now_s
        self.waited_s = 0.0
        """Time in the queue before the first try."""

    @property
    def ended(self) -> bool:
        """Whether the body is settled for good."""
        return self.stage in ENDS

    def step(self, cause: Cause) -> None:
        """Move on because of *cause*; raise AssertionError where STEPS knows no such step."""
        stage = STEPS.get((self.stage, cause))
        if stage is None:
            raise AssertionError(f"a body that is {self.stage.value} cannot move on: {cause.value}")
        self.stage = stage

    def send(self, now_s: float) -> None:
        """Begin a try."""
        if self.tries == 0:
            self.waited_s = now_s - self.queued_s
        self.step(Cause.SEND)
        self.tries += 1

    def wait_s(self, answer: Answer, *, jitter: Callable[[], float]) -> float:
        """Return the seconds until the next try after *answer*.

        What the endpoint asked for is honoured as it is. Else the wait doubles with each try, times
        0.5 to 1.5: *jitter* returns 0 to 1, so that many bodies do not come back at one instant.
        """
        if answer.retry_after_s is not None and answer.retry_after_s > 0:
            return answer.retry_after_s
        # 2**64 would do as well as a limit; it only keeps the power within a float.
        doubled_s = FIRST_WAIT_S * 2.0 ** min(self.tries - 1, 64)
        return min(doubled_s, LONGEST_WAIT_S) * (0.5 + jitter())
