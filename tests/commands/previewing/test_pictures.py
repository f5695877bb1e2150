from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from motel_locust.commands.checking.sampling import Draw, tell_nobody
from motel_locust.commands.previewing import svg
from motel_locust.commands.previewing.chart import chart
from motel_locust.commands.previewing.drawing import draw_graph
from motel_locust.commands.previewing.graph import CallGraph
from motel_locust.commands.previewing.series import Band, Series
from motel_locust.commands.previewing.view import View, Wish, view
from motel_locust.topology.reading import read_topology

EXAMPLES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"
SECOND_NS = 1_000_000_000


def viewed(path: Path, wish: Wish) -> View:
    made = read_topology(str(path)).topology
    return view(made, Draw(1, "golden", 10_000), wish, advance=tell_nobody)


def parsed(*pictures: svg.Picture) -> ElementTree.Element:
    return ElementTree.fromstring(svg.page(pictures))


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_pictures_of_the_examples_are_whole(path: Path) -> None:
    found = viewed(path, Wish(samples=20, unit="spans"))
    assert found.rate is not None
    assert found.calls is not None
    graph = draw_graph(found.calls, title=path.name)
    root = parsed(chart(found.rate, title=path.name), graph)
    written = ElementTree.tostring(root, encoding="unicode")
    assert not re.search(r"\b(nan|inf)\b", written)
    told = texts(root)
    for box in found.calls.boxes:
        assert box.name in told
        assert box.service in told
    for band in found.rate.bands:
        assert band.name in told
    boxes = [each for each in root.iter(f"{SVG}rect") if each.get("class") == "box"]
    assert len(boxes) == len(found.calls.boxes)
    rectangles = [
        tuple(float(each.attrib[name]) for name in ("x", "y", "width", "height")) for each in boxes
    ]
    for (x, y, width, height), (other_x, other_y, other_width, other_height) in combinations(
        rectangles, 2
    ):
        beside = x + width < other_x or other_x + other_width < x
        above = y + height < other_y or other_y + other_height < y
        assert beside or above
    for x, y, width, height in rectangles:
        assert 0 <= x < x + width <= graph.width
        assert 0 <= y < y + height <= graph.height
    calls = [each for each in root.iter(f"{SVG}path") if "call" in each.get("class", "")]
    assert len(calls) == len(found.calls.arrows)


def flat(*bands: Band, per_s: float = 5.0) -> Series:
    t_ns = np.array([0, 10 * SECOND_NS - 1])
    return Series("traces", 10 * SECOND_NS, t_ns, np.full(2, per_s), bands)


def test_a_rate_of_nothing_can_be_drawn() -> None:
    assert "nan" not in chart(flat(per_s=0.0), title="t").content


def test_names_are_escaped_and_what_xml_cannot_hold_is_replaced() -> None:
    band = Band('<b> & "\x00', 0, SECOND_NS)
    told = texts(parsed(chart(flat(band), title="a<b>.yaml")))
    assert "a<b>.yaml" in told
    assert '<b> & "\ufffd' in told


def test_a_band_is_seen_however_short_and_stays_inside() -> None:
    bands = (Band("short", 0, 1), Band("at the very end", 9 * SECOND_NS, 10 * SECOND_NS))
    root = parsed(chart(flat(*bands), title="t"))
    drawn = [each.attrib for each in root.iter(f"{SVG}rect") if each.get("class") == "band"]
    assert drawn[0]["width"] == "1"
    assert float(drawn[1]["x"]) + float(drawn[1]["width"]) == 780
    [name] = [each for each in root.iter(f"{SVG}text") if each.text == "at the very end"]
    assert name.get("text-anchor") == "end"


def test_a_scale_has_six_lines_and_some_times() -> None:
    root = parsed(chart(flat(), title="t"))
    assert {"0", "1.1", "2.2", "3.3", "4.4", "5.5"} <= set(texts(root))
    assert {"5s", "10s"} <= set(texts(root))


def test_a_picture_is_light_or_dark_as_the_screen_is_and_loads_nothing() -> None:
    page = svg.page([chart(flat(), title="t")])
    assert "@media (prefers-color-scheme:dark)" in page
    assert "url(" not in page
    assert "<script" not in page
    assert page.count("http") == 1  # the name of SVG itself


def test_long_names_are_cut_and_told_in_full_by_the_pointer() -> None:
    found = viewed(EXAMPLES[0], Wish(shown="graph", samples=5))
    assert found.rate is None
    assert found.calls is not None
    long = replace(found.calls.boxes[0], name="x" * 100, ref="s." + "x" * 100)
    root = parsed(draw_graph(CallGraph("baseline", 1.0, (long,), ()), title="t"))
    assert "x" * 43 + "…" in texts(root)
    assert "s." + "x" * 100 in ["".join(each.itertext()) for each in root.iter(f"{SVG}title")]


def test_an_operation_that_often_fails_stands_out() -> None:
    found = viewed(
        next(path for path in EXAMPLES if path.stem == "shop"),
        Wish(samples=5, at_ns=160 * SECOND_NS),
    )
    assert found.calls is not None
    root = parsed(draw_graph(found.calls, title="t"))
    bad = [each.text for each in root.iter(f"{SVG}tspan") if each.get("class") == "bad"]
    assert "100 % err" in bad
