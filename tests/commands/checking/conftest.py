"""Options of the tests of `check`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-checks", action="store_true", help="write golden/*.out from what is found"
    )


@pytest.fixture
def rewrite_checks(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-checks", default=False))
