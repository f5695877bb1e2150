from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motel_locust.commands.checking import amounts
from motel_locust.commands.checking.sampling import Draw
from motel_locust.commands.checking.sets import scenario_set, scenario_sets
from motel_locust.commands.checking.volume import estimate
from motel_locust.commands.previewing.scales import rate_label, time_step_ns
from motel_locust.commands.previewing.series import series, step_ns
from motel_locust.topology.model import Topology
from tests.engine.topologies import topology

SECOND_NS = 1_000_000_000
ONE = {
    "s": {
        "operations": {
            "top": {"duration": "1ms", "calls": ["s.leaf"]},
            "leaf": {"duration": "1ms"},
        }
    }
}


def made(*scenarios: dict[str, Any], **traffic: Any) -> Topology:
    return topology(ONE, traffic={"rate": "10/s", **traffic}, scenarios=list(scenarios))


@pytest.mark.parametrize(
    ("length_s", "step_s"),
    [(300, 1), (600, 1), (601, 2), (1800, 2), (1801, 5), (100, 1 / 3), (0.3, 0.001), (86_400, 5)],
)
def test_steps_are_a_300th_with_a_limit(length_s: float, step_s: float) -> None:
    assert step_ns(int(length_s * SECOND_NS)) == pytest.approx(step_s * SECOND_NS)


def test_a_year_has_no_more_instants_than_a_picture_can_show() -> None:
    year_ns = 365 * 86_400 * SECOND_NS
    assert series(made(), year_ns, unit="traces", volumes={}).t_ns.size < 25_000


def test_bands_are_clipped_and_later_ones_left_out() -> None:
    found = series(
        made(
            {"name": "long", "at": "5s", "duration": "1h"},
            {"at": "2s", "duration": "1s"},
            {"name": "late", "at": "10s", "duration": "1s"},
        ),
        10 * SECOND_NS,
        unit="traces",
        volumes={},
    )
    windows = [
        (band.name, band.start_ns // SECOND_NS, band.stop_ns // SECOND_NS) for band in found.bands
    ]
    assert windows == [("long", 5, 10), ("scenario 2", 2, 3)]


def test_the_peak_is_found_between_steps() -> None:
    burst = {"burst_interval": "7s", "burst_duration": "1ms", "burst_multiplier": 9}
    found = series(made(pattern="bursty", **burst), 600 * SECOND_NS, unit="traces", volumes={})
    assert (found.greatest, found.greatest_at_ns) == (90, 0)
    assert np.count_nonzero(found.per_s == 90) >= 85


def test_spans_and_bytes_are_those_of_the_active_set() -> None:
    topology_ = made(
        {"at": "1s", "duration": "1s", "override": {"s.top": {"remove_calls": ["s.leaf"]}}}
    )
    draw = Draw(1, "", 100)
    volumes = {
        each.active: estimate(topology_, each, draw, traces=5) for each in scenario_sets(topology_)
    }
    spans = series(topology_, 3 * SECOND_NS, unit="spans", volumes=volumes, factor=2)
    during = (spans.t_ns >= SECOND_NS) & (spans.t_ns < 2 * SECOND_NS)
    assert set(spans.per_s[during].tolist()) == {20.0}
    assert set(spans.per_s[~during].tolist()) == {40.0}
    size = series(topology_, 3 * SECOND_NS, unit="bytes", volumes=volumes)
    assert size.greatest == pytest.approx(10 * volumes[()].size)
    assert volumes[()].scenarios == scenario_set(topology_, ())


@pytest.mark.parametrize(
    ("t_ns", "label"),
    [
        (0, "0"),
        (500_000_000, "0.5s"),
        (45 * SECOND_NS, "45s"),
        (120 * SECOND_NS, "2m"),
        (150 * SECOND_NS, "2m30s"),
        (5400 * SECOND_NS, "1h30m"),
        (59_999_999_999, "1m"),
    ],
)
def test_instants_are_told_as_durations_are_written(t_ns: int, label: str) -> None:
    assert amounts.clock(t_ns) == label


@pytest.mark.parametrize(
    ("per_s", "label"),
    [(0, "0"), (40, "40"), (7.5, "7.5"), (33.0, "33"), (999.94, "999.9"), (5500, "5.5k")],
)
def test_rates_are_labelled_shortly(per_s: float, label: str) -> None:
    assert rate_label(per_s, "traces") == label
    assert rate_label(5500, "bytes") == "5.5 kB"


@pytest.mark.parametrize("exponent", range(19))
@pytest.mark.parametrize("first", [1, 3, 9])
def test_there_are_a_few_labels_of_time_at_any_length(exponent: int, first: int) -> None:
    until_ns = min(first * 10**exponent, 1 << 62)
    labels = until_ns // time_step_ns(until_ns) + 1
    assert 1 <= labels <= 11


@pytest.mark.parametrize(
    ("count_ns", "told"),
    [(0, "0 ns"), (999, "999 ns"), (1500, "1.5 µs"), (2e6, "2 ms"), (3e9, "3 s")],
)
def test_durations_have_their_unit(count_ns: float, told: str) -> None:
    assert amounts.duration(count_ns) == told


@pytest.mark.parametrize(
    ("per_s", "told", "about"),
    [(0.123456, "0.123", "0"), (12.34, "12.3", "12"), (1234.5, "1,234", "1,200")],
)
def test_rates_have_the_digits_that_matter(per_s: float, told: str, about: str) -> None:
    assert amounts.rate(per_s) == told
    assert amounts.about(per_s) == about
