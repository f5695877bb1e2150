"""The web UI in a real browser, used as a person would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.browser import Watched, browsing
from tests.integration.child import ROOT
from tests.integration.locust_runs import LocustRun, Locusts

SHOP = ROOT / "topologies" / "shop.yaml"
FIGURES_MS = 15_000
"""Locust computes its figures each two seconds, and its pages ask for them as often."""


@pytest.fixture
def run(locust: Locusts) -> LocustRun:
    """Locust with its web UI and the built-in receiver, as ``make run`` has it, not yet started."""
    run = locust.start("--topology", SHOP, "--rate", "20/s")
    run.wait_for_web()
    return run


@pytest.fixture
def watched(run: LocustRun, chromium: str, tmp_path: Path) -> Iterator[Watched]:
    """A page with the UI; afterwards nothing red stood in its console, and it asked nobody else."""
    with browsing(chromium, tmp_path / "profile") as watched:
        watched.page.goto(run.url)
        yield watched
        assert watched.errors == []
        assert watched.hosts == {urlsplit(run.url).netloc}


def fill(page: Page, users: int) -> None:
    page.get_by_label("Number of users").fill(str(users))
    page.get_by_label("Ramp up").fill(str(users))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def cell(page: Page, row: str, column: str) -> Locator:
    """Return a cell of the table that is shown, by its row's name and its column's title."""
    expect(page.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    titles = page.get_by_role("columnheader").all_inner_texts()
    found = page.get_by_role("row").filter(has=page.get_by_role("cell", name=row, exact=True))
    return found.get_by_role("cell").nth(titles.index(column))


def number(cell: Locator) -> float:
    return float(re.sub(r"[^0-9.].*", "", cell.inner_text().replace(",", "")))


def test_start_edit_stop_and_start_again(run: LocustRun, watched: Watched) -> None:
    page = watched.page
    fill(page, 10)
    button(page, "Start").click()

    # Spans per second are where anyone looks for requests per second.
    expect(page.get_by_text("running")).to_be_visible(timeout=FIGURES_MS)
    spans = cell(page, "spans", "# Requests")
    expect(spans).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    shown = number(spans)
    expect(cell(page, "spans", "Current RPS")).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    expect(spans).not_to_have_text(f"{shown:g}", timeout=FIGURES_MS)
    assert number(spans) > shown
    expect(cell(page, "spans", "# Fails")).to_have_text("0")

    page.get_by_role("tab", name="Telemetry").click()
    accepted = cell(page, "spans accepted", "Value")
    expect(accepted).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    shown = number(accepted)
    expect(accepted).not_to_have_text(f"{shown:,.0f}", timeout=FIGURES_MS)
    assert number(accepted) > shown
    expect(cell(page, "users", "Value")).to_have_text("10")
    expect(cell(page, "topology of Topology", "Value")).to_have_text(str(SHOP))
    expect(cell(page, "built-in receiver", "Value")).to_have_text(re.compile("http://127.0.0.1"))

    button(page, "Edit").click()
    fill(page, 4)
    button(page, "Update").click()
    expect(cell(page, "users", "Value")).to_have_text("4", timeout=FIGURES_MS)

    button(page, "Stop").click()
    expect(page.get_by_text("stopped")).to_be_visible(timeout=FIGURES_MS)
    first = run.summary()["ledger"]["traces"]
    assert first["generated"] == first["accepted"] > shown

    button(page, "New").click()
    fill(page, 2)
    button(page, "Start").click()
    expect(page.get_by_text("running")).to_be_visible(timeout=FIGURES_MS)
    page.get_by_role("tab", name="Telemetry").click()
    expect(cell(page, "users", "Value")).to_have_text("2", timeout=FIGURES_MS)
    expect(cell(page, "spans accepted", "Value")).to_have_text(
        re.compile("[1-9]"), timeout=FIGURES_MS
    )
    button(page, "Stop").click()
    expect(page.get_by_text("stopped")).to_be_visible(timeout=FIGURES_MS)
    second = run.summary()["ledger"]["traces"]
    assert second["generated"] == second["accepted"] > 0


@pytest.mark.parametrize(
    ("label", "wrong", "told"),
    [
        ("Rate", "fast", '"fast" is not of the form N/unit'),
        ("Topology", "nowhere.yaml", "nowhere.yaml"),
        ("Host", "http://127.0.0.1:9", "cannot be reached"),
    ],
)
def test_a_wrong_value_is_told_in_the_page_and_nothing_starts(
    run: LocustRun, watched: Watched, label: str, wrong: str, told: str
) -> None:
    page = watched.page
    page.get_by_role("button", name="Custom parameters").click()
    # Locust puts an option's help behind its name.
    field = page.get_by_role("textbox", name=re.compile(rf"^{label}( \(|$)"))
    right = field.input_value()
    field.fill(wrong)
    fill(page, 3)
    button(page, "Start").click()

    expect(page.get_by_text(told)).to_be_visible()
    expect(page.get_by_text("ready")).to_be_visible()
    assert "Ramping" not in run.child.stderr
    assert "Traceback" not in run.child.stderr

    # The same form, mended, starts.
    field.fill(right)
    button(page, "Start").click()
    expect(page.get_by_text("running")).to_be_visible(timeout=FIGURES_MS)
    assert run.stop().code == 0
    assert "Traceback" not in run.child.stderr
