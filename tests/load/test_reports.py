"""What a run leaves behind, and what it must not: files of real runs, however they end."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.integration.child import ROOT
from tests.integration.web import Web

if TYPE_CHECKING:
    from tests.integration.locust_runs import Finished, Locusts

FOUR = ROOT / "topologies" / "four-services.yaml"
SECRET = "hunter2"
RUN = ("--topology", FOUR, "--rate", "20/s", "--host", "discard://", "--users", "4",
       "--spawn-rate", "4", "--html", "report.html")  # fmt: skip


def check_section(report: str, finished: Finished) -> None:
    """Compare the figures in the report's section with the summary's."""
    section = report[report.index('<section class="motel') :]
    values = re.findall(r'<td class="n" data-value="(\d+)">', section)
    assert [int(value) for value in values[:7]] == list(finished.ledger.values())
    assert "http://" not in section
    operations = {each["operation"]: each["spans"] for each in finished.summary["operations"]}
    assert len(operations) == 4
    assert sum(operations.values()) == finished.ledger["generated"]
    for operation, spans in operations.items():
        row = rf'<td[^>]*>{re.escape(operation)}</td><td class="n" data-value="{spans}">'
        assert re.search(row, section)
    assert section.count("<svg") == 4
    assert all("," in points for points in re.findall(r'<polyline[^>]*points="([^"]*)"', section))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_report_carries_the_same_figures_however_a_run_ends(
    locust: Locusts, number: signal.Signals
) -> None:
    run = locust.start(*RUN, "--autostart")
    run.wait_for_web()
    web = Web(run.url)
    run.child.until(lambda: int(web.telemetry()["spans accepted"]) > 300, "sending")
    finished = run.stop(number)
    assert finished.code == 0, finished.stderr
    report = (run.directory / "report.html").read_text()
    check_section(report, finished)


def test_a_master_s_report_has_its_workers(locust: Locusts) -> None:
    cluster = locust.cluster(*RUN, "--headless", "--run-time", "6s")
    finished = cluster.wait()
    assert finished.code == 0, finished.stderr
    check_section((cluster.master.directory / "report.html").read_text(), finished)
    workers, history = finished.summary["workers"], finished.summary["history"]
    assert len(workers) == 2
    assert sum(each["spans"] for each in workers) == finished.ledger["generated"]
    assert len({len(column) for column in history.values()}) == 1
    spans, before_s = 0.0, 0.0
    for at_s, spans_per_s in zip(history["at_s"], history["spans_per_s"], strict=True):
        spans, before_s = spans + spans_per_s * (at_s - before_s), at_s
    assert spans == pytest.approx(finished.ledger["generated"], rel=0.01)


def test_a_secret_is_shown_nowhere(locust: Locusts) -> None:
    run = locust.start(
        *("--topology", FOUR, "--otlp-headers", f"authorization={SECRET}", "--html", "report.html"),
        *("--csv", "run"),
        env={"OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"authorization={SECRET}"},
    )
    run.wait_for_web()
    web = Web(run.url)

    def look() -> None:
        for path in (
            "", "stats/requests", "stats/report", "logs", "tasks", "telemetry/panel",
            "telemetry/summary.json", *(f"telemetry/{key}.csv" for key in TABLES),
        ):  # fmt: skip
            with urlopen(f"{run.url}/{path}", timeout=20) as answer:
                assert SECRET not in answer.read().decode(), path

    look()
    assert web.start(2, 2)["success"]
    refused = web.start(2, 2, rate="fast")
    assert SECRET not in json.dumps(refused)
    run.child.until(lambda: int(web.telemetry()["spans accepted"]) > 0, "sending")
    look()
    web.stop()
    look()
    finished = run.stop()
    assert finished.code == 0, finished.stderr
    for path in run.directory.iterdir():
        assert SECRET not in path.read_text(errors="replace"), path


TABLES = ("figures", "ledger", "losses", "operations", "workers")
