"""What a run comes to: the ledger and the simulation's counters, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from motel_locust.load.figures import LOST
from motel_locust.load.stats import NAMES
from motel_locust.otlp.ledger import COUNTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from motel_locust.load.figures import Figures
    from motel_locust.load.run import Run

WIDTH: Final = 13


def summary(run: Run, figures: Figures) -> dict[str, Any]:
    """Return everything that is known of a run that has ended, as JSON has it."""
    return {
        "ledger": figures.ledger.as_dict(),
        "losses": figures.ledger.reasons(),
        "simulation": _simulation(run, figures),
        "lag_s": {"max": figures.lag_max_ns / 1e9},
        "run": {
            "epoch_ns": run.epoch_ns,
            "topologies": [
                {"user_class": each.user_class, "topology": each.source, "sha256": each.sha256}
                for each in run.parts
            ],
        },
    }


def write_summary(path: str, run: Run, figures: Figures) -> None:
    """Write the summary to the file *path*; raise OSError if that cannot be done."""
    text = json.dumps(summary(run, figures), indent=2, ensure_ascii=False)
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
    return "\n".join([*lines, f"seed {run.seed}"])


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
        "traces_per_second": _ratio(counts.traces, elapsed_s),
        "spans_per_second": _ratio(counts.spans, elapsed_s),
        "error_rate": _ratio(counts.errors, counts.spans),
        "trace_error_rate": _ratio(counts.failed_traces, counts.traces),
        "seed": run.seed,
        "topology_sha256": hashes[0] if len(hashes) == 1 else hashes,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _row(name: str, *cells: str) -> str:
    return f"{name:<17} |" + "".join(f"{cell:>{WIDTH}}" for cell in cells)
