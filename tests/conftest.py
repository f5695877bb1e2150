"""What every test may ask for: the programs outside of Python that some tests need.

A machine without them skips those tests. Under ``MOTEL_LOCUST_CI`` (set by ``.ci/run``, which
installs both) nothing may be skipped, for whatever reason: a skipped test is a failed one there.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="session")
def otelcol() -> Path:
    """The Collector to test against, the program that ``OTELCOL`` names."""
    named = os.environ.get("OTELCOL")
    if not named:
        pytest.skip("needs a Collector: OTELCOL=$(.ci/collector)")
    program = Path(named)
    assert os.access(program, os.X_OK), f"OTELCOL={named} is not a program"
    return program


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium, for tests that look at the web UI as a person would."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return program


def nothing_may_be_skipped() -> bool:
    return os.environ.get("MOTEL_LOCUST_CI", "") not in ("", "0")


# The same examples in every run of one commit: what passed before a push passes after it. New ones
# are looked for wherever a person runs the tests.
if nothing_may_be_skipped():
    hypothesis.settings.register_profile("repeatable", derandomize=True, database=None)
    hypothesis.settings.load_profile("repeatable")


# First of the wrappers, so outermost: it sees what pytest's own skipping made of the outcome.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if nothing_may_be_skipped():
        fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Does the same for a whole module, as ``pytest.importorskip`` skips it."""
    report = yield
    if nothing_may_be_skipped():
        fail_if_skipped(report)
    return report


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skipped test and of one that was expected to fail (xfail)."""
    if not report.skipped:
        return
    expected_failure = getattr(report, "wasxfail", None)
    if expected_failure is None:
        # pytest's form for a skip: path, line, "Skipped: reason".
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    else:
        reason = f"xfail: {expected_failure}"
        del report.wasxfail  # pytest would count the report as xfailed whatever its outcome
    report.outcome = "failed"
    report.longrepr = f"nothing may be skipped under MOTEL_LOCUST_CI\n{reason}"
