"""Options of the tests of `preview`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-previews", action="store_true", help="write golden/*.out from what is shown"
    )


@pytest.fixture
def rewrite_previews(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-previews", default=False))
