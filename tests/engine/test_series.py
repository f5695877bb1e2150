from __future__ import annotations

from tests.engine.recorded import SECOND_NS, one_operation, record
from tests.oracles.metrics import typed

MS = 1_000_000
COUNTER = {"name": "requests", "type": "counter"}


def test_series_beyond_the_limit_share_one_and_are_counted() -> None:
    metrics = [{**COUNTER, "attributes": {"id": {"sequence": "r-{n}"}}}]
    run = record(one_operation(metrics), until_ns=300 * MS, most_series=5)
    (counter,) = run.last.columns
    series = [dict(each.attributes) for each in counter.attributes]
    assert series[0] == {"otel.metric.overflow": True}
    assert counter.value.tolist() == [25, 1, 1, 1, 1, 1]
    ids = [each["id"] for each in series[1:]]
    assert len(set(ids)) == 5
    assert set(ids) <= {f"r-{number}" for number in range(1, 31)}
    assert run.metrics.overflowed() == {"web: requests": 25}
    # Those that were there when points were collected stay; here, all of the first collection.
    first = [dict(each.attributes) for each in run.collections[0][1].columns[0].attributes]
    assert first == series


def test_what_overflows_is_counted_over_all_deltas() -> None:
    metrics = [{**COUNTER, "attributes": {"id": {"distribution": {"stddev": 1}}}}]
    run = record(one_operation(metrics), until_ns=300 * MS, most_series=5, temporality="delta")
    assert [len(points.columns[0].attributes) for _, points in run.collections] == [6, 6, 6]
    assert run.metrics.overflowed() == {"web: requests": 30 - 3 * 5}


def test_nothing_overflows_where_few_series_are_possible() -> None:
    way = {"values": {True: 1, 2: 1, "2": 1}}
    metrics = [{**COUNTER, "attributes": {"way": way, "n": {"range": [-1, 1]}}}]
    run = record(one_operation(metrics), until_ns=2 * SECOND_NS, most_series=9)
    (counter,) = run.last.columns
    found = {typed(dict(each.attributes)) for each in counter.attributes}
    assert len(found) == len(counter.attributes) == 9
    assert run.metrics.overflowed() == {}
