"""When a duration is written by percentiles: where a normal fits badly, and samples are enough."""

from __future__ import annotations

import numpy as np
import pytest

from motel_locust.commands.importing.draft import Statement
from motel_locust.commands.importing.durations import duration
from motel_locust.commands.importing.samples import Moments
from motel_locust.commands.importing.spectra import Spectra
from motel_locust.topology.percentiles import PercentileDistribution
from motel_locust.topology.quantities import parse_duration

MS = 1_000_000
LONG_TAIL = PercentileDistribution(
    (("p0", 4 * MS), ("p50", 18 * MS), ("p90", 40 * MS), ("p99", 400 * MS), ("p100", 2_000 * MS))
)


def told(values: np.ndarray) -> Statement:
    own, spectra = Moments(1), Spectra(1)
    for part in np.array_split(values.astype(np.int64), 3):
        group = np.zeros(part.size, np.int64)
        own.add(group, part)
        spectra.add(group, part)
    return duration(own, spectra, 0)


def percentiles(statement: Statement) -> dict[str, float]:
    """The percentiles that are written, in ms."""
    pairs = (pair.split(": ") for pair in statement.value.strip("{}").split(", "))
    return {name: parse_duration(text) / MS for name, text in pairs}


def normals(count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(count)).standard_normal(count)


@pytest.mark.parametrize(
    ("samples", "names"),
    [
        (300, ["p0", "p50", "p75", "p90", "p95", "p100"]),
        (2_000, ["p0", "p50", "p75", "p90", "p95", "p99", "p100"]),
        (50_000, ["p0", "p50", "p75", "p90", "p95", "p99", "p99.9", "p100"]),
    ],
)
def test_a_long_tail_is_told_by_percentiles_with_samples_enough(
    samples: int, names: list[str]
) -> None:
    statement = told(np.exp(1.3 * normals(samples)) * 10 * MS)
    found = percentiles(statement)
    assert list(found) == names
    assert found["p50"] == pytest.approx(10, rel=4 * 1.3 * 1.25 / samples**0.5 + 0.01)
    assert statement.margin.startswith("p50 ±")
    assert statement.margin.endswith(" %, not normal")
    assert statement.samples == samples


def test_a_cut_tail_ends_where_it_was_cut() -> None:
    quantiles = normals(20_000).tolist()
    found = percentiles(told(np.array([LONG_TAIL.at(each) for each in quantiles])))
    assert found.keys() >= {"p0", "p50", "p75", "p90", "p95", "p99", "p100"}
    assert (found["p0"], found["p100"]) == (4, 2_000)
    assert found["p90"] == pytest.approx(40, rel=0.05)
    assert found["p99"] == pytest.approx(400, rel=0.2)


@pytest.mark.parametrize(("share", "first"), [(0.3, "p75"), (0.12, "p90"), (0.02, "p99")])
def test_a_timeout_that_cuts_many_off_is_told_by_the_first_of_them(
    share: float, first: str
) -> None:
    tail = np.exp(1.3 * normals(20_000)) * 10 * MS
    longest = np.quantile(tail, 1 - share) // MS * MS
    found = percentiles(told(np.minimum(tail, longest)))
    assert list(found)[-2:] == [first, "p100"]
    assert found["p100"] == longest / MS
    assert found[first] == pytest.approx(longest / MS, rel=0.02)


@pytest.mark.parametrize("ratio", [0.5, 0.7, 1, 2, 5, 50])
@pytest.mark.parametrize("samples", [40, 1_000, 100_000])
def test_a_normal_stays_a_normal(ratio: float, samples: int) -> None:
    statement = told(np.maximum((ratio + normals(samples)) * MS, 0))
    assert "{" not in statement.value
    assert statement.value.endswith("s")


@pytest.mark.parametrize("samples", [1, 2, 99])
def test_few_samples_tell_no_percentiles(samples: int) -> None:
    assert "{" not in told(np.exp(2 * normals(samples)) * MS).value


def test_two_modes_are_told_by_percentiles() -> None:
    found = percentiles(
        told(np.where(np.arange(10_000) % 10, 1, 100) * (10 + normals(10_000)) * MS)
    )
    assert found["p50"] == pytest.approx(10.2, rel=0.02)
    assert found["p95"] == pytest.approx(1_000, rel=0.02)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([5 * MS] * 1_000, "5ms"),
        # More than half take no time: no percentile could say that.
        ([0] * 600 + [9 * MS] * 400, "-"),
        ([3 * MS] * 950 + [900 * MS] * 50, "-"),
    ],
)
def test_what_percentiles_cannot_say_stays_a_normal(values: list[int], written: str) -> None:
    found = told(np.array(values))
    assert "{" not in found.value
    assert written in found.value
