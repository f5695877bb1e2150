from __future__ import annotations

import pytest

from motel_locust.load.collection import collection
from motel_locust.load.run_options import plain_values
from motel_locust.otlp.settings import SettingsError

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
PREFERENCE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({}, {}, (60 * SECOND_NS, "cumulative")),
        ({}, {INTERVAL: " 1500 ", PREFERENCE: "Delta"}, (1_500_000_000, "delta")),
        ({}, {INTERVAL: "", PREFERENCE: "lowmemory"}, (60 * SECOND_NS, "delta")),
        (
            {"metrics_interval": "2s", "metrics_temporality": "cumulative"},
            {INTERVAL: "x", PREFERENCE: "x"},
            (2 * SECOND_NS, "cumulative"),
        ),
        ({"metrics_interval": "10ms"}, {}, (10_000_000, "cumulative")),
    ],
)
def test_options_win_over_variables(given: dict, environ: dict, expected: tuple) -> None:
    assert collection(plain_values(given), environ) == expected


@pytest.mark.parametrize(
    ("given", "environ", "problem"),
    [
        ({}, {INTERVAL: "60s"}, f'{INTERVAL}: "60s" is no whole number of milliseconds'),
        ({}, {INTERVAL: "9"}, f"{INTERVAL}: 9ms is too short; write at least 10ms"),
        (
            {"metrics_interval": "0s"},
            {},
            "--metrics-interval: 0s is too short; write at least 10ms",
        ),
        (
            {},
            {PREFERENCE: "deltas"},
            f'{PREFERENCE}: "deltas" is not known; write cumulative, delta or lowmemory',
        ),
    ],
)
def test_what_cannot_be_is_named(given: dict, environ: dict, problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        collection(plain_values(given), environ)
    assert str(error.value) == problem
