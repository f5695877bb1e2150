"""tests/lanes.py: every test in one of several processes, and what is said of them in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lanes import LANES

NAMED = [path for paths in LANES.values() for path in paths]
LANES_PY = Path(__file__).with_name("lanes.py")
PASSES = "def test_it(): pass\n"
WAITS = """
import time, pathlib, pytest

@pytest.fixture
def mark():
    pathlib.Path(__file__).with_suffix(".begun").touch()
    yield
    pathlib.Path(__file__).with_suffix(".ended").touch()

def test_it(mark): time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose tests are where ours are: one for each path of a lane, and two others."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib -ra\n")
    for file in (*map(file_of, NAMED), "tests/elsewhere/test_one.py", "tests/test_one.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(PASSES)
    return tmp_path


def file_of(path: str) -> str:
    """Return a file with tests that belongs to the lane of *path*, itself if it is one."""
    return path if path.endswith(".py") else f"{path}/test_one.py"


def start(project: Path, addopts: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, LANES_PY],
        cwd=project,
        env={
            **os.environ,
            "MOTEL_LOCUST_CI": "",
            "PYTEST_ADDOPTS": addopts,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # so a run takes a third of the time
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(lanes: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Return the exit code and the lines that were printed."""
    printed, _ = lanes.communicate(timeout=60)
    return lanes.returncode, printed.splitlines()


@pytest.mark.parametrize("quietly", ["", "-q"])
def test_every_test_is_run_once_and_counted(project: Path, quietly: str) -> None:
    tests = len(NAMED) + 2
    code, lines = outcome(start(project, quietly))
    assert code == 0, lines
    assert lines[-1] == f"total: {tests} passed, 0 failed, 0 skipped"
    assert [line.partition(":")[0] for line in lines[-len(LANES) - 2 : -1]] == [*LANES, "others"]
    ran = sum(line.startswith("tests/") and ".py ." in line for line in lines)
    assert ran == (0 if quietly else tests)


def test_what_went_wrong_comes_last_and_first_of_it_the_failures(project: Path) -> None:
    (project / "tests" / "test_fails.py").write_text("def test_it(): assert not 'a reason'\n")
    (project / "tests" / "test_skips.py").write_text("import pytest\npytest.importorskip('none')\n")
    (project / "tests" / "elsewhere" / "test_one.py").write_text("import no_such_module\n")
    code, lines = outcome(start(project))
    assert code == 1
    failed, others, *well, total = lines[-len(LANES) - 3 :]
    assert failed.startswith("ERROR tests/elsewhere/test_one.py")
    assert others.startswith("others: 1 skipped, 1 error in ")
    assert [line.partition(":")[0] for line in well] == list(LANES)
    assert total == f"total: {len(NAMED)} passed, 1 failed, 1 skipped"


def test_a_lane_that_dies_fails_the_run(project: Path) -> None:
    (project / "tests" / "test_dies.py").write_text("import os\ndef test_it(): os.abort()\n")
    code, lines = outcome(start(project))
    assert code == 1
    assert f"others: no closing line, ended with {-signal.SIGABRT}" in lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_lanes_in_good_order(project: Path, number: signal.Signals) -> None:
    files = [project / file_of(first) for first, *_ in LANES.values()]
    files.append(project / "tests" / "test_one.py")
    for file in files:
        file.write_text(WAITS)
    lanes = start(project)
    deadline_s = time.monotonic() + 30
    while not all(file.with_suffix(".begun").exists() for file in files):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    lanes.send_signal(number)
    code, lines = outcome(lanes)
    assert code == 1
    assert all(file.with_suffix(".ended").exists() for file in files)
    assert lines[-1].startswith("total: ")
    assert all(line.endswith(", ended with 2") for line in lines[-len(files) - 1 : -1])
