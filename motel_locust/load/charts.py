"""Lines over time as SVG: no script, no network, and colours that the page decides.

The same drawing stands in the live page and in the HTML report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from motel_locust.load.history import Rates, Spell
    from motel_locust.otlp.ledger import Signal

# In units of the drawing, which is stretched to the width there is.
WIDTH: Final = 640
HEIGHT: Final = 220
LEFT: Final = 58
RIGHT: Final = 12
TOP: Final = 10
BOTTOM: Final = 24

# How wide a letter is, at the most.
LETTER: Final = 6

# More points than this cannot be told apart at that width.
POINTS: Final = 240
Y_STEPS: Final = 4
X_STEPS: Final = 6

SECONDS: Final = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its name, the attribute of the rates, and its colour's name."""

    name: str
    attribute: str
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of some rates over time."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    least: float = 1.0
    """What the scale reaches at the least, so that a little noise looks like little."""
    signals: tuple[Signal, ...] = ()
    """It is drawn where one of these is sent; empty: always."""

    def html(
        self, rates: Sequence[Rates], spells: Iterable[Spell] = (), *, live: bool = False
    ) -> str:
        """Return the chart as a figure; *live* adds what a script needs to name its values."""
        columns = [[getattr(rate, line.attribute) for rate in rates] for line in self.lines]
        top = nice_top(max((max(column) for column in columns if column), default=0.0), self.least)
        end_s = max((rate.at_s for rate in rates), default=0.0) or 1.0
        xs = [LEFT + rate.at_s / end_s * (WIDTH - LEFT - RIGHT) for rate in rates]
        drawn = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">',
            *_bands(spells, end_s),
            *_grid(top),
            *_clock(end_s),
        ]
        legend = []
        # The first line is the most important one, so it is drawn last.
        for line, column in reversed(list(zip(self.lines, columns, strict=True))):
            ys = [_y(value, top) for value in column]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
            drawn.append(f'<polyline class="{line.colour}" points="{points}"/>')
            last = number(column[-1]) if column else "–"
            legend.append(
                f'<li class="{line.colour}"><span>{escape(line.name)}</span> <b>{last}</b></li>'
            )
        drawn.append("</svg>")
        values = _values(self.lines, columns, rates, end_s) if live else ""
        return (
            f'<figure data-key="{self.key}"{values}><figcaption>{escape(self.title)}'
            f" <small>{escape(self.unit)}</small><ul>{''.join(reversed(legend))}</ul></figcaption>"
            f"{''.join(drawn)}</figure>"
        )


CHARTS: Final = (
    Chart(
        "rate",
        "Rate asked and reached",
        "traces/s",
        (Line("reached", "traces_per_s", "good"), Line("asked", "asked_per_s", "asked")),
    ),
    Chart("spans", "Spans", "spans/s", (Line("released", "spans_per_s", "plain"),)),
    Chart(
        "records",
        "Log records",
        "records/s",
        (Line("released", "log_records_per_s", "plain"),),
        signals=("logs",),
    ),
    Chart(
        "points",
        "Data points",
        "points/s",
        (Line("released", "data_points_per_s", "plain"),),
        signals=("metrics",),
    ),
    Chart(
        "outcomes",
        "How items ended",
        "items/s",
        (
            Line("accepted", "accepted_per_s", "good"),
            Line("rejected", "rejected_per_s", "rejected"),
            Line("failed", "failed_per_s", "failed"),
            Line("dropped", "dropped_per_s", "dropped"),
        ),
    ),
    Chart("lag", "Lag behind the schedule", "s", (Line("lag", "lag_s", "dropped"),), least=0.1),
)


def nice_top(most: float, least: float = 1.0) -> float:
    """Return a round number at or above both, whose quarters are round as well."""
    most = max(most, least)
    power = 10.0 ** math.floor(math.log10(most))
    tops = (step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10))
    return next(top for top in tops if most <= top * (1 + 1e-9))


def number(value: float) -> str:
    """Return *value* with as many decimals as are worth reading."""
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    text = f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.4f}"
    return text.rstrip("0").rstrip(".")


def clock(seconds: float) -> str:
    """Return a time since the beginning, such as 1:05 or 2:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _bands(spells: Iterable[Spell], end_s: float) -> Iterator[str]:
    """Yield a shade for each stretch in which a scenario was active, with its name if it fits."""
    scale, tall = (WIDTH - LEFT - RIGHT) / end_s, HEIGHT - TOP - BOTTOM
    for nth, spell in enumerate(spells):
        x = LEFT + min(spell.from_s, end_s) * scale
        wide = max(1.0, LEFT + min(spell.to_s, end_s) * scale - x)
        name = escape(spell.scenario)
        yield (
            f'<rect class="band" x="{x:.1f}" y="{TOP}" width="{wide:.1f}" height="{tall}">'
            f"<title>{name}</title></rect>"
        )
        if wide > len(spell.scenario) * LETTER:
            # Scenarios that overlap have their names below each other.
            y = TOP + LETTER * 2 * (1 + nth % 3)
            yield f'<text class="band-name" x="{x + 4:.1f}" y="{y}">{name}</text>'


def _grid(top: float) -> Iterator[str]:
    decimals = max(0, 2 - math.floor(math.log10(top)))
    labels = [f"{top * step / Y_STEPS:,.{decimals}f}" for step in range(Y_STEPS + 1)]
    while decimals and all(label.endswith("0") for label in labels):
        decimals, labels = decimals - 1, [label[:-1].rstrip(".") for label in labels]
    for step, label in enumerate(labels):
        value = top * step / Y_STEPS
        y = _y(value, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="y" x="{LEFT - 8}" y="{y + 4:.1f}">{label}</text>'


def _clock(end_s: float) -> Iterator[str]:
    step_s = next((each for each in SECONDS if end_s / each <= X_STEPS), 86_400)
    for at_s in range(0, int(end_s) + 1, step_s):
        x = LEFT + at_s / end_s * (WIDTH - LEFT - RIGHT)
        yield f'<text class="x" x="{x:.1f}" y="{HEIGHT - 6}">{clock(at_s)}</text>'


def _values(
    lines: Sequence[Line], columns: Sequence[Sequence[float]], rates: Sequence[Rates], end_s: float
) -> str:
    """Return what is drawn as attributes: times as shares of the width, and shown texts."""
    left, wide = LEFT / WIDTH, (WIDTH - LEFT - RIGHT) / WIDTH
    places = ",".join(f"{left + rate.at_s / end_s * wide:.4f}" for rate in rates)
    texts = "|".join(
        f"{clock(rate.at_s)};"
        + ";".join(
            f"{line.name} {number(value)}" for line, value in zip(lines, values, strict=True)
        )
        for rate, values in zip(rates, zip(*columns, strict=True), strict=True)
    )
    return f' data-places="{places}" data-texts="{escape(texts)}"'
