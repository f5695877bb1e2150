"""What a run comes to: the ledger, the simulation and its course, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from motel_locust.load.destination import settings_of_part, shown_endpoint
from motel_locust.load.figures import LOST
from motel_locust.load.stats import NAMES
from motel_locust.load.tables import operations_table, ratio, workers_table
from motel_locust.otlp.ledger import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from motel_locust.engine.statistics import OperationCounts
    from motel_locust.load.figures import Figures
    from motel_locust.load.history import History
    from motel_locust.load.run import Run

WIDTH: Final = 13


def summary(run: Run, figures: Figures, history: History) -> dict[str, Any]:
    """Return everything that is known of a run, as JSON has it."""
    return {
        "ledger": figures.ledger.as_dict(),
        "losses": figures.ledger.reasons(),
        "simulation": _simulation(run, figures),
        "overflowed": dict(figures.overflowed),
        "operations": operations_table(figures).records(),
        "workers": workers_table(figures, history).records(),
        "lag_s": {"max": figures.lag_max_ns / 1e9},
        "scenarios": [asdict(spell) for spell in history.spells],
        "history": history.as_dict(),
        "run": {
            "epoch_ns": run.epoch_ns,
            "topologies": [
                {
                    "user_class": each.user_class,
                    "topology": each.source,
                    "sha256": each.sha256,
                    "endpoints": {
                        signal: {"address": shown_endpoint(settings), "protocol": settings.protocol}
                        for signal, settings in settings_of_part(run, each).items()
                    },
                    "rate": each.rate,
                    "arrivals": each.arrivals,
                }
                for each in run.parts
            ],
        },
    }


def write_summary(path: str, run: Run, figures: Figures, history: History) -> None:
    """Write the summary to the file *path*; raise OSError if that cannot be done."""
    text = json.dumps(summary(run, figures, history), indent=2, ensure_ascii=False)
    Path(path).write_text(f"{text}\n", encoding="utf-8")


def table(run: Run, figures: Figures) -> str:
    """Return the summary as lines for people."""
    simulation = _simulation(run, figures)
    names = [name for name in COUNTS if name != "pending"]
    lines = [_row("Telemetry", *names), "-" * 18 + "|" + "-" * (len(names) * WIDTH)]
    for signal in figures.ledger:
        counts = figures.ledger[signal].as_dict()
        lines.append(_row(NAMES[signal], *(f"{counts[name]:,}" for name in names)))
        if counts["pending"]:
            lines.append(f"  {counts['pending']:,} {NAMES[signal]} unreported")
        for loss, reasons in figures.ledger.reasons().get(signal, {}).items():
            for reason, items in reasons.items():
                lines.append(f"  {items:,} {loss}: {reason}")
    lines += [
        "",
        f"{simulation['traces']:,} traces in {simulation['elapsed_ms'] / 1000:.1f} s:"
        f" {simulation['traces_per_second']:,.1f} traces/s,"
        f" {simulation['spans_per_second']:,.1f} spans/s;"
        f" lag at most {figures.lag_max_ns / 1e9:.3f} s",
        f"{simulation['error_rate']:.2%} of the spans and"
        f" {simulation['trace_error_rate']:.2%} of the traces failed in the simulation",
    ]
    happened = {name: simulation[name] for name in RARE if simulation[name]}
    if happened:
        lines.append(", ".join(f"{name} {count:,}" for name, count in happened.items()))
    lines += [
        f"{count:,} measurements of {metric} had no series of their own: otel.metric.overflow"
        for metric, count in sorted(figures.overflowed.items())
    ]
    return "\n".join([*lines, f"seed {run.seed}", *_operations(figures)])


def loss_problem(figures: Figures, max_loss: float) -> str:
    """Return why the run lost too much; empty if it did not."""
    generated = lost = 0
    for signal in figures.ledger:
        counts = figures.ledger[signal]
        generated += counts.generated
        lost += counts.lost + counts.pending
    if lost <= max_loss * generated:
        return ""
    return (
        f"lost or unreported: {lost:,} of {generated:,} items, {lost / generated:.4%};"
        f" --max-loss allows {max_loss:.4%}"
    )


def lost_workers(figures: Figures) -> list[str]:
    """Return what is to be said of each worker that went away without its last report."""
    return [
        f"worker {worker.name} was lost: {worker.unreported:,} of the items that it reported are"
        " unreported, and what it did after its last report is not in these sums"
        for worker in figures.workers.values()
        if worker.state == LOST
    ]


RARE: Final = (
    "timeouts",
    "retries",
    "spans_bounded",
    "spans_cut",
    "queue_rejections",
    "circuit_breaker_trips",
    "circuit_breaker_opens",
)


def _simulation(run: Run, figures: Figures) -> dict[str, Any]:
    counts, elapsed_s = figures.counts, figures.elapsed_ns / 1e9
    hashes: Sequence[str] = sorted({part.sha256 for part in run.parts})
    return {
        **asdict(counts),
        "elapsed_ms": figures.elapsed_ns // 1_000_000,
        "simulated_ms": figures.simulated_ns // 1_000_000,
        "traces_per_second": ratio(counts.traces, elapsed_s),
        "spans_per_second": ratio(counts.spans, elapsed_s),
        "error_rate": ratio(counts.errors, counts.spans),
        "trace_error_rate": ratio(counts.failed_traces, counts.traces),
        "seed": run.seed,
        "topology_sha256": hashes[0] if len(hashes) == 1 else hashes,
    }


def _operations(figures: Figures) -> list[str]:
    """Return the table of operations; of many, those that fail most and the slowest ones."""
    operations = operations_table(figures)
    if not operations.rows:
        return []
    named, left = set(_worth_naming(figures.operations)), max(0, len(operations.rows) - FEW)
    rows = [row for row in operations.records() if row["operation"] in named]
    width = max(len(str(row["operation"])) for row in rows)
    lines = [[column.shown(row[column.key]) for column in operations.columns] for row in rows]
    titles = [column.title for column in operations.columns]
    more = [f"  ... {left:,} more in --summary"] if left else []
    return [
        "",
        _row(titles[0], *titles[1:], width=width),
        "-" * (width + 1) + "|" + "-" * (len(titles[1:]) * WIDTH),
        *(_row(line[0], *line[1:], width=width) for line in lines),
        *more,
    ]


def _worth_naming(operations: Mapping[str, OperationCounts]) -> list[str]:
    """Return the names of a few: those that failed most, and the slowest."""
    errors = {name: each.errors / each.spans for name, each in operations.items() if each.errors}
    slowness_ns = {name: each.durations.quantile_ns(0.95) or 0 for name, each in operations.items()}
    worst = sorted(errors, key=lambda name: -errors[name])[: FEW // 2]
    slowest = sorted(slowness_ns, key=lambda name: -slowness_ns[name])
    return list(dict.fromkeys([*worst, *slowest]))[:FEW]


FEW: Final = 14
"""So many operations are named in the console."""


def _row(name: str, *cells: str, width: int = 17) -> str:
    return f"{name:<{width}} |" + "".join(f"{cell:>{WIDTH}}" for cell in cells)
