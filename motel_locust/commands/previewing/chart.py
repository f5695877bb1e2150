"""The rate over time as a picture of 800 x 400, scenarios as bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.commands.checking import amounts
from motel_locust.commands.previewing import svg
from motel_locust.commands.previewing.scales import (
    greatest_of_scale,
    rate_label,
    time_step_ns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.commands.previewing.series import Band, Series

WIDTH: Final = 800
HEIGHT: Final = 400
TOP: Final = 40
RIGHT: Final = 20
BOTTOM: Final = 50
LEFT: Final = 70
LINES: Final = 6
NAME_STEP: Final = 12

_PLOT_WIDTH: Final = WIDTH - LEFT - RIGHT
_PLOT_HEIGHT: Final = HEIGHT - TOP - BOTTOM
# Names of more scenarios than fit below one another begin again at the top.
_NAMES: Final = (_PLOT_HEIGHT - 2 * NAME_STEP) // NAME_STEP


def chart(series: Series, *, title: str) -> svg.Picture:
    """Return the picture of *series*."""
    parts = [
        svg.words(LEFT, TOP - 16, title, classes="title"),
        *_bands(series),
        *_grid(series),
        *_line(series),
        *_names(series),
    ]
    return svg.Picture(WIDTH, HEIGHT, "\n".join(parts))


def _x(series: Series, t_ns: float) -> float:
    return LEFT + _PLOT_WIDTH * t_ns / series.until_ns


def _y(series: Series, per_s: float) -> float:
    return TOP + _PLOT_HEIGHT * (1 - per_s / greatest_of_scale(series))


def _grid(series: Series) -> Iterator[str]:
    for line in range(LINES):
        per_s = greatest_of_scale(series) * line / (LINES - 1)
        y = svg.number(_y(series, per_s))
        yield f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
        label = rate_label(per_s, series.unit)
        yield svg.words(LEFT - 8, _y(series, per_s) + 4, label, classes="faint", anchor="end")
    yield svg.words(8, TOP - 16, f"{series.unit}/s", classes="faint")
    step_ns = time_step_ns(series.until_ns)
    for t_ns in range(0, series.until_ns + 1, step_ns):
        x, base = _x(series, t_ns), HEIGHT - BOTTOM
        yield f'<path class="grid" d="M{svg.number(x)} {base}v5"/>'
        yield svg.words(x, base + 20, amounts.clock(t_ns), classes="faint", anchor="middle")


def _line(series: Series) -> Iterator[str]:
    points: list[str] = []
    for t_ns, per_s in zip(series.t_ns.tolist(), series.per_s.tolist(), strict=True):
        point = f"{svg.number(_x(series, t_ns))} {svg.number(_y(series, per_s))}"
        if not points or point != points[-1]:
            points.append(point)
    line, base = "L".join(points), HEIGHT - BOTTOM
    yield f'<path class="area" d="M{LEFT} {base}L{line}L{points[-1].split()[0]} {base}Z"/>'
    yield f'<path class="rate" d="M{line}"/>'
    x, y = _x(series, series.greatest_at_ns), _y(series, series.greatest)
    yield f'<circle class="dot" cx="{svg.number(x)}" cy="{svg.number(y)}" r="3"/>'
    told = f"peak {peak_label(series)}"
    yield svg.words(WIDTH - RIGHT, TOP - 16, told, classes="faint", anchor="end")


def peak_label(series: Series) -> str:
    """Return the highest rate of *series* and when it is reached."""
    rate = amounts.size if series.unit == "bytes" else amounts.rate
    at = amounts.clock(series.greatest_at_ns)
    return f"{rate(series.greatest)}{'' if series.unit == 'bytes' else ' ' + series.unit}/s at {at}"


def _bands(series: Series) -> Iterator[str]:
    for number, band in enumerate(series.bands):
        x = _x(series, band.start_ns)
        width = max(1.0, _x(series, band.stop_ns) - x)
        place = f'x="{svg.number(x)}" y="{TOP}" width="{svg.number(width)}" height="{_PLOT_HEIGHT}"'
        window = f"{amounts.clock(band.start_ns)} to {amounts.clock(band.stop_ns)}"
        hint = svg.tooltip(f"{band.name}: {window}")
        colour = svg.COLOURS[number % len(svg.COLOURS)]
        yield f'<rect class="band" {place} fill="{colour}">{hint}</rect>'


def _names(series: Series) -> Iterator[str]:
    for number, band in enumerate(series.bands):
        y = TOP + NAME_STEP * (1 + number % _NAMES)
        yield _name(series, band, y)


def _name(series: Series, band: Band, y: float) -> str:
    x = _x(series, band.start_ns) + 4
    if x + svg.text_width(band.name, 11) <= WIDTH - RIGHT:
        return svg.words(x, y, band.name, classes="small halo")
    end = min(_x(series, band.stop_ns), WIDTH - RIGHT) - 4
    return svg.words(end, y, band.name, classes="small halo", anchor="end")
