"""Locust's web UI as its pages use it: forms that are sent, and figures that are polled."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class Web:
    """The UI at *url*."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self, users: int, spawn_rate: float, **form: str) -> dict[str, Any]:
        """Send the start form, or during a test the one that edits; return the answer."""
        fields = {"user_count": str(users), "spawn_rate": str(spawn_rate), **form}
        request = Request(f"{self._url}/swarm", urlencode(fields).encode())
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Stop the test; return when Locust says that it has."""
        request = Request(f"{self._url}/stop", b"")
        with urlopen(request, timeout=30) as answer:
            assert json.load(answer)["success"]

    def figures(self) -> dict[str, Any]:
        """Return what the pages poll; Locust computes it anew each two seconds."""
        with urlopen(f"{self._url}/stats/requests", timeout=20) as answer:
            return json.load(answer)

    def telemetry(self) -> dict[str, str]:
        """Return the rows of the Telemetry tab."""
        (table,) = self.figures()["extended_stats"]
        assert table["key"] == "telemetry"
        return {row["name"]: row["value"] for row in table["data"]}

    def state(self) -> str:
        """Return Locust's word for what it does: ready, spawning, running, stopped."""
        return self.figures()["state"]
