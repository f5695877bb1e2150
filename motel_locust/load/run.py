"""What one run is: decided once, on the master or the only process, and the same everywhere.

A run travels to the workers among Locust's options, in every ``spawn`` message, so it is small:
topologies are named by their hash and travel apart. Workers need no file and no variables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = "motel_locust_run"
"""The name under which a run stands among the parsed options."""

STRIDE: Final = 4096
"""Numbers of traces are ``nth * STRIDE + worker`` in a cluster, so no worker's index reaches it."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the users of one class run."""

    user_class: str
    source: str
    """The topology's file or URL, for people: without what may be secret in it."""
    sha256: str
    endpoint: str
    """As written; empty where the environment variables or the built-in receiver decide."""
    rate: str
    arrivals: str
    built_in: bool = False
    """Whether the endpoint is the built-in receiver's."""
    replays: bool = False
    """Whether ``sha256`` is that of a recording, and not of a topology."""

    @property
    def name(self) -> str:
        """What tells its telemetry from that of other parts of the run, for the same seed.

        Two classes, or one class with another topology, never make the same trace id.
        """
        return f"{self.user_class} {self.sha256}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run, for all processes of its cluster."""

    name: str
    """Tells this run from the ones before it; unique."""
    epoch_ns: int
    """Unix time of simulated instant 0."""
    seed: int
    stride: int
    users: int
    """How many users were asked for at the start."""
    parts: tuple[Part, ...]
    options: Mapping[str, Any]
    """Plain values by option name, as they were when the run started."""
    environ: Mapping[str, str]
    """The OTEL_ variables of the process that decided."""

    def message(self) -> dict[str, Any]:
        """Return the run as Locust's messages carry it."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Run:
        """Return the run in a *message*."""
        parts = tuple(Part(**part) for part in message["parts"])
        return cls(**{**message, "parts": parts})
