from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.load.charts import CHARTS, clock, nice_top, number
from motel_locust.load.history import History
from tests.load.examples import figures


def lived(seconds: int, **others: object) -> History:
    history = History()
    for second in range(1, seconds + 1):
        history.observe(second, {"one": figures(accepted=400 * second, **others)})
    return history


@pytest.mark.parametrize("seconds", [0, 1, 2, 1000])
@pytest.mark.parametrize("live", [False, True])
def test_a_chart_is_well_formed_and_draws_each_line_inside(seconds: int, live: bool) -> None:
    history = lived(seconds, asked_per_s=90.0, scenarios=("<outage>",))
    for chart in CHARTS:
        figure = ElementTree.fromstring(chart.html(history.rates(240), history.spells, live=live))
        lines = figure.findall("svg/polyline")
        assert len(lines) == len(chart.lines)
        for line in lines:
            points = [tuple(map(float, each.split(","))) for each in line.get("points").split()]
            assert len(points) == seconds if seconds < 240 else 120 < len(points) <= 240
            assert all(0 <= x <= 640 and 0 <= y <= 220 for x, y in points)
        assert len(figure.findall("figcaption/ul/li")) == len(chart.lines)
        assert ("data-texts" in figure.attrib) == live


def test_the_legend_names_the_latest_values() -> None:
    drawn = CHARTS[0].html(lived(10, asked_per_s=90.0).rates(240))
    assert "<span>reached</span> <b>100</b>" in drawn
    assert "<span>asked</span> <b>90</b>" in drawn


@given(st.floats(1e-6, 1e12))
def test_the_scale_is_round_and_reaches_the_greatest_value(most: float) -> None:
    top = nice_top(most, least=1e-6)
    assert most <= top * (1 + 1e-9) <= most * 1.7


def test_the_scale_has_labels_that_say_what_they_mark() -> None:
    charts = {chart.key: chart for chart in CHARTS}
    drawn = charts["spans"].html(lived(10).rates(240))
    assert re.findall(r'class="y"[^>]*>([^<]*)<', drawn) == ["0", "100", "200", "300", "400"]
    idle = charts["lag"].html(lived(10).rates(240))
    assert re.findall(r'class="y"[^>]*>([^<]*)<', idle) == [
        "0.000", "0.025", "0.050", "0.075", "0.100",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (12.34, "12.3"), (10.0, "10"), (0.5, "0.5"), (0.00123, "0.0012")],
)
def test_numbers_have_the_decimals_that_are_worth_reading(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.2, "1:05"), (7201, "2:00:01")])
def test_times_are_those_since_the_beginning(seconds: float, text: str) -> None:
    assert clock(seconds) == text
