"""The figures as one picture: generated, delivered, and what a rate costs.

The same figures give the same bytes. Text stays text, so that a page can be searched; the picture
brings its own white ground, for pages that are dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import others
from benchmarks.table import count, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

EARLIER = "measured earlier"
"""The note at what other tools reach."""

OURS, CEILING, OTHERS = "#1f5fa8", "#9dbfe3", "#a7a7a7"
LINES = {"discard://": "#1f5fa8", "receiver": "#2a9d6f", "Collector": "#d1662b"}
LINES["stdout://"] = "#8e5ba6"
INK, FAINT = "#222222", "#666666"

WIDTH_IN, BAR_IN, CURVES_IN, AROUND_IN, LEGEND_IN = 8.2, 0.24, 3.1, 0.95, 0.45
"""Of the picture, a bar, the curves, what is around a panel, the legend below the curves."""
LEFT = 0.23
"""Where panels begin: the part of the width that their labels take."""

CPU_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "motel-locust",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``label`` may be empty for a second one of the same thing."""

    label: str
    per_s: float
    color: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a generator costs: cores by traces per second asked."""

    label: str
    cpu: Mapping[float, float]
    color: str
    style: str


def draw(rows: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Draw the *rows* of each part into the file at *path*, as SVG.

    A panel whose part is not there holds what other tools reach.
    """
    panels = {
        "Generated and encoded: spans/s of one core": generated_bars(rows),
        "Delivered: spans/s accepted, beside canned bodies": delivered_bars(rows),
    }
    heights = [len(bars) * BAR_IN + AROUND_IN for bars in panels.values()]
    heights.append(CURVES_IN + AROUND_IN + LEGEND_IN)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), facecolor="white")
        for place, (title, bars) in enumerate(panels.items()):
            _bars(_panel(figure, heights, place, title), bars)
        title = "CPU of the generating process by the rate asked"
        _curves(_panel(figure, heights, 2, title, below_in=LEGEND_IN), curves(rows))
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def generated_bars(rows: Mapping[str, Sequence[Any]]) -> list[Bar]:
    """Return the bars of the first panel, from top to bottom."""
    speeds = rows.get("generation", ())
    sdk = [Bar(f"SDK, {row.name}", row.sdk_per_s, OTHERS) for row in speeds[:1]]
    return [
        *(Bar(row.name, row.encoded_per_s, OURS) for row in speeds),
        *sdk,
        *(Bar(name, per_s, OTHERS, EARLIER) for name, per_s in others.GENERATED_PER_S.items()),
    ]


def delivered_bars(rows: Mapping[str, Sequence[Any]]) -> list[Bar]:
    """Return the bars of the second panel: ours and the ceiling, by endpoint and protocol."""
    bars = []
    for row in rows.get("delivery", ()):
        if row.compression == "none":
            name = f"{row.endpoint}, {row.protocol}{', own core' if row.apart else ''}"
            bars += [
                Bar(name, row.ours_per_s, OURS, f"{percent(row.ratio)} of canned"),
                Bar("", row.canned_per_s, CEILING, "canned"),
            ]
    return bars + [
        Bar(name, per_s, OTHERS, EARLIER) for name, per_s in others.DELIVERED_PER_S.items()
    ]


def _panel(
    figure: Figure, heights: Sequence[float], place: int, title: str, *, below_in: float = 0.0
) -> Axes:
    """Return the axes of the panel at *place* from the top, with *below_in* inches free below."""
    whole = sum(heights)
    bottom = sum(heights[place + 1 :]) + 0.5 + below_in
    height = heights[place] - AROUND_IN - below_in
    panel = figure.add_axes((LEFT, bottom / whole, 0.97 - LEFT, height / whole))
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_title(
        title, loc="left", fontsize=10.5, fontweight="bold", x=(0.02 - LEFT) / (0.97 - LEFT)
    )
    return panel


def _bars(panel: Axes, bars: Sequence[Bar]) -> None:
    places = range(len(bars))
    panel.barh(places, [bar.per_s for bar in bars], color=[bar.color for bar in bars], height=0.78)
    panel.set_yticks(places, [bar.label for bar in bars])
    panel.tick_params(axis="y", length=0)
    panel.invert_yaxis()
    # Room for what stands behind the longest bar.
    most = 1.35 * max(bar.per_s for bar in bars)
    panel.set_xlim(0, most)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M")
    for place, bar in zip(places, bars, strict=True):
        text = f"{count(bar.per_s)}{bar.note and ', '}{bar.note}"
        panel.text(bar.per_s + 0.01 * most, place, text, va="center", fontsize=8, color=FAINT)


def curves(rows: Mapping[str, Sequence[Any]]) -> list[Curve]:
    """Return the curves of the third panel."""
    reached = rows.get("rates", ())
    ours = [
        Curve(
            endpoint,
            {row.asked_per_s: row.cpu for row in reached if row.endpoint == endpoint},
            LINES[endpoint],
            "-",
        )
        for endpoint in dict.fromkeys(row.endpoint for row in reached)
    ]
    return [
        *ours,
        Curve("motel into a Collector, published", others.MOTEL_OTLP_CPU, FAINT, "--"),
        Curve("motel into stdout, published", others.MOTEL_STDOUT_CPU, FAINT, ":"),
    ]


def _curves(panel: Axes, curves: Sequence[Curve]) -> None:
    for curve in curves:
        panel.plot(
            list(curve.cpu),
            [100 * cpu for cpu in curve.cpu.values()],
            color=curve.color,
            linestyle=curve.style,
            marker="o",
            markersize=3.5,
            label=curve.label,
        )
    least = min(100 * cpu for curve in curves for cpu in curve.cpu.values())
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_yticks([tick for tick in CPU_TICKS if tick > least / 2.5])
    panel.minorticks_off()
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    panel.set_xlabel("traces/s asked, four spans each")
    panel.set_ylabel("of one core")
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.legend(
        frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=3
    )
