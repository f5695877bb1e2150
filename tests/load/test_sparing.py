from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import gevent

from motel_locust.load import sparing
from motel_locust.load.sparing import Sparing

if TYPE_CHECKING:
    import pytest


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_collections_pass_over_what_is_there_until_the_end() -> None:
    before = gc.get_freeze_count()
    spared = Sparing()
    try:
        assert gc.get_freeze_count() > before
    finally:
        spared.end()
    assert gc.get_freeze_count() == 0


def test_what_the_run_makes_is_passed_over_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparing, "FIRST_S", 0.001)
    spared = Sparing()
    try:
        kept = [Cycle() for _ in range(10_000)]
        frozen = gc.get_freeze_count()
        with gevent.Timeout(10):
            while gc.get_freeze_count() < frozen + len(kept):
                gevent.sleep(0.001)
    finally:
        spared.end()


def test_it_ends_twice_as_well_as_once() -> None:
    spared = Sparing()
    spared.end()
    spared.end()
    assert gc.get_freeze_count() == 0
