"""The same in characters: the rate over time as columns, the call graph as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.checking import amounts
from motel_locust.commands.previewing.scales import (
    rate_label,
    time_step_ns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.commands.console import Cell
    from motel_locust.commands.previewing.graph import Arrow, Box, CallGraph
    from motel_locust.commands.previewing.series import Series

COLUMNS: Final = 72
ROWS: Final = 10
TREE_HEADINGS: Final = ("operation", "calls", "spans/s", "errors", "p50", "p95")

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


def columns(series: Series) -> Iterator[str]:
    """Yield the lines of a chart of *series*: what is highest in the time of each column."""
    heights = _heights(series)
    labels = {0: rate_label(series.greatest, series.unit), ROWS - 1: "0"}
    labels[(ROWS - 1) // 2] = rate_label(series.greatest * _level(), series.unit)
    room = max(map(len, labels.values()))
    for row in range(ROWS):
        eighths = np.clip(heights - 8 * (ROWS - 1 - row), 0, 8)
        bars = "".join(_EIGHTHS[each] for each in eighths.tolist())
        yield f"{labels.get(row, ''):>{room}} ┤{bars.rstrip()}"
    yield f"{'':>{room}} └{_scale(series)[0]}"
    yield f"{'':>{room}}  {_scale(series)[1]}"
    for band in series.bands:
        start = COLUMNS * band.start_ns // series.until_ns
        stop = max(start + 1, COLUMNS * band.stop_ns // series.until_ns)
        yield f"{'':>{room}}  {' ' * start}{'━' * (stop - start)} {band.name}"


def _level() -> float:
    """Return the share of the height at whose top the middle label stands."""
    return (ROWS - (ROWS - 1) // 2) / ROWS


def _heights(series: Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the height of each column in eighths of a row; what is not 0 shows."""
    place = np.minimum(series.t_ns / series.until_ns * COLUMNS, COLUMNS - 1).astype(np.int64)
    highest = np.zeros(COLUMNS)
    np.maximum.at(highest, place, series.per_s)
    share = highest / (series.greatest or 1.0)
    return np.ceil(share * 8 * ROWS).astype(np.int64)


def _scale(series: Series) -> tuple[str, str]:
    """Return the line below the columns, and the times below it."""
    line, times = ["─"] * COLUMNS, ""
    for t_ns in range(0, series.until_ns, time_step_ns(series.until_ns)):
        place = COLUMNS * t_ns // series.until_ns
        line[place] = "┬"
        if not times or place > len(times):
            times = times.ljust(place) + amounts.clock(t_ns)
    return "".join(line), times


def circumstances(graph: CallGraph) -> str:
    """Return when *graph* is like that: the scenarios, and how many traces arrive."""
    return f"{graph.label}, {amounts.rate(graph.traces_per_s)} traces/s"


def trees(graph: CallGraph) -> Iterator[list[Cell]]:
    """Yield a row for each operation below its caller, from every root; see ``TREE_HEADINGS``.

    What an operation calls is shown the first time it occurs, and is only hinted at later.
    """
    boxes = {box.ref: box for box in graph.boxes}
    calls: dict[str, list[Arrow]] = {}
    for arrow in graph.arrows:
        calls.setdefault(arrow.caller, []).append(arrow)
    shown: set[str] = set()
    roots = [box for box in graph.boxes if box.root]
    for root in roots:
        # Without recursion, as chains of calls may be long.
        waiting: list[tuple[str, str, Arrow | None]] = [("", "", None)]
        while waiting:
            lead, branch, call = waiting.pop()
            box = root if call is None else boxes[call.callee]
            further = calls.get(box.ref, [])
            again = box.ref in shown and bool(further)
            yield _row(lead + branch, box, call, again=again)
            if again:
                continue
            shown.add(box.ref)
            below = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
            for number, each in reversed(list(enumerate(further, 1))):
                waiting.append((below, "└─ " if number == len(further) else "├─ ", each))


def _row(indent: str, box: Box, arrow: Arrow | None, *, again: bool) -> list[Cell]:
    words = "; ".join(arrow.words) if arrow else "root"
    latency = ("", "")
    if box.latency is not None:
        latency = amounts.duration(box.latency.p50), amounts.duration(box.latency.p95)
    spans = arrow.spans_per_s if arrow else box.spans_per_s
    name = f"{indent}{box.ref}{' ↑' if again else ''}"
    return [name, words, amounts.rate(spans), amounts.share(box.errors), *latency]
