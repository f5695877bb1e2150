"""A topology generates traces; what is imported from these must be that topology again.

And so must what is imported from what *that* one generates. Tolerances are four standard errors of
the samples at hand, see :mod:`tests.commands.importing.expressible`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from benchmarks.importing import bodies
from motel_locust.commands.importing import formats
from motel_locust.commands.importing.faults import Place
from motel_locust.commands.importing.inference import infer
from motel_locust.commands.importing.intake import Intake
from motel_locust.commands.importing.shelf import Shelf
from motel_locust.commands.importing.writing import written
from motel_locust.otlp.lines import request_line
from motel_locust.topology import linking
from motel_locust.topology.reading import Source, parse_topology, read_topology
from tests.commands.importing.expressible import (
    ERRORS,
    ROUNDING,
    SEEN,
    Nearness,
    attempt_failure,
    attributes,
    expressible,
    reached,
    samples_of,
)
from tests.engine.topologies import topologies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from motel_locust.commands.importing.draft import Statement
    from motel_locust.topology.model import Call, Topology

TRACES = 4000
MORE_TRACES = {"errors-and-cascades": 13_000, "fan-out": 1500, "long-tails": 12_000}
"""One in 200 fails by itself, and 30 must to tell a condition; 31 spans a trace tell enough; one
in 280 is given up, and 20 must be to tell a timeout."""
RATE_SHARE = 0.02

EVERYTHING = """
version: 1
services:
  gate:
    resource_attributes: {zone: a}
    attributes: {team: edge}
    operations:
      open:
        duration: 20ms +/- 5ms
        error_rate: 10%
        call_style: sequential
        calls:
          - cart.load
          - {target: stock.check, probability: 0.4}
          - {target: pay.charge, retries: 2, retry_backoff: 7ms}
          - {target: gate.report, condition: on-error}
          - {target: gate.thank, condition: on-success, probability: 0.5}
          - {target: mail.send, async: true}
      report: {duration: 2ms}
      thank: {duration: 1ms +/- 100us}
      browse:
        duration: 8ms +/- 2ms
        calls:
          - {target: cart.load, count: 3}
          - stock.check
  cart: {operations: {load: {duration: 4ms +/- 1ms}}}
  stock: {operations: {check: {duration: 300us +/- 50us, error_rate: 0.5%}}}
  pay: {operations: {charge: {duration: 30ms +/- 8ms, error_rate: 30%}}}
  mail: {operations: {send: {duration: 200ms +/- 50ms, error_rate: 20%}}}
traffic: {rate: 30/s}
"""
"""Everything that is inferred, in one topology."""

EXAMPLES = sorted(Path("topologies").glob("*.yaml"))


def imported(content: bytes) -> tuple[Topology, dict[str, Statement]]:
    with Shelf() as shelf:
        intake = Intake(shelf, most_values=20)
        assert formats.take_spans(io.BytesIO(content), Place("made"), intake, "auto")
        intake.settle()
        draft = infer(shelf, intake, min_traces=1, everything=True, break_cycles=False)
    text = written(draft)
    return parse_topology(Source("imported", text.encode())).topology, draft.statements()


def framed(requests: Iterable[bytes]) -> bytes:
    return b"".join(len(each).to_bytes(4, "big") + each for each in requests)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_comes_back(path: Path) -> None:
    come_back(expressible(read_topology(str(path)).topology), MORE_TRACES.get(path.stem, TRACES))


def test_everything_that_is_inferred_comes_back() -> None:
    come_back(parse_topology(Source("everything", EVERYTHING.encode())).topology, 6000)


def come_back(truth: Topology, traces: int) -> None:
    once, statements = imported(framed(bodies(truth, traces=traces, seed=11)))
    compare(once, truth, statements, Nearness(1))
    again, statements = imported(framed(bodies(once, traces=traces, seed=12)))
    compare(again, truth, statements, Nearness(2))


@settings(max_examples=30, deadline=None)
@given(topologies(guarded=True))
def test_whatever_is_generated_can_be_imported_and_generated_again(truth: Topology) -> None:
    once, _ = imported(framed(bodies(truth, traces=120)))
    again, _ = imported(framed(bodies(once, traces=120)))
    for later, earlier in ((once, truth), (again, once)):
        assert set(linking.operations(later)) <= set(linking.operations(earlier))


def test_lines_of_json_and_messages_of_protobuf_tell_the_same() -> None:
    truth = read_topology("topologies/retries-and-timeouts.yaml").topology
    requests = list(bodies(truth, traces=300))
    lines = "".join(f"{request_line(each, 'traces')}\n" for each in requests).encode()
    assert imported(lines) == imported(framed(requests))


def compare(
    found: Topology, truth: Topology, statements: dict[str, Statement], near: Nearness
) -> None:
    compare_traffic(found, truth, statements, near)
    operations, wanted = reached(found), reached(truth)
    spans = {ref: samples_of(statements, f"{ref}: duration") for ref in wanted}
    # Whatever was seen is there; what is too rare for the sample may be missing.
    assert set(operations) == {ref for ref in wanted if spans[ref]}
    for name, service in found.services.items():
        assert service.resource_attributes == truth.services[name].resource_attributes
    for ref, operation in operations.items():
        true, where = wanted[ref], f"{ref}, {spans[ref]} spans"
        assert near.duration(operation, true, spans[ref]), where
        tried = samples_of(statements, f"{ref}: error_rate") or spans[ref]
        assert near.share(operation.error_rate, true.error_rate, tried), where
        waited = [call for call in true.calls if not call.detached and not call.condition]
        often = sum(max(1, call.count) for call in waited if call.probability in (0, 1))
        if often > 1:
            assert operation.call_style == true.call_style, where
        compare_calls(ref, found, truth, spans=spans[ref], near=near)
        compare_attributes(ref, found, truth, spans=spans[ref], near=near)


def compare_traffic(
    found: Topology, truth: Topology, statements: dict[str, Statement], near: Nearness
) -> None:
    assert found.traffic is not None
    assert truth.traffic is not None
    poisson = truth.traffic.arrivals == "poisson"
    traces = statements["traffic.rate"].samples
    slack = RATE_SHARE + (near.errors / traces**0.5 if poisson else 0)
    assert found.traffic.rate.per_s == pytest.approx(truth.traffic.rate.per_s, rel=slack)
    assert (found.traffic.arrivals == "poisson") == poisson
    roots, wanted = linking.roots(found), linking.roots(truth)
    assert roots.keys() <= wanted.keys()
    for ref, weight in wanted.items():
        share, true = roots.get(ref, 0) / sum(roots.values()), weight / sum(wanted.values())
        assert near.share(share, true, traces), ref


def compare_calls(
    ref: str, found: Topology, truth: Topology, *, spans: int, near: Nearness
) -> None:
    calls = {call.target: call for call in reached(found)[ref].calls}
    operation = reached(truth)[ref]
    wanted = {call.target: call for call in operation.calls}
    assert calls.keys() <= wanted.keys()
    for target, true in wanted.items():
        where = f"{ref} -> {target}, {spans} spans"
        share = true.probability or 1.0
        own_errors = spans * operation.error_rate
        if true.condition and min(own_errors, spans - own_errors) < SEEN:
            # Too few of one sort to tell a condition: it stays a probability.
            rate = operation.error_rate
            share *= rate if true.condition == "on-error" else 1 - rate
            condition, samples = None, float(spans)
        else:
            condition = true.condition
            of = {None: spans, "on-error": own_errors, "on-success": spans - own_errors}
            samples = of[condition]
        if target not in calls:
            assert near.share(0.0, share, samples), where
            continue
        call = calls[target]
        assert call.condition == condition, where
        assert near.share(call.probability or 1.0, share, samples), where
        assert (call.detached, call.producer) == (true.detached, true.producer), where
        assert call.count == max(1, true.count), where
        compare_attempts(call, true, truth, calls=samples * share, where=where)


def compare_attempts(call: Call, true: Call, truth: Topology, *, calls: float, where: str) -> None:
    failed = attempt_failure(true, truth)
    if calls * failed < SEEN:
        assert call.retries <= true.retries, where
        return
    # The last attempt that is allowed must have been seen a few times.
    if calls * failed**true.retries > ERRORS**2:
        assert call.retries == true.retries, where
        assert call.retry_backoff == pytest.approx(true.retry_backoff, rel=ROUNDING), where
    given_up = failed - attempt_failure(true.model_copy(update={"timeout": None}), truth)
    if calls * given_up > SEEN:
        assert call.timeout == pytest.approx(true.timeout, rel=2 * ROUNDING), where


def compare_attributes(
    ref: str, found: Topology, truth: Topology, *, spans: int, near: Nearness
) -> None:
    said, wanted = attributes(ref, found), attributes(ref, truth)
    # Baggage is no attribute of the topology, but of its spans.
    assert {key for key in said if not key.startswith("baggage.")} == wanted.keys(), ref
    for key, true in wanted.items():
        assert near.generator(said[key], true, spans), f"{ref}, {key}, {spans} spans"
