"""Attributes out of a file: of one row wherever they stand on a span, rows by their weights."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from motel_locust.engine.engine import Engine
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.topology.reading import Source, parse_topology
from tests.engine.recorded import record
from tests.engine.test_logs import Written
from tests.oracles.contents import plain
from tests.oracles.walk import drawn_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Topology

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_000

ROWS = b"""id,name,tier,seats,share
C-1,"Ferry, Harbour",gold,1200,5
C-2,\xc3\x93ptica,gold,-3,2
C-3,Blue Kettle,silver,0,2
C-4,Nobody,none,7,0
C-5,Tern & Tide,bronze,60,1
"""
TOPOLOGY = """
version: 1
services:
  api:
    logs:
      - severity: INFO
        body: "{id} of {tier}"
        attributes: {who: {rows: {%(file)s, column: name}}}
    operations:
      order:
        duration: 1ms
        attributes:
          id: {rows: {%(file)s, column: id, weight: share}}
          tier: {rows: {%(file)s, column: tier}}
          seats: {rows: {%(file)s, column: seats}}
        events: [{name: seen, attributes: {name: {rows: {%(file)s, column: name}}}}]
        links: [{ref: api.save, attributes: {name: {rows: {%(file)s, column: name}}}}]
        metrics:
          - name: orders
            type: counter
            attributes:
              tier: {rows: {%(file)s, column: tier}}
              id: {rows: {%(file)s, column: id}}
        calls: [api.save]
      save: {duration: 1ms, attributes: {id: {rows: {%(file)s, column: id}}}}
traffic: {rate: 1000/s}
scenarios:
  - at: 100ms
    duration: 1s
    override: {api.save: {attributes: {id: {rows: {file: hot.csv, column: id}}}}}
""" % {"file": "file: rows.csv"}  # noqa: UP031 - braces are YAML's here
FILES = {"rows.csv": ROWS, "hot.csv": b"id\nC-9\nC-9\n"}

ROW = {
    "C-1": ("Ferry, Harbour", "gold", 1200),
    "C-2": ("Óptica", "gold", -3),
    "C-3": ("Blue Kettle", "silver", 0),
    "C-5": ("Tern & Tide", "bronze", 60),
}
SHARES = {"C-1": 0.5, "C-2": 0.2, "C-3": 0.2, "C-5": 0.1}


@pytest.fixture(scope="module")
def model() -> Topology:
    return parse_topology(Source("t.yaml", TOPOLOGY.encode(), files=FILES)).topology


def spans(model: Topology, *steps_ms: int, seed: int = 7) -> Iterator[Span]:
    engine = Engine(model, seed=seed, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    encoders: dict[int, SpanEncoder] = {}
    until = 0
    for step in steps_ms:
        until += step * MS
        while engine.walked_ns < until:
            batch = engine.walk(until)
            for columns in batch.columns:
                encoder = encoders.setdefault(id(columns.shape), SpanEncoder(columns.shape))
                content = encoder.encode(columns, batch.trace_id).content
                yield from ScopeSpans.FromString(bytes(content)).spans


def test_what_a_span_takes_from_a_file_is_of_one_row(model: Topology) -> None:
    linked = 0
    for span in spans(model, 3_000):
        if span.name != "order":
            continue
        found = plain(span.attributes)
        name, *rest = ROW[found["id"]]
        assert [found["tier"], found["seats"]] == rest
        assert plain(span.events[0].attributes) == {"name": name}
        for link in span.links:
            assert plain(link.attributes) == {"name": name}
            linked += 1
    assert linked > 1_000


def test_rows_come_by_their_weights(model: Topology) -> None:
    found: Counter[Any] = Counter()
    for span in spans(model, 100, 4_900):
        if span.name == "order":
            found[plain(span.attributes)["id"]] += 1
    total = sum(found.values())
    assert total == 5_000
    assert found.keys() == SHARES.keys()
    for row, share in SHARES.items():
        assert abs(found[row] / total - share) <= 4 * math.sqrt(share * (1 - share) / total), row


def test_other_spans_have_rows_of_their_own_and_are_drawn_as_in_plain_python(
    model: Topology,
) -> None:
    alike = 0
    orders: dict[bytes, Any] = {}
    for span in spans(model, 90):
        generator = model.services["api"].operations[span.name].attributes["id"]
        number = int.from_bytes(span.span_id, "little")
        found = plain(span.attributes)["id"]
        assert found == drawn_value("id", generator, number, "whatever")
        alike += orders.setdefault(span.trace_id, found) == found
    assert 90 < alike < 180


def test_a_scenario_draws_from_another_file(model: Topology) -> None:
    found = [plain(span.attributes)["id"] for span in spans(model, 200) if span.name == "save"]
    assert len(found) == 200
    assert set(found[:100]) <= SHARES.keys()
    assert set(found[100:]) == {"C-9"}


def test_the_same_seed_makes_the_same_spans_in_batches_of_any_size(model: Topology) -> None:
    whole, steps, other = (
        sorted(span.SerializeToString(deterministic=True) for span in found)
        for found in (
            spans(model, 300),
            spans(model, 10, 170, 20, 100),
            spans(model, 300, seed=8),
        )
    )
    assert whole == steps != other


def test_records_and_points_are_of_the_span_s_row(model: Topology) -> None:
    texts = 0
    for parcel in Written(model, [500 * MS]).parcels:
        for pieces in parcel.pieces.values():
            for each in ScopeLogs.FromString(b"".join(pieces)).log_records:
                text, found = each.body.string_value, plain(each.attributes)
                if found["operation.name"] == "order":
                    row, _, tier = text.partition(" of ")
                    assert ROW[row][:2] == (found["who"], tier)
                    texts += 1
    assert texts == 500
    ((_, points),) = record(model, until_ns=90 * MS).collections
    (columns,) = points.columns
    counted = {}
    for attributes, value in zip(columns.attributes, columns.value.tolist(), strict=True):
        series = dict(attributes.attributes)
        assert ROW[series["id"]][1] == series["tier"]
        counted[series["id"]] = value
    orders = [plain(each.attributes) for each in spans(model, 90) if each.name == "order"]
    assert len(orders) == 90
    assert counted == Counter(each["id"] for each in orders)
