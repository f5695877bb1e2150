"""Production-like OpenTelemetry load from a YAML topology, through Locust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motel_locust.load.replay_user import ReplayUser as ReplayUser
    from motel_locust.load.user import TopologyUser as TopologyUser

__all__ = ["ReplayUser", "TopologyUser", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing the engine or a command must not import Locust, which patches.
    if name == "TopologyUser":
        from motel_locust.load.user import TopologyUser

        return TopologyUser
    if name == "ReplayUser":
        from motel_locust.load.replay_user import ReplayUser

        return ReplayUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
