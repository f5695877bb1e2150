"""Spans in pairs: what stands on which side of a call, to the nanosecond."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings

from motel_locust.engine.columns import Batch, Constant, Counts
from motel_locust.engine.engine import Engine
from motel_locust.engine.logs import Logs
from motel_locust.engine.metrics import Metrics
from motel_locust.engine.statistics import Outgoing, Statistics
from motel_locust.topology.model import Topology
from tests.engine.topologies import layered, topologies, topology

MS = 1_000_000
SECOND = 1_000 * MS
EPOCH_NS = 1_700_000_000 * SECOND


class Seen(NamedTuple):
    """A span with times in ms after its trace's arrival."""

    service: str
    name: str
    kind: str
    start: float
    end: float
    failed: bool
    attributes: dict[str, Any]
    span_id: int
    parent_id: int

    @property
    def place(self) -> tuple[str, str, str, float, float, bool]:
        return self[:6]


def paired(services: dict[str, Any], **rest: Any) -> Topology:
    """Return a topology in pairs; services by name, their operations by theirs."""
    models = {name: {"operations": operations} for name, operations in services.items()}
    return topology(models, **{"spans": "paired", "network": "2ms", **rest})


def walked(model: Topology, *, seconds: float = 0.005, **options: Any) -> list[Batch]:
    engine = Engine(model, seed=3, epoch_ns=EPOCH_NS, **options)
    engine.join(0, 0)
    until, found = int(seconds * SECOND), []
    while engine.walked_ns < until:
        found.append(engine.walk(until))
    return found


def counts(batches: list[Batch]) -> Counts:
    return sum((part for batch in batches for part in batch.counts), Counts())


def traces(batches: list[Batch]) -> list[list[Seen]]:
    found = []
    for batch in batches:
        spans: list[list[Seen]] = [[] for _ in batch.arrival_ns]
        for columns in batch.columns:
            shape, parents = columns.shape, columns.parent_id
            fixed = {each.key: each.value for each in shape.attributes if type(each) is Constant}
            for row, trace in enumerate(columns.trace.tolist()):
                start, end = (
                    (int(each[row]) - int(batch.arrival_ns[trace])) / MS
                    for each in (columns.start_ns, columns.end_ns)
                )
                spans[trace].append(
                    Seen(
                        shape.service,
                        shape.name,
                        shape.kind.name,
                        start,
                        end,
                        bool(columns.failed[row]),
                        fixed,
                        int(columns.span_id[row]),
                        0 if parents is None else int(parents[row]),
                    )
                )
        found += [sorted(each, key=lambda span: (span.start, -span.end)) for each in spans]
    return found


def one(model: Topology) -> list[Seen]:
    [trace] = traces(walked(model))
    return trace


def test_a_call_is_seen_on_both_sides_with_the_network_between() -> None:
    root, client, server = one(
        paired(
            {
                "web": {"get": {"duration": "10ms", "calls": ["db.query"]}},
                "db": {"query": {"duration": "20ms"}},
            }
        )
    )
    assert root.place == ("web", "get", "SERVER", 0, 32, False)
    assert client.place == ("web", "query", "CLIENT", 5, 27, False)
    assert server.place == ("db", "query", "SERVER", 6, 26, False)
    assert (client.parent_id, server.parent_id) == (root.span_id, client.span_id)
    assert client.attributes == {
        "synth.service": "web",
        "synth.operation": "get",
        "service.peer.name": "db",
        "server.address": "db",
    }
    assert server.attributes == {"synth.service": "db", "synth.operation": "query"}


def test_the_network_takes_a_millisecond_unless_somebody_says_more() -> None:
    services = {
        "web": {"get": {"duration": "2ms", "calls": ["db.query", "cache.get"]}},
        "db": {"query": {"duration": "1ms"}},
        "cache": {"get": {"duration": "1ms"}},
    }
    lasting = {each.name: each.end - each.start for each in one(paired(services, network=None))}
    assert lasting == {"get": 1, "query": 1}
    sides = [each for each in one(paired(services, network=None)) if each.kind == "CLIENT"]
    assert [each.end - each.start for each in sides] == [2, 2]
    services["web"]["get"]["calls"][1] = {"target": "cache.get", "network": "7ms"}
    sides = [each for each in one(paired(services)) if each.kind == "CLIENT"]
    assert {each.name: each.end - each.start for each in sides} == {"query": 3, "get": 8}


def test_within_a_service_a_call_is_one_internal_span() -> None:
    found = one(
        paired(
            {
                "web": {
                    "get": {"duration": "10ms", "calls": ["web.auth"]},
                    "auth": {"duration": "4ms"},
                }
            }
        )
    )
    assert [each.place for each in found] == [
        ("web", "get", "SERVER", 0, 14, False),
        ("web", "auth", "INTERNAL", 5, 9, False),
    ]


def test_a_root_that_is_called_shows_as_any_other_callee() -> None:
    services = {
        "web": {
            "get": {"duration": "2ms", "calls": ["web.auth", "db.query"]},
            "auth": {"duration": "2ms"},
        },
        "db": {"query": {"duration": "2ms"}},
    }
    traffic = {"rate": "100/s", "roots": {"web.get": 1, "web.auth": 1, "db.query": 1}}
    found = traces(walked(paired(services, traffic=traffic), seconds=1))
    kinds = {(each.service, each.name, each.parent_id > 0, each.kind) for t in found for each in t}
    assert kinds == {
        ("web", "get", False, "SERVER"),
        ("web", "auth", False, "SERVER"),
        ("db", "query", False, "SERVER"),
        ("web", "auth", True, "INTERNAL"),
        ("web", "query", True, "CLIENT"),
        ("db", "query", True, "SERVER"),
    }


def test_nobody_waits_for_the_consumer_of_a_message() -> None:
    """The PRODUCER span is as long as the network takes, whatever the consumer does."""
    root, *others = one(
        paired(
            {
                "web": {
                    "post": {
                        "duration": "10ms",
                        "call_style": "sequential",
                        "calls": [
                            {"target": "mail.send", "async": True},
                            {"target": "web.later", "async": True, "network": "4ms"},
                        ],
                    },
                    "later": {"duration": "50ms"},
                },
                "mail": {"send": {"duration": "90ms", "error_rate": "100%"}},
            }
        )
    )
    assert root.place == ("web", "post", "SERVER", 0, 10, False)
    pairs = {(each.kind, each.name): each for each in others}
    assert pairs["PRODUCER", "send"].place == ("web", "send", "PRODUCER", 5, 7, False)
    assert pairs["CONSUMER", "send"].place == ("mail", "send", "CONSUMER", 6, 96, True)
    assert pairs["PRODUCER", "later"].place == ("web", "later", "PRODUCER", 5, 9, False)
    assert pairs["CONSUMER", "later"].place == ("web", "later", "CONSUMER", 7, 57, False)
    assert pairs["PRODUCER", "send"].attributes == {
        "synth.service": "web",
        "synth.operation": "post",
        "service.peer.name": "mail",
    }
    assert pairs["CONSUMER", "send"].parent_id == pairs["PRODUCER", "send"].span_id


def test_a_producer_that_waits_lasts_as_long_as_its_consumer() -> None:
    _, producer, consumer = one(
        paired(
            {
                "web": {
                    "post": {
                        "duration": "10ms",
                        "calls": [{"target": "log.append", "producer": True}],
                    }
                },
                "log": {"append": {"duration": "20ms"}},
            }
        )
    )
    assert producer.place == ("web", "append", "PRODUCER", 5, 27, False)
    assert consumer.place == ("log", "append", "CONSUMER", 6, 26, False)


def test_a_timeout_ends_the_clients_span_and_the_server_works_on() -> None:
    model = paired(
        {
            "web": {
                "get": {
                    "duration": "10ms",
                    "calls": [{"target": "db.query", "timeout": "15ms"}],
                }
            },
            "db": {"query": {"duration": "20ms", "calls": ["db.scan"]}, "scan": {"duration": "1s"}},
        }
    )
    found = walked(model)
    root, client, server, scan = traces(found)[0]
    assert root.place == ("web", "get", "SERVER", 0, 25, True)
    assert client.place == ("web", "query", "CLIENT", 5, 20, True)
    assert server.place == ("db", "query", "SERVER", 6, 1026, False)
    assert scan.place == ("db", "scan", "INTERNAL", 16, 1016, False)
    assert counts(found) == Counts(traces=1, spans=4, errors=2, failed_traces=1, timeouts=1)


@pytest.mark.parametrize(("timeout", "late"), [("22ms", 0), ("21.999999ms", 1)])
def test_the_network_counts_against_the_timeout(timeout: str, late: int) -> None:
    services = {
        "web": {"get": {"duration": "10ms", "calls": [{"target": "db.query", "timeout": timeout}]}},
        "db": {"query": {"duration": "20ms"}},
    }
    assert counts(walked(paired(services))).timeouts == late


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ({"http.request.method": {"value": "GET"}}, "http.request.resend_count"),
        ({}, "synth.resend_count"),
    ],
)
def test_each_attempt_is_a_span_of_the_client_that_tells_which_it_is(
    attributes: dict[str, Any], key: str
) -> None:
    model = paired(
        {
            "web": {
                "get": {
                    "duration": "10ms",
                    "calls": [
                        {"target": "db.query", "retries": 2, "retry_backoff": "7ms", "count": 2}
                    ],
                }
            },
            "db": {"query": {"duration": "20ms", "error_rate": "100%", "attributes": attributes}},
        }
    )
    found = walked(model)
    [trace] = traces(found)
    sides = [each for each in trace if each.kind == "CLIENT"]
    assert [(each.start, each.end, each.attributes.get(key)) for each in sides] == [
        *[(5, 27, None)] * 2,
        *[(34, 56, 1)] * 2,
        *[(63, 85, 2)] * 2,
    ]
    assert all(each.failed for each in trace)
    assert {(each.parent_id, each.start) for each in trace if each.service == "db"} == {
        (each.span_id, each.start + 1) for each in sides
    }
    assert counts(found).retries == 4


def test_a_refused_request_is_what_the_server_answers() -> None:
    model = paired(
        {
            "web": {"get": {"duration": "2ms", "calls": [{"target": "db.query", "count": 3}]}},
            "db": {"query": {"duration": "90ms", "queue_depth": 2}},
        }
    )
    [trace] = traces(walked(model))
    refused = [each for each in trace if each.attributes.get("synth.rejected")]
    assert [each.place for each in refused] == [("db", "query", "SERVER", 2, 3, True)]
    [client] = [each for each in trace if each.span_id == refused[0].parent_id]
    assert client.place == ("web", "query", "CLIENT", 1, 4, True)


def test_a_trace_may_be_cut_between_the_sides() -> None:
    model = paired(
        {
            "web": {"get": {"duration": "2ms", "calls": ["db.query"]}},
            "db": {"query": {"duration": "90ms", "error_rate": "100%"}},
        }
    )
    found = walked(model, max_spans_per_trace=2)
    assert [each.place for each in traces(found)[0]] == [
        ("web", "get", "SERVER", 0, 4, False),
        ("web", "query", "CLIENT", 1, 3, False),
    ]
    assert (counts(found).spans_bounded, counts(found).spans_cut) == (1, 1)


def test_the_clients_span_has_attributes_and_shown_baggage_of_its_service() -> None:
    model = topology(
        {
            "web": {
                "attributes": {"team": "red"},
                "baggage": {"tenant": "acme"},
                "operations": {
                    "get": {
                        "duration": "2ms",
                        "baggage_as_attributes": True,
                        "attributes": {"mine": {"value": 1}},
                        "calls": ["db.query"],
                    }
                },
            },
            "db": {
                "attributes": {"team": "blue"},
                "baggage_as_attributes": True,
                "operations": {"query": {"duration": "2ms", "baggage": {"pool": "ro"}}},
            },
        },
        spans="paired",
    )
    _, client, server = one(model)
    assert client.attributes == {
        "synth.service": "web",
        "synth.operation": "get",
        "team": "red",
        "service.peer.name": "db",
        "server.address": "db",
        "baggage.tenant": "acme",
    }
    assert server.attributes == {
        "synth.service": "db",
        "synth.operation": "query",
        "team": "blue",
        "baggage.tenant": "acme",
        "baggage.pool": "ro",
    }


def measured() -> Topology:
    return topology(
        {
            # One name on both sides: the client's span is none of the caller's operation.
            "web": {
                "metrics": [{"name": "served", "type": "counter"}],
                "operations": {"get": {"duration": "2ms", "calls": ["db.get"]}},
            },
            "db": {
                "logs": [{"severity": "ERROR", "body": "lost", "condition": "error"}],
                "operations": {"get": {"duration": "90ms", "error_rate": "100%"}},
            },
        },
        spans="paired",
    )


def test_metrics_and_logs_are_of_the_operations_own_spans() -> None:
    found = walked(measured(), seconds=0.5)
    metrics = Metrics(measured(), seed=3, epoch_ns=EPOCH_NS, interval_ns=SECOND)
    logs = Logs(measured(), seed=3, epoch_ns=EPOCH_NS, slow_ns=10 * MS)
    written = []
    for batch in found:
        metrics.record(batch, slice(None), ())
        written += logs.write(batch, ()).columns
    [served] = metrics.collect(SECOND).columns
    assert served.value.tolist() == [50]
    services = {each.shape.service: 0 for each in written}
    for each in written:
        services[each.shape.service] += each.trace.size
    # Of web, the two logs that follow from errors and slowness: one of each for a trace.
    assert services == {"web": 100, "db": 50}


def test_the_statistics_tell_who_calls_whom() -> None:
    statistics = Statistics()
    for batch in walked(measured(), seconds=0.5):
        outgoing = Outgoing(batch)
        for edge_ns in batch.edges_ns.tolist():
            outgoing.release(edge_ns)
        outgoing.count(statistics)
    found = {ref: (each.spans, each.errors) for ref, each in statistics.operations().items()}
    assert found == {"web.get": (50, 50), "web -> db.get": (50, 50), "db.get": (50, 50)}


@settings(max_examples=50, deadline=None)
@given(topologies(rate="1000/s", guarded=True, paired=True) | layered(paired=True))
def test_service_maps_come_out_right(model: Topology) -> None:
    """Whoever calls another service does so in a span of its own, which only the callee answers."""
    model = model.model_copy(update={"spans": "paired"})
    for trace in traces(walked(model, seconds=0.02, max_spans_per_trace=100)):
        known = {each.span_id: each for each in trace}
        answered: list[int] = []
        for span in trace:
            if not span.parent_id:
                assert span.kind == "SERVER"
                continue
            above = known[span.parent_id]
            if span.kind in ("SERVER", "CONSUMER"):
                assert above.kind == {"SERVER": "CLIENT", "CONSUMER": "PRODUCER"}[span.kind]
                assert (above.attributes["service.peer.name"], above.name) == span.place[:2]
                answered.append(span.parent_id)
                assert above.start <= span.start
                # A client that failed may have given up waiting.
                assert span.kind == "CONSUMER" or above.failed or span.end <= above.end
            else:
                assert span.service == above.service
                assert above.kind in ("SERVER", "CONSUMER", "INTERNAL")
        assert len(set(answered)) == len(answered)


@settings(max_examples=30, deadline=None)
@given(topologies(paired=True))
def test_a_file_that_says_single_means_what_it_meant(model: Topology) -> None:
    single = model.model_copy(update={"spans": "single"})
    silent = single.model_copy(update={"network": None})
    for batch, other in zip(walked(single), walked(silent), strict=True):
        assert [each.shape for each in batch.columns] == [each.shape for each in other.columns]
        for mine, theirs in zip(batch.columns, other.columns, strict=True):
            assert np.array_equal(mine.span_id, theirs.span_id)
            assert np.array_equal(mine.end_ns, theirs.end_ns)
