from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import RecordedSpan, RecordedTrace
from motel_locust.engine.settling import ROOT, settle
from tests.oracles import recordings
from tests.recorded import START_NS, checkout, traces


def span(span_id: str, parent_id: str = "", *, start: int = 0, end: int = 10, service: str = "s"):
    return RecordedSpan(span_id, service, "o", START_NS + start, START_NS + end, parent_id)


def settled(*spans: RecordedSpan):
    return settle(RecordedTrace("t", spans))


@settings(max_examples=100)
@given(traces())
def test_a_trace_is_settled_as_in_plain_python(trace: RecordedTrace) -> None:
    found, places = settle(trace), range(len(trace.spans))
    parents = [ROOT if each is None else each for each in recordings.parents(trace)]
    assert found.parent == parents
    assert found.start_ns == [recordings.start_ns(trace, i) for i in places]
    assert found.end_ns == [recordings.end_ns(trace, i) for i in places]
    assert found.kind == [recordings.kind(trace, i) for i in places]
    assert found.failed == any(
        each.failed for each, parent in zip(trace.spans, parents, strict=True) if parent == ROOT
    )


def test_a_whole_trace_stays_as_it_is() -> None:
    trace = checkout()
    found = settle(trace)
    assert found.parent == [ROOT, 0, 1, 0]
    assert found.kind == [Kind.SERVER, Kind.CLIENT, Kind.CLIENT, Kind.INTERNAL]
    assert found.start_ns == [each.start_ns for each in trace.spans]
    assert found.end_ns == [each.end_ns for each in trace.spans]
    assert (found.orphans, found.circles, found.moved, found.failed) == (0, 0, 0, False)


def test_a_span_whose_parent_is_not_there_becomes_a_root() -> None:
    found = settled(span("a"), span("b", "x"))
    assert (found.parent, found.orphans) == ([ROOT, ROOT], 1)
    assert found.kind == [Kind.SERVER, Kind.SERVER]


def test_no_span_starts_before_its_parent_however_deep() -> None:
    found = settled(
        span("c", "b", start=-5, end=-4), span("b", "a", start=-3, end=30), span("a", start=1)
    )
    assert [each - START_NS for each in found.start_ns] == [1, 1, 1]
    assert [each - START_NS for each in found.end_ns] == [1, 30, 10]
    assert found.moved == 2


def test_the_first_of_spans_that_are_each_others_ancestors_becomes_a_root() -> None:
    found = settled(span("a", "c"), span("b", "a", start=-1), span("c", "b"), span("d", "d"))
    assert (found.parent, found.circles) == ([2, ROOT, 1, ROOT], 2)
    assert found.moved == 0


def test_of_spans_with_one_id_the_last_is_the_parent() -> None:
    found = settled(span("a"), span("a", start=5), span("b", "a", start=6))
    assert found.parent == [ROOT, ROOT, 1]


def test_a_trace_fails_with_any_root() -> None:
    failed = replace(span("b"), failed=True)
    assert settled(span("a"), failed).failed
    assert not settled(span("a"), replace(failed, parent_id="a")).failed
