from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

from motel_locust.load.figures import RUNNING, Figures, Report, total
from motel_locust.load.history import History
from motel_locust.load.panel import pieces, report_section, with_section
from motel_locust.load.summary import summary
from motel_locust.load.summary import table as console
from motel_locust.load.tables import TABLES, figures_table, losses_table, operations_table
from motel_locust.otlp.ledger import Ledger, Signal
from tests.load.examples import RUN, figures, operation


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def panel(*told: object, live: bool = False) -> str:
    return "".join(pieces(*told, live=live))


def test_every_table_reads_back_from_csv() -> None:
    told = total({
        "one": Report(figures(accepted=4, operations={"a.b": operation(4, errors=1)})),
        "two": Report(figures(accepted=8, dropped=4, operations={"a.b": operation(12)})),
    })  # fmt: skip
    for key, make in TABLES.items():
        table = make(RUN, told, History())
        assert table.key == key
        rows = read(table.csv())
        assert len(rows) == len(table.rows) > 0
        assert list(rows[0]) == [column.key for column in table.columns]
    (ledger,) = read(TABLES["ledger"](RUN, told, History()).csv())
    assert (ledger["items"], ledger["generated"], ledger["dropped"]) == ("spans", "16", "4")
    (row,) = read(TABLES["operations"](RUN, told, History()).csv())
    assert (row["spans"], row["error_rate"], row["p50_ms"]) == ("16", "0.0625", row["p99_ms"])
    assert [row["spans"] for row in read(TABLES["workers"](RUN, told, History()).csv())] == [
        "4", "12",
    ]  # fmt: skip


def test_the_figures_leave_out_what_never_happened_and_keep_secrets() -> None:
    table = figures_table(RUN, figures(), History())
    names = [row[0] for row in table.rows]
    assert "retries" not in names
    assert "traces" in names
    assert "hunter" not in table.csv()
    assert ("seed", str(RUN.seed), "") in table.rows


def test_losses_stand_by_their_count() -> None:
    assert losses_table(figures(dropped=3)).rows == [("spans", "dropped", "queue full", 3)]
    assert losses_table(figures()).rows == []


def test_an_operation_without_spans_has_no_latency() -> None:
    table = operations_table(figures(operations={"a.b": operation(0)}))
    assert table.rows == [("a.b", 0, 0, 0.0, None, None, None)]
    assert [column.shown(None) for column in table.columns[-1:]] == ["–"]


def test_a_name_is_no_formula_and_no_markup() -> None:
    told = figures(operations={'=cmd|"/c calc"': operation(1), "<script>x.y": operation(1)})
    assert read(operations_table(told).csv())[1]["operation"] == '\'=cmd|"/c calc"'
    assert "<script>" not in panel(RUN, told, History(), live=True)


def test_the_panel_shows_every_table_that_has_rows() -> None:
    told = total({"one": Report(figures(dropped=2, operations={"a.b": operation(1234)}))})
    shown = panel(RUN, told, History())
    for title in ("Ledger", "Losses by reason", "Operations", "Workers", "Figures"):
        assert f"<caption>{title}</caption>" in shown
    assert "Losses" not in panel(RUN, figures(), History())
    assert '<td class="n" data-value="1234">1,234</td>' in shown
    assert RUNNING in shown
    assert "hunter" not in shown


def described(**changes: Any) -> dict[str, str]:
    """The rows of the table of figures that tell of the run's only part, changed so."""
    run = replace(RUN, environ={}, parts=(replace(RUN.parts[0], **changes),))
    rows = {str(row[0]): str(row[1]) for row in figures_table(run, figures(), History()).rows}
    return {
        name: rows.get(f"{name} of Shopper", "") for name in ("topology", "endpoint", "protocol")
    }


def test_where_a_run_sends_is_told() -> None:
    assert described(endpoint="http://127.0.0.1:4318", built_in=True) == {
        "topology": "shop.yaml",
        "endpoint": "http://127.0.0.1:4318/v1/traces (built-in receiver)",
        "protocol": "http/protobuf",
    }
    assert described(endpoint="discard://")["endpoint"] == "discard://"
    assert described(endpoint="discard://")["protocol"] == ""


def test_what_variables_decide_is_told_and_no_secret_in_it() -> None:
    url = "https://collector/in?key=hunter2"
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": "a=hunter3"}
    told = replace(RUN, environ=environ)
    rows = {row[0]: row[1] for row in figures_table(told, figures(), History()).rows}
    assert rows["endpoint of Shopper"] == "https://collector:443/in/v1/traces?..."
    assert rows["protocol of Shopper"] == "http/protobuf"
    found = json.dumps(summary(told, figures(), History())) + panel(told, figures(), History())
    assert "https://collector:443/in/v1/traces?..." in found
    assert "hunter" not in found


def test_each_signal_goes_where_its_variables_say() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs/in",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
    }
    told = replace(RUN, environ=environ, options={**RUN.options, "signals": "traces,logs"})
    rows = {row[0]: row[1] for row in figures_table(told, figures(), History()).rows}
    assert {name: value for name, value in rows.items() if "Shopper, " in str(name)} == {
        "endpoint of Shopper, traces": "http://collector:4317",
        "protocol of Shopper, traces": "grpc",
        "endpoint of Shopper, logs": "https://logs:443/in",
        "protocol of Shopper, logs": "http/protobuf",
    }
    (part,) = summary(told, figures(), History())["run"]["topologies"]
    assert part["endpoints"]["logs"] == {
        "address": "https://logs:443/in",
        "protocol": "http/protobuf",
    }
    only_logs = replace(told, options={**RUN.options, "signals": "logs"})
    rows = {row[0]: row[1] for row in figures_table(only_logs, figures(), History()).rows}
    assert rows["endpoint of Shopper"] == "https://logs:443/in"


def test_before_the_first_run_the_panel_is_empty_of_figures() -> None:
    assert "<svg" in panel(None, figures(accepted=0), History())


def test_the_section_stands_at_the_end_of_the_report_and_runs_nothing() -> None:
    told = total({"one": Report(figures(operations={"a.b": operation(4)}))})
    run = replace(RUN, parts=(replace(RUN.parts[0], endpoint="discard://"),))
    section = report_section(run, told, History(), dark=True)
    assert 'data-theme="dark"' in section
    assert "<script" not in section
    assert "http" not in section.replace("http://www.w3.org", "")
    assert with_section("<body>x</body></html>", "!") == "<body>x!</body></html>"


def sending(signals: dict[Signal, int], **more: object) -> Figures:
    """Figures of a process that has generated so many items of each signal."""
    ledger = Ledger(signals)
    for signal, items in signals.items():
        ledger.generate(signal, items)
        ledger.settle(signal, accepted=items)
    return replace(figures(), ledger=ledger, elapsed_ns=2 * 10**9, **more)


def test_every_signal_has_rows_of_its_own() -> None:
    overflowed = {"shop: hits": 3}
    one = sending({"traces": 10, "metrics": 4, "logs": 20}, overflowed=overflowed)
    other = sending({"traces": 1, "metrics": 2, "logs": 3}, overflowed={**overflowed, "db: n": 1})
    told = total({"one": Report(one), "two": Report(other)})
    ledger = read(TABLES["ledger"](RUN, told, History()).csv())
    assert [(row["items"], row["accepted"]) for row in ledger] == [
        ("spans", "11"),
        ("data points", "6"),
        ("log records", "23"),
    ]
    workers = read(TABLES["workers"](RUN, told, History()).csv())
    assert [(row["data_points"], row["log_records"]) for row in workers] == [
        ("4", "20"),
        ("2", "3"),
    ]
    rows = figures_table(RUN, told, History()).rows
    assert ("average rate, log records", 11.5, "records/s") in rows
    assert ("average rate, data points", 3.0, "points/s") in rows
    assert ("without a series of their own, shop: hits", 6, "measurements") in rows
    assert ("without a series of their own, db: n", 1, "measurements") in rows
    lines = console(RUN, told).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["spans", "data", "log"]
    assert "6 measurements of shop: hits had no series of their own: otel.metric.overflow" in lines
    shown = panel(RUN, told, History())
    assert "<span>Log records</span>" in shown
    assert 'data-key="records"' in shown
    assert 'data-key="points"' in shown


def test_signals_that_are_not_sent_are_not_shown() -> None:
    told = total({"one": Report(sending({"logs": 5}))})
    (row,) = read(TABLES["ledger"](RUN, told, History()).csv())
    assert row["items"] == "log records"
    (worker,) = read(TABLES["workers"](RUN, told, History()).csv())
    assert worker["log_records"] == "5"
    assert "data_points" not in worker
    shown = panel(RUN, told, History())
    assert 'data-key="points"' not in shown
    assert "Data points" not in shown
