"""The runner of Locust processes, tried with a locustfile that loads nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.locust_runs import Locusts

IDLE = """
from locust import User, constant, task

class Idle(User):
    wait_time = constant(60)

    @task
    def live(self):
        self.wait()
"""


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    locustfile = tmp_path / "idle.py"
    locustfile.write_text(IDLE)
    return locustfile


def group_is_gone(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_run_ends_and_is_told(locust: Locusts, idle: Path) -> None:
    finished = locust.run("--headless", "--run-time", "1s", locustfile=idle)

    assert (finished.code, finished.summary) == (0, None)
    assert "Aggregated" in finished.stderr


def test_a_run_with_the_web_ui_stops_on_a_signal(locust: Locusts, idle: Path) -> None:
    run = locust.start("--autostart", locustfile=idle)
    run.wait_for_web()

    assert run.stop().code == 0


def test_a_cluster_runs_and_ends(locust: Locusts, idle: Path) -> None:
    cluster = locust.cluster("--headless", "--users", "2", "--run-time", "1s", locustfile=idle)

    finished = cluster.wait()

    assert finished.code == 0
    assert "to 2 ready workers" in finished.stderr
    assert not any(worker.child.running for worker in cluster.workers)


def test_processes_are_ended_with_their_group(locust: Locusts, idle: Path) -> None:
    run = locust.start("--headless", "--processes", "2", locustfile=idle)
    run.wait_for_users()

    run.end()

    assert group_is_gone(run.child.pid)


def test_a_run_that_takes_too_long_is_ended_and_shown(locust: Locusts, idle: Path) -> None:
    run = locust.start("--headless", locustfile=idle)

    with pytest.raises(AssertionError, match=r"(?s)still running after 2 s.*Starting Locust"):
        run.wait(timeout_s=2)

    assert group_is_gone(run.child.pid)


def test_a_wait_for_what_can_no_longer_come_fails_at_once(locust: Locusts, idle: Path) -> None:
    run = locust.start("--no-such-option", locustfile=idle)

    with pytest.raises(AssertionError, match=r"(?s)ended with \d before answering.*no-such-option"):
        run.wait_for_web()
