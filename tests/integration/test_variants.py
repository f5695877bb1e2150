"""Variants as a real Collector has them, and as its spanmetrics connector sees them."""

from __future__ import annotations

from collections import defaultdict
from math import sqrt
from typing import TYPE_CHECKING, Any

from tests.integration.child import ROOT
from tests.integration.played import durations_ms, failed, ref, root_of, traces_of
from tests.oracles.contents import variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.collected import CollectedMetric, CollectedSpan
    from tests.integration.collector import Collector
    from tests.integration.locust_runs import Locusts

EXAMPLE = ROOT / "topologies" / "variants.yaml"

Series = tuple[str, str | None]
"""Ref and variant."""


def test_shares_and_latencies_of_variants(
    locust: Locusts, collector: Callable[..., Collector]
) -> None:
    sink = collector(metrics=True, span_metrics=True)
    finished = locust.run(
        *("--topology", EXAMPLE, "--host", sink.endpoint, "--headless", "--rate", "10000/s"),
        *("--users", "1", "--run-time", "5s", "--seed", "1"),
    )
    assert finished.code == 0, finished.stderr
    sink.wait_for_span_metrics()
    sink.stop()
    spans = sink.spans()
    assert len(spans) == finished.ledger["generated"] >= 100_000

    traces = traces_of(spans)
    found: dict[Series, list[CollectedSpan]] = defaultdict(list)
    for each in spans:
        found[ref(each), variant(each.span)].append(each)
    get, charge, write = "storefront.GET /checkout", "payment.charge", "ledger.write"
    assert found.keys() == {
        *((get, "us"), (get, "eu")),
        *((charge, "v126"), (charge, "v127")),
        *((write, None), (write, "far")),
    }
    far = found[write, "far"]
    new = found[charge, "v127"]
    old = found[charge, "v126"]
    shares = {
        "visitors from Europe": (len(found[get, "eu"]), len(traces), 0.25),
        "charges by the new version": (len(new), len(traces), 0.05),
        "its failures": (sum(map(failed, new)), len(new), 0.2),
        "failures of the old one": (sum(map(failed, old)), len(old), 0.002),
        "far writes above p50": (sum(ms > 90 for ms in durations_ms(far)), len(far), 0.5),
        "far writes above p99": (sum(ms > 300 for ms in durations_ms(far)), len(far), 0.01),
    }
    for what, (part, of, share) in shares.items():
        assert abs(part / of - share) <= 4 * sqrt(share * (1 - share) / of), what

    for trace in traces:
        came_from_afar = variant(root_of(trace).span) == "eu"
        assert {variant(each.span) == "far" for each in trace if ref(each) == write} == {
            came_from_afar
        }

    seen = histograms(sink.span_metrics())
    assert seen.keys() == found.keys()
    for series, (count, sum_ms) in seen.items():
        took_ms = durations_ms(found[series])
        assert count == len(took_ms)
        assert abs(sum_ms - sum(took_ms)) <= 1e-6 * sum_ms


def histograms(metrics: list[CollectedMetric]) -> dict[Series, tuple[int, float]]:
    """Return what the connector counted: spans and the sum of their ms, whatever their status."""
    last: dict[tuple[str, str], tuple[Series, Any]] = {}
    for each in metrics:
        if each.metric.name.endswith("duration"):
            for point in each.points:
                named = {each.key: each.value.string_value for each in point.attributes}
                series = f"{each.service}.{named['span.name']}", named.get("synth.variant")
                last[each.service, str(point.attributes)] = series, point
    found: dict[Series, tuple[int, float]] = {}
    for series, point in last.values():
        count, sum_ms = found.get(series, (0, 0.0))
        found[series] = count + point.count, sum_ms + point.sum
    return found
