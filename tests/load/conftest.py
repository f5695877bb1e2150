"""Pumps on a clock of their own, and Locust in processes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.locust_runs import Locusts
from tests.load.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches whose pumps have started; they end with the test."""
    made: list[Bench] = []

    def make(**settings: object) -> Bench:
        made.append(Bench(**settings))
        made[-1].pump.start()
        return made[-1]

    yield make
    for bench in made:
        for endpoint in bench.endpoints.values():
            endpoint.gate.set()
        bench.pump.drain()


@pytest.fixture
def locust(tmp_path: Path) -> Iterator[Locusts]:
    """Runs Locust: ``locust.run(...)``, ``locust.start(...)``, ``locust.cluster(...)``."""
    locusts = Locusts(tmp_path)
    yield locusts
    locusts.end()
