"""Queue, backpressure and breaker of an operation, one request and one completion at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motel_locust.topology.model import Operation

TICK_NS = 10_000_000

ADMITTED, CIRCUIT_OPEN, QUEUE_FULL = range(3)


@dataclass
class Request:
    start: int
    end: int
    trace: int
    failed: bool
    probe: bool

    def occupies(self, tick: int) -> bool:
        return self.start // TICK_NS <= tick <= self.end // TICK_NS


@dataclass
class ScalarGuard:
    """The state machines of one operation, as the simulation's rules tell them."""

    operation: Operation
    known: list[Request] = field(default_factory=list)
    breaker: str = "closed"
    failures: list[int] = field(default_factory=list)
    opened: int = 0
    openings: int = 0
    probing: bool = False
    average: Fraction = Fraction(0)

    def begin(self, tick: int) -> None:
        """Apply what ended before *tick*, in order of (end, trace)."""
        start = tick * TICK_NS
        ended = [request for request in self.known if request.end < start]
        self.known = [request for request in self.known if request.end >= start]
        for request in sorted(ended, key=lambda each: (each.end, each.trace)):
            self._observe(request.end - request.start)
            if self.operation.circuit_breaker:
                self._complete(request)
        cooldown = self.operation.circuit_breaker and self.operation.circuit_breaker.cooldown
        if self.breaker == "open" and start - self.opened >= cooldown:
            self.breaker = "half-open"

    def _observe(self, latency: int) -> None:
        if self.average == 0:
            self.average = Fraction(latency)
        else:
            self.average = Fraction(3, 10) * latency + Fraction(7, 10) * self.average

    def _complete(self, request: Request) -> None:
        breaker = self.operation.circuit_breaker
        if self.breaker == "closed":
            if breaker.window > 0:
                self.failures = [at for at in self.failures if at >= request.end - breaker.window]
            if request.failed:
                self.failures.append(request.end)
            if len(self.failures) >= breaker.failure_threshold:
                self._open(request.end)
        elif request.probe:
            self.probing = False
            if request.failed:
                self._open(request.end)
            else:
                self.breaker, self.failures = "closed", []

    def _open(self, at: int) -> None:
        self.breaker, self.opened, self.failures = "open", at, []
        self.openings += 1

    def pressure(self) -> tuple[float, float]:
        """Return the factor of the mean duration, and what is added to the error rate."""
        settings = self.operation.backpressure
        if not settings or not 0 < settings.latency_threshold < self.average:
            return 1.0, 0.0
        return min(max(settings.duration_multiplier, 1.0), 10.0), settings.error_rate_add

    def admit(self, starts: list[int]) -> list[int]:
        """Return what becomes of the requests of one visit."""
        entered: list[int] = []
        return [self._admit(start // TICK_NS, entered) for start in starts]

    def _admit(self, tick: int, entered: list[int]) -> int:
        if self.breaker == "open" or (self.breaker == "half-open" and self.probing):
            return CIRCUIT_OPEN
        if self.operation.queue_depth:
            active = sum(request.occupies(tick) for request in self.known) + entered.count(tick)
            if active >= self.operation.queue_depth:
                return QUEUE_FULL
        entered.append(tick)
        self.probing = self.breaker == "half-open"
        return ADMITTED

    def record(self, start: int, end: int, failed: bool, trace: int) -> None:
        probe = self.breaker == "half-open"
        self.known.append(Request(start, end, trace, failed, probe))
