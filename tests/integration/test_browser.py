"""The web UI in a real browser, used as a person would."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.browser import Watched, browsing, started
from tests.integration.child import ROOT
from tests.integration.locust_runs import Cluster, LocustRun, Locusts
from tests.integration.web import Web

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
def cluster(locust: Locusts) -> Cluster:
    """A master with its web UI and two workers, all connected, nothing started."""
    cluster = locust.cluster("--topology", SHOP, "--rate", "20/s", "--host", "discard://")
    cluster.master.wait_for_web()
    web = Web(cluster.master.url)
    cluster.master.child.until(lambda: len(web.figures()["workers"]) == 2, "with its workers")
    return cluster


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with started(chromium) as browser:
        yield browser


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[[str], Watched]]:
    """Opens a page with the UI; afterwards nothing red stood in its console, and it asked nobody
    else."""
    with browsing(browser) as watched:
        urls = []

        def at(url: str) -> Watched:
            urls.append(url)
            watched.page.goto(url)
            return watched

        yield at
        assert watched.errors == []
        assert watched.hosts == {urlsplit(url).netloc for url in urls}


@pytest.fixture
def watched(run: LocustRun, look: Callable[[str], Watched]) -> Watched:
    """A page with the UI of *run*."""
    return look(run.url)


def fill(page: Page, users: int) -> None:
    page.get_by_label("Number of users").fill(str(users))
    page.get_by_label("Ramp up").fill(str(users))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def cell(within: Page | Locator, row: str, column: str) -> Locator:
    """Return a cell of the one table in there, by its row's name and its column's title."""
    expect(within.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    titles = within.get_by_role("columnheader").all_inner_texts()
    page = within.page if isinstance(within, Locator) else within
    named = page.get_by_role("cell", name=row, exact=True)  # seen from the row
    found = within.get_by_role("row").filter(has=named)
    return found.get_by_role("cell").nth(titles.index(column))


def table(page: Page, title: str) -> Locator:
    """Return one of the tables of the Telemetry tab."""
    return page.get_by_role("table", name=title, exact=True)


def cells(table: Locator, column: int) -> list[str]:
    """Return what stands in a column, from top to bottom."""
    return table.locator(f"tbody tr td:nth-child({column})").all_inner_texts()


def start(page: Page, users: int) -> None:
    fill(page, users)
    button(page, "Start").click()
    expect(page.get_by_role("banner").get_by_text("running")).to_be_visible(timeout=FIGURES_MS)


def stop(page: Page) -> None:
    button(page, "Stop").click()
    expect(page.get_by_role("banner").get_by_text("stopped")).to_be_visible(timeout=FIGURES_MS)


def summary_of(run: LocustRun, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the summary of the run that ends, which is not the one *before*.

    The page says "stopped" as soon as it has asked for it.
    """
    run.child.until(lambda: run.summary() not in (None, before), "writing its summary")
    summary = run.summary()
    assert summary is not None
    return summary


def telemetry(page: Page) -> None:
    page.get_by_role("tab", name="Telemetry").click()


def shown(page: Page, figure: str) -> Locator:
    """Return the value of a figure in the Telemetry tab."""
    return cell(table(page, "Figures"), figure, "Value")


def number(cell: Locator) -> float:
    return float(re.sub(r"[^0-9.].*", "", cell.inner_text().replace(",", "")))


def test_start_edit_stop_and_start_again(run: LocustRun, watched: Watched) -> None:
    page = watched.page
    fill(page, 10)
    button(page, "Start").click()

    # Spans per second are where anyone looks for requests per second.
    expect(page.get_by_role("banner").get_by_text("running")).to_be_visible(timeout=FIGURES_MS)
    spans = cell(page, "spans", "# Requests")
    expect(spans).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    counted = number(spans)
    expect(cell(page, "spans", "Current RPS")).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    expect(spans).not_to_have_text(f"{counted:g}", timeout=FIGURES_MS)
    assert number(spans) > counted
    expect(cell(page, "spans", "# Fails")).to_have_text("0")

    telemetry(page)
    accepted = cell(table(page, "Ledger"), "spans", "Accepted")
    expect(accepted).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    counted = number(accepted)
    expect(accepted).not_to_have_text(f"{counted:,.0f}", timeout=FIGURES_MS)
    assert number(accepted) > counted
    expect(shown(page, "users")).to_have_text("10")
    expect(shown(page, "topology of Topology")).to_have_text(str(SHOP))
    expect(shown(page, "endpoint of Topology")).to_have_text(
        re.compile(r"^http://127.0.0.1:\d+/v1/traces \(built-in receiver\)$")
    )
    expect(shown(page, "protocol of Topology")).to_have_text("http/protobuf")

    button(page, "Edit").click()
    fill(page, 4)
    button(page, "Update").click()
    expect(shown(page, "users")).to_have_text("4", timeout=FIGURES_MS)

    stop(page)
    before = summary_of(run)
    first = before["ledger"]["traces"]
    assert first["generated"] == first["accepted"] > counted

    button(page, "New").click()
    start(page, 2)
    telemetry(page)
    expect(shown(page, "users")).to_have_text("2", timeout=FIGURES_MS)
    expect(cell(table(page, "Ledger"), "spans", "Accepted")).to_have_text(
        re.compile("[1-9]"), timeout=FIGURES_MS
    )
    stop(page)
    second = summary_of(run, before)["ledger"]["traces"]
    assert second["generated"] == second["accepted"] > 0


def test_the_telemetry_tab_draws_sorts_and_downloads(
    run: LocustRun, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    start(page, 10)
    telemetry(page)

    # The charts grow.
    for chart in ("Rate asked and reached", "Spans", "How items ended", "Lag behind the schedule"):
        line = page.get_by_role("img", name=chart, exact=True).locator("polyline").last
        expect(line).to_have_attribute("points", re.compile(r"\d \d"), timeout=FIGURES_MS)
        drawn = line.get_attribute("points")
        expect(line).not_to_have_attribute("points", drawn, timeout=FIGURES_MS)
    page.get_by_role("img", name="Rate asked and reached").hover()
    expect(page.get_by_text(re.compile(r"reached [\d.]+\nasked [\d.]+"))).to_be_visible()

    # A sorted table stays so, by number and not by text.
    operations = table(page, "Operations")
    expect(operations.get_by_role("cell", name="cache.get")).to_be_visible()
    for column, nth in (("p95 (ms)", 6), ("Spans", 2)):
        operations.get_by_role("button", name=column, exact=True).click()
        head = operations.get_by_role("columnheader", name=column, exact=True)
        expect(head).to_have_attribute("aria-sort", "descending")
        before = cells(operations, 2)
        page.wait_for_function(
            "before => [...document.querySelectorAll('[data-key=operations] td:nth-child(2)')]"
            ".map(each => each.innerText).join() !== before",
            arg=",".join(before),
        )
        values = [float(each.replace(",", "")) for each in cells(operations, nth)]
        assert values == sorted(values, reverse=True)
    assert max(values) >= 1000  # more digits than others have

    stop(page)
    page.get_by_role("tab", name="Download Data").click()
    ledger = summary_of(run)["ledger"]["traces"]
    for key, rows in (("ledger", 1), ("operations", 20), ("workers", 1), ("figures", 15)):
        with page.expect_download() as downloading:
            page.get_by_role("link", name=f"Download telemetry {key} CSV").click()
        path = tmp_path / f"{key}.csv"
        downloading.value.save_as(path)
        with path.open() as lines:
            downloaded = list(csv.DictReader(lines))
        assert len(downloaded) >= rows
        if key == "ledger":
            assert {name: int(downloaded[0][name]) for name in ledger} == ledger
        if key == "operations":
            assert sum(int(row["spans"]) for row in downloaded) == ledger["generated"]

    # The report opens in a page of its own.
    with page.expect_popup() as opening:
        page.get_by_role("link", name="Download Report").click()
    report = opening.value
    seen = Watched(report)
    report.reload()
    expect(cell(table(report, "Ledger"), "spans", "Generated")).to_have_text(
        f"{ledger['generated']:,}"
    )
    expect(report.get_by_role("img", name="Rate asked and reached")).to_be_visible()
    expect(table(report, "Operations").get_by_role("cell", name="cache.get")).to_be_visible()
    assert seen.errors == []
    assert seen.hosts == {urlsplit(run.url).netloc}


def test_the_form_offers_topologies_and_takes_any_other(
    run: LocustRun, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    page.get_by_role("button", name="Custom parameters").click()
    field = page.get_by_role("textbox", name=re.compile("^Topology"))
    beside = str(SHOP.parent / "hello.yaml")
    page.get_by_role("combobox", name="Topologies at hand").select_option(beside)
    expect(field).to_have_value(beside)
    page.get_by_role("textbox", name=re.compile("^Rate")).fill("7/s")
    page.get_by_role("combobox", name=re.compile("^Arrivals")).select_option("poisson")
    start(page, 3)
    telemetry(page)
    expect(shown(page, "topology of Topology")).to_have_text(beside, timeout=FIGURES_MS)
    expect(shown(page, "rate asked")).to_have_text("21", timeout=FIGURES_MS)
    stop(page)
    before = summary_of(run)

    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(SHOP.read_text())
    button(page, "New").click()
    page.get_by_role("button", name="Custom parameters").click()
    field.fill(str(elsewhere))
    start(page, 1)
    telemetry(page)
    expect(shown(page, "topology of Topology")).to_have_text(str(elsewhere), timeout=FIGURES_MS)
    stop(page)
    topologies = summary_of(run, before)["run"]["topologies"]
    assert [each["topology"] for each in topologies] == [str(elsewhere)]


def test_a_cluster_is_shown_as_one(cluster: Cluster, look: Callable[[str], Watched]) -> None:
    page = look(cluster.master.url).page
    start(page, 6)
    telemetry(page)
    workers = table(page, "Workers")
    expect(workers.locator("tbody tr")).to_have_count(2, timeout=FIGURES_MS)
    expect(shown(page, "users")).to_have_text("6", timeout=FIGURES_MS)
    expect(shown(page, "rate reached")).to_have_text(re.compile("[1-9]"), timeout=FIGURES_MS)
    assert cells(workers, 3) == ["3", "3"]

    # What the form changes reaches both workers in the next run.
    stop(page)
    first = summary_of(cluster.master)["ledger"]["traces"]
    assert first["generated"] == first["accepted"] > 0
    button(page, "New").click()
    page.get_by_role("button", name="Custom parameters").click()
    page.get_by_role("textbox", name=re.compile("^Topology")).fill(str(SHOP.parent / "hello.yaml"))
    page.get_by_role("textbox", name=re.compile("^Rate")).fill("5/s")
    start(page, 6)
    telemetry(page)
    expect(shown(page, "rate asked")).to_have_text("30", timeout=FIGURES_MS)
    asked = workers.locator("tbody tr td:nth-child(4)")
    expect(asked).to_have_text(["15.0", "15.0"], timeout=FIGURES_MS)
    expect(table(page, "Operations").locator("tbody tr")).to_have_count(1, timeout=FIGURES_MS)
    stop(page)
    assert cluster.master.stop().code == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tab_follows_the_page_s_colours(watched: Watched, theme: str) -> None:
    page = watched.page
    page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    page.evaluate("theme => { localStorage.theme = theme }", theme)
    page.reload()
    start(page, 1)
    telemetry(page)
    tab = page.get_by_role("region", name="Telemetry")
    expect(tab).to_have_attribute("data-theme", theme)
    page.get_by_role("banner").get_by_role("button").last.click()
    expect(tab).to_have_attribute("data-theme", "dark" if theme == "light" else "light")
    stop(page)


WRONG = {
    "Rate": ("fast", '"fast" is not of the form N/unit'),
    "Topology": ("nowhere.yaml", "nowhere.yaml"),
    "Host": ("http://127.0.0.1:9", "cannot be reached"),
}


def test_a_wrong_value_is_told_in_the_page_and_nothing_starts(
    run: LocustRun, watched: Watched
) -> None:
    page = watched.page
    page.get_by_role("button", name="Custom parameters").click()
    fill(page, 3)
    for label, (wrong, told) in WRONG.items():
        # Locust puts an option's help behind its name.
        field = page.get_by_role("textbox", name=re.compile(rf"^{label}( \(|$)"))
        right = field.input_value()
        field.fill(wrong)
        button(page, "Start").click()

        expect(page.get_by_text(told)).to_be_visible()
        expect(page.get_by_role("banner").get_by_text("ready")).to_be_visible()
        assert "Ramping" not in run.child.stderr
        assert "Traceback" not in run.child.stderr
        field.fill(right)

    # The same form, mended, starts.
    button(page, "Start").click()
    expect(page.get_by_role("banner").get_by_text("running")).to_be_visible(timeout=FIGURES_MS)
    assert run.stop().code == 0
    assert "Traceback" not in run.child.stderr
