"""Locust's web UI as its pages use it: forms that are sent, and figures that are polled."""

from __future__ import annotations

import csv
import io
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
        """Return the figures of the Telemetry tab, and its ledger: ``spans accepted`` and so on."""
        figures = {row["figure"]: row["value"] for row in self.table("figures")}
        ledger = {
            f"{row['items']} {name}": count
            for row in self.table("ledger")
            for name, count in row.items()
        }
        return figures | ledger

    def table(self, key: str) -> list[dict[str, str]]:
        """Return the rows of one of the tab's tables, as its CSV has them."""
        with urlopen(f"{self._url}/telemetry/{key}.csv", timeout=20) as answer:
            return list(csv.DictReader(io.StringIO(answer.read().decode())))

    def state(self) -> str:
        """Return Locust's word for what it does: ready, spawning, running, stopped."""
        return self.figures()["state"]
