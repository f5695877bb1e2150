"""What the web UI answers, asked without a server."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING

import pytest
from locust.env import Environment
from locust.web import WebUI

from motel_locust import TopologyUser
from motel_locust.load.figures import Figures
from motel_locust.load.generator import Generator
from motel_locust.load.web import add_tab, topologies_at_hand
from tests.integration.child import ROOT
from tests.load.examples import RUN, figures, operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask.testing import FlaskClient


class Told(Generator):
    """A generator that tells the same figures at any time."""

    told = Figures()

    def figures(self) -> Figures:
        return self.told


class Shopper(TopologyUser):
    pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FlaskClient]]:
    """Makes the web UI of a process that has run something; asks it."""
    monkeypatch.setattr(sys, "argv", ["locust"])  # Locust parses it for each page
    environments = []

    def make(*, base: str = "", login: bool = False, ran: bool = True) -> FlaskClient:
        environment = Environment(
            user_classes=[Shopper],
            parsed_options=argparse.Namespace(
                web_base_path=base, topology="", num_users=1, spawn_rate=1, run_time=None,
                stats_history_enabled=False,
            ),
        )  # fmt: skip
        environments.append(environment)
        environment.create_local_runner()
        web_ui = WebUI(
            environment, "127.0.0.1", 0, delayed_start=True, web_base_path=base, web_login=login
        )
        web_ui.app.secret_key = "for tests"
        if login:
            web_ui.login_manager.user_loader(lambda name: None)
        generator = Told(environment)
        if ran:
            generator.run = RUN
            generator.told = figures(
                accepted=4000, dropped=4, operations={"cart.load": operation(4004, errors=4)}
            )
        add_tab(web_ui, generator)
        return web_ui.app.test_client()

    yield make
    for environment in environments:
        environment.runner.quit()


PATHS = (
    "telemetry/panel", "telemetry/figures.csv", "telemetry/ledger.csv", "telemetry/losses.csv",
    "telemetry/operations.csv", "telemetry/workers.csv", "telemetry/summary.json",
    "telemetry/topologies", "telemetry/telemetry.js", "telemetry/telemetry.css",
)  # fmt: skip


@pytest.mark.parametrize("base", ["", "/load"])
@pytest.mark.parametrize("ran", [True, False])
def test_everything_is_served_below_the_base_path(
    client: Callable[..., FlaskClient], base: str, ran: bool
) -> None:
    browser = client(base=base, ran=ran)
    for path in PATHS:
        answer = browser.get(f"{base}/{path}")
        assert answer.status_code == 200, path
        assert "hunter" not in answer.text
    page = browser.get(f"{base}/").text
    assert '<script defer src="./telemetry/telemetry.js">' in page
    assert "hunter" not in page


def test_nothing_is_served_to_who_has_not_logged_in(client: Callable[..., FlaskClient]) -> None:
    browser = client(login=True)
    for path in PATHS:
        answer = browser.get(f"/{path}")
        assert answer.status_code == 302, path
        assert "/login" in answer.headers["Location"]


def test_what_is_not_there_is_not_found(client: Callable[..., FlaskClient]) -> None:
    browser = client()
    for path in ("telemetry/passwords.csv", "telemetry/nothing.js", "telemetry/..%2fweb.py"):
        assert browser.get(f"/{path}").status_code == 404


def test_downloads_are_named_files(client: Callable[..., FlaskClient]) -> None:
    browser = client()
    for name in ("operations.csv", "summary.json"):
        answer = browser.get(f"/telemetry/{name}")
        assert answer.headers["Content-Disposition"] == f"attachment; filename=telemetry_{name}"
    answer = browser.get("/telemetry/operations.csv")
    (row,) = csv.DictReader(answer.text.splitlines())
    assert (row["operation"], row["spans"], row["errors"]) == ("cart.load", "4004", "4")


def test_the_live_summary_is_the_file_s(client: Callable[..., FlaskClient]) -> None:
    told = json.loads(client().get("/telemetry/summary.json").text)
    assert told["ledger"]["traces"]["dropped"] == 4
    assert told["operations"][0]["operation"] == "cart.load"
    assert set(told) >= {"losses", "simulation", "workers", "history", "scenarios", "run"}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_report_has_a_section_in_the_page_s_colours(
    client: Callable[..., FlaskClient], theme: str
) -> None:
    browser = client(base="/load")
    report = browser.get(f"/load/stats/report?theme={theme}&download=1").text
    section = report[report.index('<section class="motel report"') :]
    assert f'data-theme="{theme}"' in section
    for text in ("<caption>Ledger</caption>", "cart.load", "<svg", "queue full"):
        assert text in section
    assert section.rstrip().endswith("</html>")
    assert "hunter" not in report


def test_a_report_without_a_run_is_locust_s(client: Callable[..., FlaskClient]) -> None:
    assert '<section class="motel report"' not in client(ran=False).get("/stats/report").text


def test_topologies_are_those_beside_the_one_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.yaml", "b.yml", "notes.txt"):
        (tmp_path / name).write_text("")
    beside = [str(tmp_path / "a.yaml"), str(tmp_path / "b.yml")]
    assert topologies_at_hand(beside[0]) == beside
    monkeypatch.chdir(ROOT)
    usual = topologies_at_hand("")
    assert "topologies/shop.yaml" in usual
    assert topologies_at_hand("http://somewhere/shop.yaml") == usual
    assert topologies_at_hand("-") == usual
    monkeypatch.chdir(tmp_path)
    assert topologies_at_hand("") == []
