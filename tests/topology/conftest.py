"""Options of the topology tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-problems", action="store_true", help="write problems/*.out from what is said"
    )


@pytest.fixture
def rewrite_problems(request: pytest.FixtureRequest) -> bool:
    # The option is only there if pytest was called with this directory.
    return bool(request.config.getoption("--rewrite-problems", default=False))
