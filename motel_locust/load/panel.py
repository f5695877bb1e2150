"""The figures of a run as HTML: live in the Telemetry tab, and as a section of the HTML report."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from motel_locust.load.charts import CHARTS, POINTS, clock, number
from motel_locust.load.stats import NAMES
from motel_locust.load.tables import TABLES, Cell, Column, Table, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.load.figures import Figures
    from motel_locust.load.history import History
    from motel_locust.load.run import Run

# Longer texts may be cut.
LONG: Final = 20

STATIC: Final = Path(__file__).parent / "static"


def pieces(
    run: Run | None, figures: Figures, history: History, *, live: bool = False
) -> Iterator[str]:
    """Yield tiles, charts and tables, piece by piece, each made in a millisecond or two.

    *live* adds what the page's script needs. Between two pieces others may have their turn.
    """
    yield f'<div class="tiles">{"".join(_tiles(figures, history))}</div><div class="charts">'
    rates = history.rates(POINTS)
    for chart in CHARTS:
        if not chart.signals or any(signal in figures.ledger for signal in chart.signals):
            yield chart.html(rates, history.spells, live=live)
    yield "</div>"
    for key in ("ledger", "losses", "operations", "workers", "figures"):
        table = TABLES[key](run, figures, history)
        if table.rows:
            yield from _table(table)


def report_section(run: Run, figures: Figures, history: History, *, dark: bool = False) -> str:
    """Return what is added to Locust's HTML report: no script, nothing to fetch."""
    style = (STATIC / "telemetry.css").read_text(encoding="utf-8")
    theme = "dark" if dark else "light"
    return (
        f'<style>{style}</style><section class="motel report" data-theme="{theme}">'
        f"<h1>Telemetry</h1>{''.join(pieces(run, figures, history))}</section>"
    )


def with_section(report: str, section: str) -> str:
    """Return an HTML *report* with a *section* at its end."""
    head, end, tail = report.rpartition("</body>")
    return f"{head}{section}{end}{tail}"


def _tiles(figures: Figures, history: History) -> Iterator[str]:
    present, seconds = history.present(), figures.elapsed_ns / 1e9
    ledgers = [figures.ledger[signal] for signal in figures.ledger]
    generated = sum(each.generated for each in ledgers)
    lost = sum(each.lost for each in ledgers)
    if history.closed:
        traces, spans = figures.counts.traces, figures.counts.spans
        yield _tile("Traces", _short(traces), f"{number(ratio(traces, seconds))}/s on average")
        yield _tile("Spans", _short(spans), f"{number(ratio(spans, seconds))}/s on average")
        for signal in ("logs", "metrics"):
            if signal in figures.ledger:
                items = figures.generated(signal)
                average = f"{number(ratio(items, seconds))}/s on average"
                yield _tile(NAMES[signal].capitalize(), _short(items), average)
    else:
        yield _tile("Asked", number(figures.asked_per_s), "traces/s")
        yield _tile("Reached", number(present.traces_per_s), "traces/s")
        yield _tile("Spans", number(present.spans_per_s), "per second")
        if "logs" in figures.ledger:
            yield _tile("Log records", number(present.log_records_per_s), "per second")
        if "metrics" in figures.ledger:
            yield _tile("Data points", _short(figures.generated("metrics")), "so far")
    yield _tile("Accepted", _short(sum(each.accepted for each in ledgers)), "items")
    share = f"{ratio(lost, generated):.2%} of all"
    yield _tile("Lost", _short(lost), share, alarming=bool(lost))
    yield _tile("Lag", number(figures.lag_ns / 1e9), f"s, at most {figures.lag_max_ns / 1e9:.3f}")
    yield _tile("Queue", number(figures.queued_bytes / 2**20), "MiB")
    yield _tile("Elapsed", clock(seconds), f"{figures.users:,} users")
    if figures.scenarios:
        yield _tile("Scenarios", str(len(figures.scenarios)), ", ".join(figures.scenarios))


def _tile(title: str, value: str, unit: str, *, alarming: bool = False) -> str:
    kind = "tile bad" if alarming else "tile"
    return (
        f'<div class="{kind}"><span>{escape(title)}</span><b>{escape(value)}</b>'
        f"<small>{escape(unit)}</small></div>"
    )


def _short(count: int) -> str:
    """Return a count that fits a tile."""
    for size, letter in ((10**9, "G"), (10**6, "M")):
        if count >= 10 * size:
            return f"{count / size:,.1f} {letter}"
    return f"{count:,}"


def _table(table: Table) -> Iterator[str]:
    heads = "".join(
        f"<th{_kind(column)}><button>{escape(column.title)}</button></th>"
        for column in table.columns
    )
    yield (
        f'<div class="scroll"><table data-key="{table.key}"><caption>{escape(table.title)}'
        f"</caption><thead><tr>{heads}</tr></thead><tbody>"
    )
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        yield f"<tr>{''.join(_cell(column, cell) for column, cell in cells)}</tr>"
    yield "</tbody></table></div>"


def _cell(column: Column, cell: Cell) -> str:
    attributes = f"{_kind(column)}{_attribute(column, cell)}"
    return f"<td{attributes}>{escape(column.shown(cell))}</td>"


def _kind(column: Column) -> str:
    return "" if column.decimals is None else ' class="n"'


def _attribute(column: Column, cell: Cell) -> str:
    """Return what a cell holds besides its text: the plain number to sort by, a long text whole."""
    if column.decimals is None:
        return f' title="{escape(str(cell))}"' if len(str(cell)) > LONG else ""
    return f' data-value="{"" if cell is None else cell}"'
