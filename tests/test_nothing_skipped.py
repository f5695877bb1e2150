"""The rule of tests/conftest.py that under ``MOTEL_LOCUST_CI`` a skipped test is a failed one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "in a test": "def test_it(): pytest.skip('a reason')",
    "by a mark": "@pytest.mark.skipif(True, reason='a reason')\ndef test_it(): pass",
    "by a fixture": "@pytest.fixture\ndef it(): pytest.skip('a reason')\ndef test_it(it): pass",
    "a whole module": "pytest.skip('a reason', allow_module_level=True)",
    "a missing import": "pytest.importorskip('no_such_module', reason='a reason')",
    "expected to fail": "@pytest.mark.xfail(reason='a reason')\ndef test_it(): assert False",
}


def outcome_of(test: str, directory: Path, *, switch: str) -> tuple[int, str]:
    """Return exit code and output of a pytest run under our conftest."""
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    (directory / "pytest.ini").touch()
    # One more that passes: a run without any test has an exit code of its own.
    (directory / "test_skips.py").write_text(f"import pytest\n{test}\n")
    (directory / "test_passes.py").write_text("def test_it(): pass\n")
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=directory,
        # Without plugins a run takes a third of the time.
        env={**os.environ, "MOTEL_LOCUST_CI": switch, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return finished.returncode, finished.stdout


@pytest.mark.parametrize("test", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_the_run_in_ci_and_tells_its_reason(test: str, tmp_path: Path) -> None:
    code, output = outcome_of(test, tmp_path, switch="1")

    assert code in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert "nothing may be skipped under MOTEL_LOCUST_CI" in output
    assert "a reason" in output


@pytest.mark.parametrize("test", [SKIPS["in a test"], SKIPS["expected to fail"]])
def test_a_skip_elsewhere_is_only_a_skip(test: str, tmp_path: Path) -> None:
    code, output = outcome_of(test, tmp_path, switch="")

    assert code == pytest.ExitCode.OK
    assert "1 passed, 1 skipped" in output or "1 passed, 1 xfailed" in output
