"""Which instance serves what, and which resource it is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from motel_locust.engine import draws
from motel_locust.engine.engine import Engine
from motel_locust.engine.instances import FOR_EVER, Instances, owner_of, parse_owner
from motel_locust.topology import model
from tests.engine.recorded import EPOCH_NS, SECOND_NS, record, values_of
from tests.engine.topologies import topology

if TYPE_CHECKING:
    from motel_locust.engine.columns import Batch

WORDS = draws.draw_words(np.arange(100_000, dtype=np.uint64), np.uint64(draws.key("any")))


def instances(written: Any, *, seed: int = 7, origin_ns: int = 0) -> Instances:
    made = model.Instances.model_validate(written)
    return Instances("cart", made, seed=seed, origin_ns=origin_ns)


def assert_shares(counts: list[int], weights: list[float]) -> None:
    """Within 4 standard errors."""
    total = sum(counts)
    for count, weight in zip(counts, weights, strict=True):
        share = weight / sum(weights)
        assert abs(count - total * share) < 4 * math.sqrt(total * share * (1 - share))


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        (40, [1.0] * 40),
        (3, [1.0] * 3),
        ({"count": 5, "weights": {"3": 10}}, [1, 1, 10, 1, 1]),
        ({"count": 2, "weights": {"1": 0.5, "2": 0.001}}, [0.5, 0.001]),
    ],
)
def test_each_instance_gets_its_share(written: Any, weights: list[float]) -> None:
    served = np.bincount(instances(written).serving(WORDS), minlength=len(weights))
    assert_shares(served.tolist(), weights)


def test_who_serves_follows_from_seed_and_service() -> None:
    assert (instances(7).serving(WORDS) == instances(7).serving(WORDS)).all()
    for other in (
        instances(7, seed=8),
        Instances("shop", model.Instances(count=7), seed=7, origin_ns=0),
    ):
        agree = (instances(7).serving(WORDS) == other.serving(WORDS)).mean()
        assert abs(agree - 1 / 7) < 0.01


def test_instances_restart_one_by_one_and_live_equally_long() -> None:
    origin_ns, life_ns = 5 * SECOND_NS, 60 * SECOND_NS
    made = instances({"count": 4, "restart_every": "1m"}, origin_ns=origin_ns)
    restarts = []
    for index in range(4):
        lives = [made.lifetime_ns(generation * 4 + index) for generation in range(4)]
        assert lives[0][0] == origin_ns
        assert all(end == begin for (_, end), (begin, _) in pairwise(lives))
        assert all(end - begin == life_ns for begin, end in lives[1:])
        restarts.append((lives[0][1] - origin_ns) // SECOND_NS)
    assert restarts == [15, 30, 45, 60]
    for since_s, serving in ((14, [0, 1, 2, 3]), (15, [4, 1, 2, 3]), (61, [4, 5, 6, 7])):
        arrival_ns = np.full(WORDS.size, origin_ns + since_s * SECOND_NS)
        found = made.resources(WORDS, arrival_ns)
        assert np.unique(found).tolist() == sorted(serving)
        assert (found % 4 == made.serving(WORDS)).all()
        assert made.between(int(arrival_ns[0]), int(arrival_ns[0])) == sorted(serving)
    assert made.between(origin_ns, origin_ns + 59 * SECOND_NS) == [0, 1, 2, 3, 4, 5, 6]


def test_without_restarts_they_live_for_ever() -> None:
    made = instances(3, origin_ns=9)
    assert made.lifetime_ns(2) == (9, FOR_EVER)
    assert made.between(9, 10**18) == [0, 1, 2]


def test_a_resource_has_a_name_that_tells_its_service() -> None:
    assert parse_owner(owner_of("a\x1fb", 12)) == ("a\x1fb", 12)


CALLS: dict[str, Any] = {
    "edge": {
        "instances": 3,
        "operations": {
            "get": {
                "duration": "4ms",
                "calls": [
                    "edge.check",
                    {"target": "edge.note", "async": True},
                    {"target": "cart.load", "count": 2},
                ],
            },
            "check": {"duration": "1ms", "calls": ["edge.look"]},
            "look": {"duration": "1ms"},
            "note": {"duration": "1ms"},
            "notify": {"duration": "1ms"},
        },
    },
    "cart": {
        "instances": {"count": 5, "weights": {"2": 3}},
        "operations": {
            "load": {"duration": "2ms", "calls": ["cart.price", "edge.notify"]},
            "price": {"duration": "1ms"},
        },
    },
    "plain": {"operations": {"poll": {"duration": "1ms"}}},
}


def walked(services: dict[str, Any], *, until_ns: int = 20 * SECOND_NS, **more: Any) -> list[Batch]:
    options = {"seed": 7, "epoch_ns": EPOCH_NS, **more.pop("options", {})}
    engine = Engine(topology(services, **more), **options)
    engine.join(0, 0)
    batches = []
    while engine.walked_ns < until_ns:
        batches.append(engine.walk(until_ns))
    return batches


@pytest.mark.parametrize("limit", [10_000, 9])
def test_calls_that_stay_inside_a_service_are_served_by_its_callers_instance(limit: int) -> None:
    served: dict[int, int] = {}
    callers = []
    traffic = {"rate": "100/s", "roots": {"edge.get": 1, "plain.poll": 1}}
    for batch in walked(CALLS, traffic=traffic, options={"max_spans_per_trace": limit}):
        for columns in batch.columns:
            if columns.shape.service == "plain":
                assert columns.resource is None
                continue
            assert columns.resource is not None
            ids = columns.span_id.tolist()
            served |= dict(zip(ids, columns.resource.tolist(), strict=True))
            if columns.parent_id is not None:
                named = zip(ids, columns.parent_id.tolist(), strict=True)
                callers += [(columns.shape.name, *each) for each in named]
    same: dict[str, Counter[bool]] = defaultdict(Counter)
    for name, span_id, parent_id in callers:
        same[name][served[span_id] == served[parent_id]] += 1
    for name in ("check", "look", "note", "price"):
        assert same[name][True] > 100
        assert not same[name][False]
    # Whoever enters the service anew meets any instance.
    assert same["notify"][False] > same["notify"][True] > 0
    heads = Counter(
        resource
        for batch in walked(CALLS, traffic=traffic)
        for columns in batch.columns
        if columns.shape.name == "load" and columns.resource is not None
        for resource in columns.resource.tolist()
    )
    assert_shares([heads[index] for index in range(5)], [1, 3, 1, 1, 1])


@pytest.mark.parametrize("realtime", [False, True])
def test_rows_of_one_part_and_resource_stand_together(realtime: bool) -> None:
    services = {
        **CALLS,
        "cart": {**CALLS["cart"], "instances": {"count": 4, "restart_every": "1s"}},
    }
    batches = walked(
        services, until_ns=5 * SECOND_NS, traffic={"rate": "3000/s"}, options={"realtime": realtime}
    )
    for batch in batches:
        for columns, edges in zip(batch.columns, batch.rows, strict=True):
            if columns.resource is not None:
                for start, stop in pairwise(edges.tolist()):
                    assert (np.diff(columns.resource[start:stop]) >= 0).all()
    seen = {
        resource
        for batch in batches
        for columns in batch.columns
        if columns.shape.service == "cart" and columns.resource is not None
        for resource in columns.resource.tolist()
    }
    assert seen == set(range(4 * 5 + 3))


def test_a_rejected_request_is_an_instances_too() -> None:
    services = {"s": {"instances": 2, "operations": {"o": {"duration": "1s", "queue_depth": 1}}}}
    batches = walked(services, until_ns=SECOND_NS)
    rejected = [
        columns
        for batch in batches
        for columns in batch.columns
        if columns.shape.message == "queue_full"
    ]
    assert rejected
    assert all(each.resource is not None for each in rejected)


BAD = {"duration": "2s", "error_rate": "50%"}


def took_s(batches: list[Batch], name: str) -> dict[int, list[tuple[float, bool]]]:
    """By resource, how long the operation's spans took, and whether they failed."""
    found = defaultdict(list)
    for batch in batches:
        for columns in batch.columns:
            if columns.shape.name == name and columns.resource is not None:
                for row, resource in enumerate(columns.resource.tolist()):
                    took = int(columns.end_ns[row] - columns.start_ns[row]) / SECOND_NS
                    found[resource].append((took, bool(columns.failed[row])))
    return dict(found)


@pytest.mark.parametrize("key", ["cart", "cart.load"])
def test_a_scenario_makes_one_instance_bad(key: str) -> None:
    window = {"at": "5s", "duration": "5s", "override": {key: {"instances": {"2": BAD}}}}
    batches = walked(CALLS, traffic={"rate": "400/s"}, scenarios=[window])
    for start_s, stop_s in ((0, 5), (5, 10), (10, 20)):
        # Batches are cut where scenarios begin and end.
        inside = [
            batch
            for batch in batches
            if start_s <= (batch.arrival_ns[0] - EPOCH_NS) / SECOND_NS < stop_s
        ]
        bad = start_s == 5
        loads = took_s(inside, "load")
        assert sorted(loads) == [0, 1, 2, 3, 4]
        for resource, spans in loads.items():
            failed = sum(fails for _, fails in spans)
            if bad and resource == 1:
                assert min(took for took, _ in spans) > 2
                share = 0.75 if key == "cart" else 0.5  # its call stays there, and fails too
                error = math.sqrt(share * (1 - share) / len(spans))
                assert abs(failed / len(spans) - share) < 4 * error
            else:
                assert not failed
                assert max(took for took, _ in spans) < 1
        prices = took_s(inside, "price")
        wrong = {resource for resource, spans in prices.items() for _, fails in spans if fails}
        assert wrong == ({1} if bad and key == "cart" else set())


def test_the_bad_instance_is_of_the_same_shapes() -> None:
    window = {"at": "0s", "duration": "1m", "override": {"cart": {"instances": {"2": BAD}}}}
    plain, ill = walked(CALLS), walked(CALLS, scenarios=[window])
    shapes = [
        {(each.shape.name, each.shape.has_parent) for each in batch.columns}
        for batch in (plain[0], ill[0])
    ]
    assert shapes[0] == shapes[1]
    assert len(ill[0].columns) == len(plain[0].columns)
    # Who is served by whom, and all draws but that instance's, stay what they were.
    ids = [
        {each for batch in found for columns in batch.columns for each in columns.span_id.tolist()}
        for found in (plain, ill)
    ]
    assert ids[0] == ids[1]


def test_what_is_said_of_the_operation_comes_after_what_is_said_of_its_service() -> None:
    override = {
        "cart": {"instances": {"2": {"duration": "2s", "error_rate": "100%"}}},
        "cart.price": {"duration": "7ms", "instances": {"2": {"duration": "1s"}}},
    }
    window = {"at": "0s", "duration": "1m", "override": override}
    prices = took_s(walked(CALLS, scenarios=[window]), "price")
    assert set(prices[1]) == {(1.0, True)}
    assert {each for index in (0, 2, 3, 4) for each in prices[index]} == {(0.007, False)}


# --- metrics ---

REQUESTS = {"name": "requests", "type": "counter"}
ACTIVE = {"name": "active", "type": "updowncounter"}
LEVEL = {"name": "level", "type": "gauge", "value": "5 +/- 1"}
TICKS = {"name": "ticks", "type": "counter", "value": 1, "interval": "100ms"}


def measured(written: Any, metrics: list[dict[str, Any]], **more: Any) -> Any:
    services = {
        "cart": {
            "instances": written,
            "operations": {"load": {"duration": more.pop("duration", "20ms"), "metrics": metrics}},
        }
    }
    return record(topology(services), **more)


def by_resource(run: Any, name: str, collection: int = -1) -> dict[int | None, list[float]]:
    found: dict[int | None, list[float]] = {}
    for columns in run.collections[collection][1].columns:
        if columns.shape.name == name:
            assert columns.resource not in found
            found[columns.resource] = columns.value.tolist()
    return found


def test_each_resource_has_series_of_its_own() -> None:
    run = measured(3, [REQUESTS, LEVEL, TICKS], until_ns=SECOND_NS)
    spans = Counter(span.resource for span in run.spans)
    assert by_resource(run, "requests") == {each: [spans[each]] for each in range(3)}
    levels = by_resource(run, "level")
    assert len({value for (value,) in levels.values()}) == len(levels) == 3
    assert by_resource(run, "ticks") == {each: [10] for each in range(3)}
    shapes = {id(each.shape) for _, points in run.collections for each in points.columns}
    assert len(shapes) == 3, "an encoder is made for each"


def test_a_restarted_instance_begins_anew_and_the_old_one_is_told_of_once_more() -> None:
    run = measured(
        {"count": 2, "restart_every": "2s"},
        [REQUESTS, LEVEL, TICKS],
        until_ns=3 * SECOND_NS,
        interval_ns=800_000_000,
    )
    told = [sorted(by_resource(run, "requests", each)) for each in range(4)]
    # The first restarts after 1 s, the second after 2 s.
    assert told == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3]]
    assert [sorted(by_resource(run, "level", each)) for each in range(4)] == [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
    ]
    starts = {
        columns.resource: (columns.start_ns - EPOCH_NS) // SECOND_NS
        for _, points in run.collections
        for columns in points.columns
        if columns.shape.name == "requests"
    }
    assert starts == {0: 0, 1: 0, 2: 1, 3: 2}
    spans = Counter(span.resource for span in run.spans)
    assert by_resource(run, "requests") == {each: [spans[each]] for each in (2, 3)}
    assert by_resource(run, "requests", 1)[0] == [spans[0]]
    assert by_resource(run, "ticks") == {2: [20], 3: [11], 4: [1]}


def test_who_still_works_is_told_of_although_it_is_gone() -> None:
    run = measured(
        {"count": 1, "restart_every": "1s"},
        [ACTIVE],
        until_ns=3 * SECOND_NS,
        interval_ns=500_000_000,
        duration="900ms",
    )
    active = [by_resource(run, "active", each) for each in range(5)]
    assert [sorted(each) for each in active] == [[0], [0], [0, 1], [0, 1], [1, 2]]
    assert active[3][0] == [0]


def test_workers_that_share_instances_tell_who_they_are() -> None:
    def marks(**options: Any) -> set[Any]:
        run = measured(2, [REQUESTS, LEVEL, TICKS], until_ns=SECOND_NS, **options)
        return {
            dict(each.attributes).get("motel.worker")
            for columns in run.last.columns
            for each in columns.attributes
        }

    assert marks() == {None}
    assert marks(shared=True, worker=3) == {3}
    # A service without instances has a resource for each worker.
    plain = record(
        topology({"a": {"operations": {"o": {"duration": "1ms", "metrics": [REQUESTS]}}}}),
        until_ns=SECOND_NS,
        shared=True,
    )
    (columns,) = plain.last.columns
    assert [each.attributes for each in columns.attributes] == [(("operation.name", "o"),)]
    assert values_of(plain, "requests")[-1] == [100]
