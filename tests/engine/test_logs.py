from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from motel_locust.engine import draws
from motel_locust.engine.engine import Engine
from motel_locust.engine.instances import owner_of
from motel_locust.engine.logs import Logs
from motel_locust.engine.templates import print_duration
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.topology.model import Log
from motel_locust.topology.scenarios import Override
from motel_locust.topology.signals import LogOverride
from tests.engine.topologies import attributes, topologies, topology
from tests.oracles import logs as oracle
from tests.oracles import spans as span_oracle

if TYPE_CHECKING:
    from motel_locust.engine.columns import Batch
    from motel_locust.otlp.parcels import Parcel
    from motel_locust.topology.model import Topology

EPOCH_NS = 1_700_000_000_000_000_000
TICK_NS = 10_000_000
MS = 1_000_000
SEED = 7
LIMIT = 60
SLOW_NS = 8 * MS

Records = Counter[tuple[str, bytes]]


class Written:
    """A user's first moments: the spans, and the log records as they are sent."""

    def __init__(
        self, model: Topology, steps: list[int], *, slow_ns: int = SLOW_NS, **options: Any
    ) -> None:
        self.engine = Engine(
            model, seed=SEED, epoch_ns=EPOCH_NS, max_spans_per_trace=LIMIT, **options
        )
        self.engine.join(0, 0)
        self.logs = Logs(model, seed=SEED, epoch_ns=EPOCH_NS, slow_ns=slow_ns, **options)
        self.slow_ns, self.offset_ns = slow_ns, options.get("time_offset_ns", 0)
        self.batches: list[tuple[Batch, tuple[int, ...]]] = []
        self.parcels: list[Parcel] = []
        encoder: BatchEncoder[Any] = BatchEncoder(LogEncoder, max_body_bytes=2_000)
        until = 0
        for step in steps:
            until += step
            while self.engine.walked_ns < until:
                active = self.engine.active(self.engine.walked_ns)
                batch = self.engine.walk(until)
                self.batches.append((batch, active))
                self.parcels += encoder.encode(self.logs.write(batch, active))

    def records(self) -> Records:
        return sum(map(records_of, self.parcels), Counter())

    def expected(self) -> Records:
        found: Records = Counter()
        for batch, active in self.batches:
            scene = oracle.Scene(
                self.engine.topology,
                active,
                draws.key(SEED, "", "logs"),
                self.slow_ns,
                self.offset_ns,
            )
            for columns in batch.columns:
                for row in range(columns.trace.size):
                    span = span_oracle.span(columns, row, batch.trace_id)
                    number = None if columns.number is None else int(columns.number[row])
                    service = columns.shape.service
                    owner = service
                    if columns.resource is not None:
                        owner = owner_of(service, int(columns.resource[row]))
                    found.update(
                        (owner, normal_form(each))
                        for each in oracle.records(scene, service, span, number)
                    )
        return found

    def texts(self) -> list[str]:
        """The records' texts in order of time."""
        found = [LogRecord.FromString(each) for _, each in self.records().elements()]
        found.sort(key=lambda each: (each.time_unix_nano, each.body.string_value))
        return [each.body.string_value for each in found]


def records_of(parcel: Parcel) -> Records:
    return Counter(
        (owner, normal_form(record))
        for owner, pieces in parcel.pieces.items()
        for record in ScopeLogs.FromString(b"".join(pieces)).log_records
    )


def normal_form(record: LogRecord) -> bytes:
    keyed = sorted(record.attributes, key=lambda each: each.key)
    del record.attributes[:]
    record.attributes.extend(keyed)
    return record.SerializeToString(deterministic=True)


bodies = st.sampled_from(
    ["x", "{a}", "{a}{b}", "got {a} of {nobody} at {service.name}/{operation.name}", "{b{c}d}", "ü"]
)
logs = st.builds(
    Log,
    severity=st.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
    body=bodies,
    condition=st.sampled_from([None, None, "error", "success", "slow"]),
    probability=st.sampled_from([0, 0.4, 1, 1]),
    at=st.sampled_from(["start", "end"]),
    delay=st.sampled_from(["0s", "3ms", "25ms"]),
    attributes=attributes,
)
some_logs = st.lists(logs, max_size=2).map(tuple)


@st.composite
def logging(draw: st.DrawFn) -> Topology:
    """A topology with logs at all places, some of which may have none."""
    model = draw(topologies())
    services = {}
    for name, service in model.services.items():
        operations = {
            key: each.model_copy(update={"logs": draw(some_logs)})
            for key, each in service.operations.items()
        }
        services[name] = service.model_copy(
            update={"operations": operations, "logs": draw(some_logs)}
        )
    keys = [*services, *(f"{name}.{key}" for name in services for key in services[name].operations)]
    scenarios = []
    for scenario in model.scenarios:
        override = dict(scenario.override)
        for key in draw(st.lists(st.sampled_from(keys), max_size=2, unique=True)):
            change = LogOverride(add=(draw(logs), *draw(some_logs)), disable=draw(st.booleans()))
            known = override.get(key) or Override.model_validate({})
            override[key] = known.model_copy(update={"logs": change})
        scenarios.append(scenario.model_copy(update={"override": override}))
    return model.model_copy(update={"services": services, "scenarios": tuple(scenarios)})


@settings(max_examples=50, deadline=None)
@given(logging(), st.sampled_from([0, -3_600_000_000_000]))
def test_records_are_those_of_the_oracle(model: Topology, offset_ns: int) -> None:
    written = Written(model, [400 * MS], time_offset_ns=offset_ns)
    assert written.records() == written.expected()


@settings(max_examples=40, deadline=None)
@given(logging(), st.lists(st.sampled_from([10, 20, 70]), min_size=1, max_size=4), st.booleans())
def test_batches_make_no_difference(model: Topology, steps: list[int], realtime: bool) -> None:
    steps_ns = [step * MS for step in steps]
    whole = Written(model, [sum(steps_ns)])
    assert Written(model, steps_ns, realtime=realtime).records() == whole.records()


@settings(max_examples=30, deadline=None)
@given(logging())
def test_a_record_leaves_with_its_trace_or_in_real_time_when_it_is_due(model: Topology) -> None:
    due = Written(model, [200 * MS], realtime=True)
    for parcel in due.parcels:
        for _, each in records_of(parcel):
            tick = (LogRecord.FromString(each).time_unix_nano - EPOCH_NS) // TICK_NS
            assert parcel.release_ns == EPOCH_NS + tick * TICK_NS
    whole = Written(model, [200 * MS])
    arrivals = {
        trace_id.tobytes(): (int(arrival_ns) - EPOCH_NS) // TICK_NS
        for batch, _ in whole.batches
        for trace_id, arrival_ns in zip(batch.trace_id, batch.arrival_ns, strict=True)
    }
    for parcel in whole.parcels:
        for _, each in records_of(parcel):
            tick = arrivals[LogRecord.FromString(each).trace_id]
            assert parcel.release_ns == EPOCH_NS + tick * TICK_NS


def one(logs: list[dict[str, Any]] | None = None, **operation: Any) -> Topology:
    """A topology of one operation, once every 100 ms."""
    made = {"duration": "20ms", "logs": logs or [], **operation}
    return topology({"web": {"operations": {"get": made}}}, traffic={"rate": "10/s"})


def log(body: str, **more: Any) -> dict[str, Any]:
    return {"severity": "info", "body": body, **more}


@pytest.mark.parametrize(
    ("model", "slow_ns", "texts"),
    [
        (one(error_rate="100%"), 0, ["error in web get"]),
        (one(), 20 * MS, []),
        (one(), 20 * MS - 1, ["slow operation web get: 20ms (threshold 19.999999ms)"]),
        (
            one(error_rate="100%"),
            MS,
            ["error in web get", "slow operation web get: 20ms (threshold 1ms)"],
        ),
        (one([log("own", condition="error")], error_rate="100%"), MS, ["own"]),
        (one([log("slow", condition="slow")]), 0, []),
        (one([log("well", condition="success"), log("ill", condition="error")]), 0, ["well"]),
        (one([log("late", at="end", delay="1s"), log("first")]), 0, ["first", "late"]),
    ],
)
def test_which_records_a_span_has(model: Topology, slow_ns: int, texts: list[str]) -> None:
    assert Written(model, [100 * MS], slow_ns=slow_ns).texts() == texts


def overriding(logs: dict[str, Any], key: str, *, own: bool = False) -> Topology:
    """Two failing operations of one service, one of another, with an override of logs."""
    operation = {"duration": "1ms", "error_rate": "100%"}
    get = {**operation, "calls": ["web.put", "db.find"]}
    services: dict[str, Any] = {
        "web": {"operations": {"get": get, "put": operation}},
        "db": {"operations": {"find": operation}},
    }
    if own:
        services["web"]["logs"] = [log("own {operation.name}")]
    scenario = {"at": "0s", "duration": "10s", "override": {key: {"logs": logs}}}
    return topology(services, traffic={"rate": "10/s"}, scenarios=[scenario])


@pytest.mark.parametrize(
    ("model", "texts"),
    [
        # Whatever its operation, what is added takes the place of a whole service's derived logs.
        (overriding({"add": [log("new")]}, "web.put"), ["error in db find", "new"]),
        (overriding({"add": [log("new")]}, "web"), ["error in db find", "new", "new"]),
        (overriding({"disable": True}, "web.put"), ["error in db find", "error in web get"]),
        (overriding({"disable": True}, "web"), ["error in db find"]),
        (
            overriding({"disable": True, "add": [log("new")]}, "web.put", own=True),
            ["error in db find", "new", "own get"],
        ),
    ],
)
def test_scenarios_add_and_mute(model: Topology, texts: list[str]) -> None:
    assert sorted(Written(model, [100 * MS]).texts()) == texts


def test_a_body_shows_what_the_span_carries() -> None:
    model = topology(
        {
            "web": {
                "attributes": {"k": "service", "s": "service"},
                "operations": {
                    "get": {
                        "duration": "1ms",
                        "attributes": {"k": {"value": 3.0}, "synth.service": {"value": "own"}},
                        "logs": [
                            log("{k} {s} {synth.service} {synth.operation} {own}"),
                            log("{k}", attributes={"k": {"value": True}}),
                        ],
                    }
                },
            }
        },
        traffic={"rate": "10/s"},
    )
    assert sorted(Written(model, [100 * MS]).texts()) == [
        "3 service own {synth.operation} {own}",
        "true",
    ]


def test_a_refused_request_says_why() -> None:
    model = topology(
        {
            "web": {
                "attributes": {"team": "a"},
                "operations": {
                    "get": {
                        "duration": "100ms",
                        "queue_depth": 1,
                        "logs": [log("{synth.rejected} {synth.rejection_reason} {team}")],
                    }
                },
            }
        },
        traffic={"rate": "40/s"},
    )
    refused, admitted = "true queue_full {team}", "{synth.rejected} {synth.rejection_reason} a"
    assert set(Written(model, [200 * MS]).texts()) == {refused, admitted}


def test_sequences_count_the_spans() -> None:
    model = one([log("{n}", attributes={"n": {"sequence": "no {n}"}})])
    assert Written(model, [300 * MS]).texts() == ["no 1", "no 2", "no 3"]


@given(st.integers(0, 2**63 - 1) | st.integers(0, 7200).map(lambda s: s * oracle.SECOND_NS))
def test_durations_are_printed_as_go_does(duration_ns: int) -> None:
    assert print_duration(duration_ns) == oracle.go_duration(duration_ns)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (20 * MS, "20ms"),
        (1_500 * MS, "1.5s"),
        (60_000 * MS, "1m0s"),
        (3_600_000 * MS, "1h0m0s"),
        (90_061_001 * MS, "25h1m1.001s"),
    ],
)
def test_the_forms_of_durations(duration_ns: int, text: str) -> None:
    assert print_duration(duration_ns) == text == oracle.go_duration(duration_ns)
