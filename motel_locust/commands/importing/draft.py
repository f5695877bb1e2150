"""A topology before it is written: what it says, and what each statement rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from motel_locust.commands.importing.figures import counted

Condition: TypeAlias = Literal["", "on-error", "on-success"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One value of the topology, as text, and how sure it is.

    *samples* is how many *counted* the value rests on; *margin* how far it may be off, 19 times in
    20: a range, or a distance in percent.
    """

    value: str
    samples: int
    counted: str
    margin: str = ""

    @property
    def ground(self) -> str:
        """What it rests on, for people."""
        samples = counted(self.samples, self.counted)
        return f"{samples}, {self.margin}" if self.margin else samples


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that whoever uses the topology should know."""

    subject: str
    """An operation, a call ``from -> to``, or nothing for the whole import."""
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message


@dataclass(slots=True)
class DraftCall:
    """A call; *share* is how often it is made."""

    target: str
    share: Statement
    count: int = 1
    probability: str = ""
    condition: Condition = ""
    detached: bool = False
    producer: bool = False
    timeout: Statement | None = None
    retries: Statement | None = None
    backoff: Statement | None = None


@dataclass(slots=True)
class DraftOperation:
    """An operation; attributes by key, their values as YAML in one line."""

    duration: Statement
    error_rate: Statement | None = None
    style: Statement | None = None
    attributes: dict[str, Statement] = field(default_factory=dict)
    calls: list[DraftCall] = field(default_factory=list)


@dataclass(slots=True)
class DraftService:
    """A service."""

    resource_attributes: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    operations: dict[str, DraftOperation] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """A whole topology."""

    traces: int
    spans: int
    window_s: float
    rate: Statement
    services: dict[str, DraftService] = field(default_factory=dict)
    roots: dict[str, Statement] = field(default_factory=dict)
    poisson: Statement | None = None
    findings: list[Finding] = field(default_factory=list)

    def statements(self) -> dict[str, Statement]:
        """Return every statement by the path to its place, in the order of the topology."""
        found: dict[str, Statement] = {}
        for service_name, service in self.services.items():
            for name, operation in service.operations.items():
                found |= _of_operation(f"{service_name}.{name}", operation)
        found["traffic.rate"] = self.rate
        if self.poisson:
            found["traffic.arrivals"] = self.poisson
        return found | {f"traffic.roots.{ref}": each for ref, each in self.roots.items()}


def _of_operation(ref: str, operation: DraftOperation) -> dict[str, Statement]:
    found: dict[str, Statement | None] = {
        f"{ref}: duration": operation.duration,
        f"{ref}: error_rate": operation.error_rate,
        f"{ref}: call_style": operation.style,
    }
    found |= {f"{ref}: attributes.{key}": each for key, each in operation.attributes.items()}
    for call in operation.calls:
        path = f"{ref}: calls.{call.target}"
        found |= {
            f"{path}.probability": call.share,
            f"{path}.timeout": call.timeout,
            f"{path}.retries": call.retries,
            f"{path}.retry_backoff": call.backoff,
        }
    return {path: each for path, each in found.items() if each is not None}
