from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from benchmarks.delivery import Delivered
from benchmarks.generation import Speed
from benchmarks.plot import EARLIER, curves, delivered_bars, draw, generated_bars
from benchmarks.rates import Reached


def reached(endpoint: str, per_s: float, cpu: float) -> Reached:
    return Reached(
        endpoint,
        asked_per_s=per_s,
        reached_per_s=per_s,
        spans=1,
        accepted=1,
        lag_max_s=0.0,
        cpu=cpu,
        idle_cpu=0.0,
        added_cpu=cpu,
        endpoint_cpu=0.0,
    )


ROWS = {
    "generation": [Speed("four-services", 9e6, 5e6, 160.0, 30_000.0, 166.0)],
    "delivery": [
        Delivered("receiver", "grpc", "none", False, 1e6, 9e5, 0.9, 0.1, 0.9, 0.4, 0.8),
        Delivered("receiver", "grpc", "gzip", False, 1e6, 9e5, 0.9, 0.1, 0.9, 0.4, 0.8),
    ],
    "rates": [reached("discard://", 100, 0.01), reached("discard://", 1_000, 0.02)],
}


def texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_same_figures_are_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw(ROWS, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_the_picture_is_xml_with_its_text_as_text_and_no_date(tmp_path: Path) -> None:
    draw(ROWS, tmp_path / "plot.svg")
    shown = texts(tmp_path / "plot.svg")
    assert {"four-services", "receiver, grpc", "discard://"} <= set(shown)
    assert "900,000, 90 % of canned" in shown
    assert "date>" not in (tmp_path / "plot.svg").read_text()


def test_without_figures_what_others_reach_is_left(tmp_path: Path) -> None:
    draw({}, tmp_path / "plot.svg")
    shown = texts(tmp_path / "plot.svg")
    assert "motel into a Collector, published" in shown


def test_what_is_compressed_has_no_bar() -> None:
    ours = [bar.label for bar in delivered_bars(ROWS) if bar.note != EARLIER]
    assert ours == ["receiver, grpc", ""]


def test_the_sdk_stands_beside_the_first_topology() -> None:
    assert [bar.label for bar in generated_bars(ROWS)][:2] == [
        "four-services",
        "SDK, four-services",
    ]


def test_a_curve_is_what_one_endpoint_costs() -> None:
    assert curves(ROWS)[0].cpu == {100: 0.01, 1_000: 0.02}
