"""A call graph as a picture: a box for each operation, callers to the left of whom they call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from motel_locust.commands.checking import amounts
from motel_locust.commands.previewing import svg
from motel_locust.commands.previewing.layers import Layout, lay_out
from motel_locust.commands.previewing.plain import circumstances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.commands.previewing.graph import Arrow, Box, CallGraph
    from motel_locust.commands.previewing.layers import Place

BOX_HEIGHT: Final = 58
MARGIN: Final = 20
HEAD: Final = 74
_GAP: Final = 16
_BEND_HEIGHT: Final = 18
_LAYER_GAP: Final = 64
_PADDING: Final = 12
_LEAST_WIDTH: Final = 120
_LONGEST_NAME: Final = 44
_TIP: Final = 7

_LEGEND: Final = "in a box: spans/s, share of errors, median and (p95) latency; dashed: async"

# An operation that fails more often than this is worth a second look.
_MANY_ERRORS: Final = 0.01


def draw_graph(graph: CallGraph, *, title: str) -> svg.Picture:
    """Return the picture of *graph*."""
    layout = lay_out(
        [box.ref for box in graph.boxes],
        [(arrow.caller, arrow.callee) for arrow in graph.arrows],
        box_height=BOX_HEIGHT + _GAP,
        bend_height=_BEND_HEIGHT,
    )
    boxes = {box.ref: box for box in graph.boxes}
    columns = _columns(layout, boxes)
    parts = [
        svg.words(MARGIN, 24, title, classes="title"),
        svg.words(MARGIN, 42, circumstances(graph), classes="faint"),
        svg.words(MARGIN, 58, _LEGEND, classes="small faint"),
        *_arrows(graph, layout, columns),
    ]
    colour = _colours(graph)
    for layer, (left, width) in zip(layout.layers, columns, strict=True):
        for place in layer:
            if isinstance(place, str):
                top = HEAD + layout.middle[place] - BOX_HEIGHT / 2
                parts.append(_box(boxes[place], left, top, width, colour[boxes[place].service]))
    last_left, last_width = columns[-1]
    lowest = max(
        layout.middle[place] + (BOX_HEIGHT / 2 if isinstance(place, str) else 0)
        for layer in layout.layers
        for place in layer
    )
    legend = 2 * MARGIN + svg.text_width(_LEGEND, 11)
    width = max(last_left + last_width + MARGIN, legend)
    return svg.Picture(width, HEAD + lowest + MARGIN, "\n".join(parts))


def _columns(layout: Layout, boxes: Mapping[str, Box]) -> list[tuple[float, float]]:
    """Return the left edge and the width of each layer."""
    columns, left = [], float(MARGIN)
    for layer in layout.layers:
        width = max(
            (_width(boxes[place]) for place in layer if isinstance(place, str)),
            default=float(_LEAST_WIDTH),
        )
        columns.append((left, width))
        left += width + _LAYER_GAP
    return columns


def _width(box: Box) -> float:
    lines = (
        svg.text_width(_short(box.service), 11),
        svg.text_width(_short(box.name), 13) * 1.05,
        svg.text_width(_figures(box), 11),
    )
    return max(_LEAST_WIDTH, *(line + 2 * _PADDING for line in lines))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _figures(box: Box) -> str:
    return " · ".join(part for part, _ in _labels(box))


def _labels(box: Box) -> list[tuple[str, bool]]:
    """Return rate, errors and latency of *box*, and whether each is bad."""
    found = [(f"{amounts.rate(box.spans_per_s)}/s", False)]
    if box.errors:
        found.append((f"{amounts.share(box.errors)} err", round(box.errors, 9) > _MANY_ERRORS))
    if box.latency is not None:
        p50, p95 = (amounts.duration(each) for each in (box.latency.p50, box.latency.p95))
        found.append((f"{p50} ({p95})" if p50 != p95 else p50, False))
    return found


def _colours(graph: CallGraph) -> dict[str, str]:
    services = dict.fromkeys(box.service for box in graph.boxes)
    return {
        service: svg.COLOURS[number % len(svg.COLOURS)] for number, service in enumerate(services)
    }


def _box(box: Box, left: float, top: float, width: float, colour: str) -> str:
    place = f'x="{svg.number(left)}" y="{svg.number(top)}" height="{BOX_HEIGHT}"'
    inner, base = left + _PADDING, svg.number(top + 49)
    figures = " · ".join(
        f'<tspan class="bad">{label}</tspan>' if bad else label for label, bad in _labels(box)
    )
    classes = ' class="unused"' if not box.spans_per_s else ""
    return "\n".join(
        (
            f"<g{classes}>{svg.tooltip(box.ref)}",
            f'<rect class="box" {place} width="{svg.number(width)}" rx="6"/>',
            f'<rect {place} width="4" rx="2" fill="{colour}"/>',
            svg.words(inner, top + 16, _short(box.service), classes="small faint"),
            svg.words(inner, top + 33, _short(box.name), classes="name"),
            f'<text x="{svg.number(inner)}" y="{base}" class="small">{figures}</text>',
            "</g>",
        )
    )


def _arrows(graph: CallGraph, layout: Layout, columns: list[tuple[float, float]]) -> Iterator[str]:
    layer_of = {place: number for number, places in enumerate(layout.layers) for place in places}
    most = max((arrow.spans_per_s for arrow in graph.arrows), default=0.0)
    for arrow, route in zip(graph.arrows, layout.routes, strict=True):
        path = _path(route, layout.middle, [columns[layer_of[place]] for place in route])
        classes = "call" if arrow.awaited else "call async"
        share = arrow.spans_per_s / most if most else 0.0
        end = columns[layer_of[route[-1]]][0]
        y = HEAD + layout.middle[route[-1]]
        tip = f"M{svg.number(end)} {svg.number(y)}l-{_TIP} -4v8Z"
        faint = "" if arrow.spans_per_s else ' class="unused"'
        yield (
            f"<g{faint}>{svg.tooltip(_hint(arrow))}"
            f'<path class="{classes}" stroke-width="{svg.number(1 + 2.5 * math.sqrt(share))}"'
            f' d="{path}"/><path class="tip" d="{tip}"/></g>'
        )


def _path(
    route: tuple[Place, ...],
    middle: Mapping[Place, float],
    columns: list[tuple[float, float]],
) -> str:
    """Return curves between layers, and straight lines through those that are only passed."""
    left, width = columns[0]
    x, y = left + width, HEAD + middle[route[0]]
    path = [f"M{svg.number(x)} {svg.number(y)}"]
    for place, (left, width) in zip(route[1:], columns[1:], strict=True):
        last = isinstance(place, str)
        to_x, to_y = left - (_TIP if last else 0), HEAD + middle[place]
        half = (to_x - x) / 2
        bent = (x + half, y, to_x - half, to_y, to_x, to_y)
        path.append("C" + " ".join(map(svg.number, bent)))
        x, y = to_x, to_y
        if not last:
            x = left + width
            path.append(f"H{svg.number(x)}")
    return "".join(path)


def _hint(arrow: Arrow) -> str:
    calls = "; ".join(arrow.words)
    return f"{arrow.caller} > {arrow.callee}: {amounts.rate(arrow.spans_per_s)}/s ({calls})"
