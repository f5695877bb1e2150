"""The figures of a run as tables: the same ones in the web UI, as CSV and in the HTML report.

Rows hold plain numbers in the unit that their column names, so that a spreadsheet can count on
them; people see them formatted.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from motel_locust.load.destination import settings_of_part, shown_endpoint
from motel_locust.load.stats import NAMES
from motel_locust.otlp.ledger import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from motel_locust.load.figures import Figures
    from motel_locust.load.history import History
    from motel_locust.load.run import Run

Cell: TypeAlias = str | int | float | None
"""What one place of a table holds; None: not known."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in CSV, its title for people, and how many decimals they see."""

    key: str
    title: str
    decimals: int | None = None
    """None: text, and numbers as they are."""
    scale: float = 1.0
    """What people see is the value times this."""

    def shown(self, value: Cell) -> str:
        """Return *value* as people read it."""
        if value is None:
            return "–"
        if isinstance(value, str):
            return value
        if self.decimals is None:
            return f"{value:,}".removesuffix(".0")
        return f"{value * self.scale:z,.{self.decimals}f}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its key in addresses, its title, columns, and rows in their usual order."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]

    def csv(self) -> str:
        """Return the table as CSV, the columns' keys first."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([column.key for column in self.columns])
        writer.writerows([_harmless(cell) for cell in row] for row in self.rows)
        return text.getvalue()

    def records(self) -> list[dict[str, Cell]]:
        """Return the rows by the columns' keys, as JSON has them."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]


def figures_table(run: Run | None, figures: Figures, history: History) -> Table:
    """Return what there is to know of the run as a whole: figure, value, unit."""
    rows = [*_loads(figures, history), *_simulated(figures)]
    if run is not None:
        rows += _described(run)
    columns = (Column("figure", "Figure"), Column("value", "Value"), Column("unit", "Unit"))
    return Table("figures", "Figures", columns, rows)


def ledger_table(figures: Figures) -> Table:
    """Return how the items of each signal ended."""
    rows: list[tuple[Cell, ...]] = [
        (NAMES[signal], *figures.ledger[signal].as_dict().values()) for signal in figures.ledger
    ]
    columns = (Column("items", "Items"), *(Column(name, name.capitalize(), 0) for name in COUNTS))
    return Table("ledger", "Ledger", columns, rows)


def losses_table(figures: Figures) -> Table:
    """Return why items were lost, of each loss the most frequent reasons first."""
    rows = [
        (NAMES[signal], loss, reason, items)
        for signal, losses in figures.ledger.reasons().items()
        for loss, reasons in losses.items()
        for reason, items in sorted(reasons.items(), key=lambda each: -each[1])
    ]
    columns = (
        Column("items", "Items"),
        Column("loss", "Ended"),
        Column("reason", "Reason"),
        Column("count", "Count", 0),
    )
    return Table("losses", "Losses by reason", columns, rows)


def operations_table(figures: Figures) -> Table:
    """Return what each operation did in the simulation, by its name."""
    rows = []
    for name, counts in sorted(figures.operations.items()):
        quantiles_ns = (counts.durations.quantile_ns(share) for share in (0.5, 0.95, 0.99))
        rate = counts.errors / counts.spans if counts.spans else 0.0
        latencies_ms = [None if each is None else round(each / 1e6, 4) for each in quantiles_ns]
        rows.append((name, counts.spans, counts.errors, rate, *latencies_ms))
    columns = (
        Column("operation", "Operation"),
        Column("spans", "Spans", 0),
        Column("errors", "Errors", 0),
        Column("error_rate", "Errors (%)", 2, scale=100),
        Column("p50_ms", "p50 (ms)", 2),
        Column("p95_ms", "p95 (ms)", 2),
        Column("p99_ms", "p99 (ms)", 2),
    )
    return Table("operations", "Operations", columns, rows)


def workers_table(figures: Figures, history: History) -> Table:
    """Return what each process of the cluster does."""
    signals = [signal for signal in figures.ledger if signal != "traces"]
    rows: list[tuple[Cell, ...]] = []
    for process, worker in figures.workers.items():
        present = history.present_of(process)
        items = {"metrics": worker.data_points, "logs": worker.log_records}
        rows.append((
            worker.name, worker.state, worker.users, worker.asked_per_s,
            present.traces_per_s, present.spans_per_s, worker.spans,
            *(items[signal] for signal in signals), worker.lag_ns / 1e9,
            worker.queued_bytes / MIB, worker.cpu, worker.rss_bytes / MIB, worker.skew_s,
            worker.unreported,
        ))  # fmt: skip
    columns = (
        Column("worker", "Worker"),
        Column("state", "State"),
        Column("users", "Users", 0),
        Column("asked_traces_per_s", "Asked/s", 1),
        Column("traces_per_s", "Reached/s", 1),
        Column("spans_per_s", "Spans/s", 0),
        Column("spans", "Spans", 0),
        *(_OF_SIGNAL[signal] for signal in signals),
        Column("lag_s", "Lag (s)", 3),
        Column("queued_mib", "Queue (MiB)", 1),
        Column("cpu_cores", "CPU (%)", 0, scale=100),
        Column("memory_mib", "Memory (MiB)", 0),
        Column("clock_skew_s", "Skew (ms)", 0, scale=1000),
        Column("unreported", "Unreported", 0),
    )
    return Table("workers", "Workers", columns, rows)


_OF_SIGNAL: Final = {
    "metrics": Column("data_points", "Points", 0),
    "logs": Column("log_records", "Records", 0),
}
"""Columns of the workers, where the signal is sent."""

MIB: Final = 2**20

TABLES: Final[dict[str, Callable[[Run | None, Figures, History], Table]]] = {
    "figures": figures_table,
    "ledger": lambda _run, figures, _history: ledger_table(figures),
    "losses": lambda _run, figures, _history: losses_table(figures),
    "operations": lambda _run, figures, _history: operations_table(figures),
    "workers": lambda _run, figures, history: workers_table(figures, history),
}
"""How each table is made, by its key."""


def _loads(figures: Figures, history: History) -> Iterator[tuple[Cell, ...]]:
    present, seconds = history.present(), figures.elapsed_ns / 1e9
    yield "users", figures.users, ""
    yield "rate asked", round(figures.asked_per_s, 3), "traces/s"
    yield "rate reached", round(present.traces_per_s, 3), "traces/s"
    yield "rate reached, spans", round(present.spans_per_s, 1), "spans/s"
    yield "average rate", round(ratio(figures.counts.traces, seconds), 3), "traces/s"
    yield "average rate, spans", round(ratio(figures.counts.spans, seconds), 1), "spans/s"
    for signal in figures.ledger:
        if signal != "traces":
            items = figures.generated(signal)
            unit = f"{NAMES[signal].rpartition(' ')[2]}/s"
            yield f"average rate, {NAMES[signal]}", round(ratio(items, seconds), 1), unit
    yield "lag", round(figures.lag_ns / 1e9, 3), "s"
    yield "greatest lag", round(figures.lag_max_ns / 1e9, 3), "s"
    yield "queue", figures.queued_bytes, "bytes"
    yield "elapsed", round(seconds, 1), "s"
    yield "simulated time", round(figures.simulated_ns / 1e9, 2), "s"
    yield "active scenarios", ", ".join(figures.scenarios) or "none", ""


def _simulated(figures: Figures) -> Iterator[tuple[Cell, ...]]:
    """Yield the simulation's counters, those that stand at 0 left out."""
    counts = asdict(figures.counts)
    for name, count in counts.items():
        if count or name in ("traces", "spans"):
            yield name.replace("_", " "), count, ""
    yield "error rate", round(ratio(counts["errors"], counts["spans"]), 6), "of the spans"
    for metric, measurements in sorted(figures.overflowed.items()):
        yield f"without a series of their own, {metric}", measurements, "measurements"


def _described(run: Run) -> Iterator[tuple[Cell, ...]]:
    for part in run.parts:
        yield f"topology of {part.user_class}", part.source, ""
        receiver = " (built-in receiver)" if part.built_in else ""
        delivered = settings_of_part(run, part)
        for signal, settings in delivered.items():
            # Variables may name one for each signal.
            whose = part.user_class if len(delivered) == 1 else f"{part.user_class}, {signal}"
            yield f"endpoint of {whose}", f"{shown_endpoint(settings)}{receiver}", ""
            if settings.endpoint.on_network:
                yield f"protocol of {whose}", settings.protocol, ""
    yield "seed", str(run.seed), ""


def ratio(part: float, whole: float) -> float:
    """Return how much of the *whole* a *part* is; 0 where there is nothing."""
    return part / whole if whole else 0.0


def _harmless(cell: Cell) -> Cell:
    """Return *cell* so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t" and cell else cell
