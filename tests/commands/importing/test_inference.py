"""What single habits of traces are taken for. The whole is judged by the round trip."""

from __future__ import annotations

import pytest

from motel_locust.commands.importing.draft import Draft, DraftCall, DraftOperation
from motel_locust.commands.importing.faults import ImportFault
from motel_locust.commands.importing.inference import infer
from motel_locust.commands.importing.intake import Intake
from motel_locust.commands.importing.shelf import Shelf

MS = 1_000_000
CONSUMER = 5


class Traces:
    """Spans of one service, by trace; an id is the number of the span in its trace, from 1."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, int, str, float, float, dict[str, object]]] = []
        self._trace = 0

    def trace(self, *spans: tuple[str, int, float, float], **every: object) -> None:
        """Add a trace of (operation, parent, start, end), times in ms; a second after the last."""
        self._trace += 1
        for number, (name, parent, start, end) in enumerate(spans, 1):
            extra = every.get(name, {})
            assert isinstance(extra, dict)
            self.spans.append((self._trace, number, parent, name, start, end, extra))

    def draft(self, *, most: int = 1 << 20, min_traces: int = 1) -> Draft:
        with Shelf(most=most) as shelf:
            intake = Intake(shelf, most_values=1)
            service = intake.service("shop")
            for trace, number, parent, name, start, end, extra in self.spans:
                origin = trace * 1000 * MS
                intake.add(
                    service.operation(name),
                    (),
                    trace_id=trace.to_bytes(16, "big"),
                    span_id=number.to_bytes(8, "big"),
                    parent_id=parent.to_bytes(8, "big"),
                    start_ns=origin + round(start * MS),
                    end_ns=origin + round(end * MS),
                    **{"failed": False, **extra},  # type: ignore[arg-type]
                )
                if most < 1000:
                    intake.settle()
            intake.settle()
            return infer(shelf, intake, min_traces=min_traces, everything=False, break_cycles=False)


def operation(draft: Draft, name: str) -> DraftOperation:
    return draft.services["shop"].operations[name]


def call(draft: Draft, name: str, target: str) -> DraftCall:
    return {each.target: each for each in operation(draft, name).calls}[f"shop.{target}"]


def findings(draft: Draft) -> str:
    return "\n".join(map(str, draft.findings))


def test_own_time_is_what_callers_did_not_wait_for() -> None:
    traces = Traces()
    for _ in range(5):
        traces.trace(("a", 0, 0, 30), ("b", 1, 5, 15), ("c", 1, 5, 25))
        traces.trace(("d", 0, 0, 30), ("b", 1, 5, 15), ("c", 1, 15, 25))
    draft = traces.draft()
    assert operation(draft, "a").duration.value == "10ms"
    assert operation(draft, "a").style is None
    assert operation(draft, "d").duration.value == "10ms"
    assert operation(draft, "d").style is not None


@pytest.mark.parametrize("extra", [{"kind": CONSUMER}, {"detached": True}, {}])
def test_a_call_is_detached_by_kind_by_reference_or_by_outliving(extra: dict[str, object]) -> None:
    traces = Traces()
    for _ in range(10):
        end = 8 if extra else 50
        traces.trace(("a", 0, 0, 10), ("b", 1, 5, end), b=extra)
    draft = traces.draft()
    assert call(draft, "a", "b").detached
    assert operation(draft, "a").duration.value == "10ms"


def test_calls_in_a_row_stand_in_the_order_of_their_starts() -> None:
    traces = Traces()
    for _ in range(5):
        traces.trace(("a", 0, 0, 30), ("z", 1, 5, 10), ("b", 1, 10, 25), ("m", 1, 25, 26))
    targets = [each.target for each in operation(traces.draft(), "a").calls]
    assert targets == ["shop.z", "shop.b", "shop.m"]


def test_short_calls_in_a_row_do_not_look_parallel() -> None:
    traces = Traces()
    for _ in range(5):
        traces.trace(("a", 0, 0, 1), ("b", 1, 0.2, 0.4), ("c", 1, 0.4, 0.5))
    assert operation(traces.draft(), "a").style is not None


@pytest.mark.parametrize("invocations", [19, 40])
def test_calls_that_follow_failed_ones_are_retries_if_they_are_many(invocations: int) -> None:
    traces = Traces()
    failed = {"failed": True}
    for number in range(invocations):
        traces.trace(("a", 0, 0, 40), ("b", 1, 5, 10), ("b", 1, 13, 20))
        # Only the first attempt failed; the caller did not.
        first = next(i for i, span in enumerate(traces.spans) if span[0] == number + 1) + 1
        traces.spans[first] = (*traces.spans[first][:-1], failed)
    found = call(traces.draft(), "a", "b")
    if invocations < 20:
        assert (found.count, found.retries) == (2, None)
    else:
        assert found.count == 1
        assert found.retries is not None
        assert found.backoff is not None
        assert (found.retries.value, found.backoff.value) == ("1", "3ms")


def test_calls_that_are_given_up_tell_the_timeout_and_are_tried_again() -> None:
    traces = Traces()
    for number in range(40):
        # Given up after 20 ms, tried again 5 ms later; every other time that is given up too.
        late = number % 2
        end = 60 if late else 50
        traces.trace(
            ("a", 0, 0, end),
            ("b", 1, 10, 36),
            ("b", 1, 35, 90 if late else 40),
            a={"failed": bool(late)},
        )
    found = call(traces.draft(), "a", "b")
    assert found.retries is not None
    # The second attempt: 60 ms less 10 ms of work after it, less its start.
    assert found.timeout is not None
    assert found.timeout.value == "15ms"
    assert found.backoff is not None
    assert found.backoff.value == "10ms"


def test_roots_that_are_called_as_well_are_listed_with_their_weights() -> None:
    traces = Traces()
    for _ in range(30):
        traces.trace(("a", 0, 0, 10), ("b", 1, 2, 4))
    for _ in range(10):
        traces.trace(("b", 0, 0, 2))
    roots = {ref: each.value for ref, each in traces.draft().roots.items()}
    assert roots == {"shop.a": "30", "shop.b": "10"}


def test_spans_whose_callers_were_lost_do_not_make_a_root() -> None:
    traces = Traces()
    for _ in range(60):
        traces.trace(("a", 0, 0, 10), ("b", 1, 2, 4))
    traces.trace(("b", 99, 0, 2))
    draft = traces.draft()
    assert draft.roots == {}
    assert "spans whose parent is not there, taken for roots: 1" in findings(draft)


def test_even_roots_need_no_weights() -> None:
    traces = Traces()
    for number in range(100):
        traces.trace(("a" if number % 2 else "b", 0, 0, 10))
    assert traces.draft().roots == {}


def test_what_the_language_cannot_say_is_found() -> None:
    traces = Traces()
    for number in range(40):
        tail = 400 if number % 20 == 0 else 1
        twice = [("b", 1, 2, 4)] * (1 + number % 2)
        traces.trace(("a", 0, 0, 10), *twice, b={"failed": True})
        traces.trace(("t", 0, 0, tail))
    told = findings(traces.draft())
    assert "shop.a -> shop.b: 1.5 calls at a time on average" in told
    assert "shop.a -> shop.b: 40 callers succeeded though this call failed" in told
    assert "shop.t: its own time varies by" in told
    assert "the mean is kept" in told


def test_what_rests_on_few_samples_is_found() -> None:
    traces = Traces()
    for number in range(30):
        rare = [("b", 1, 2, 4)] if number < 3 else []
        traces.trace(("a", 0, 0, 10), *rare)
    told = findings(traces.draft(min_traces=20))
    assert "shop.b: duration and error rate rest on 3 spans (0 errors)" in told
    assert "shop.a -> shop.b: its probability rests on 3 calls of 30 spans" in told
    assert "shop.a: duration" not in told


def test_a_rare_call_is_not_taken_for_one_with_a_condition() -> None:
    traces = Traces()
    for number in range(1000):
        rare = [("b", 1, 2, 4)] if number % 67 == 0 else []
        traces.trace(("a", 0, 0, 10), *rare, a={"failed": number % 25 == 0})
    found = call(traces.draft(), "a", "b")
    assert (found.condition, found.probability) == ("", "0.015")


def test_forests_on_disk_tell_the_same_as_one_in_memory() -> None:
    traces = Traces()
    for number in range(200):
        failed = {"failed": number % 5 == 0}
        traces.trace(
            ("a", 0, 0, 30 + number % 7), ("b", 1, 5, 15), ("c", 1, 15, 20 + number % 3), a=failed
        )
    assert traces.draft(most=50) == traces.draft()


def test_names_that_hold_ids_are_found() -> None:
    traces = Traces()
    for number in range(210):
        traces.trace((f"GET /user/{number}", 0, 0, 10))
    assert "210 of 210 operations came once: do their names hold ids?" in findings(traces.draft())


def test_spans_that_are_all_their_own_ancestors_are_no_traces() -> None:
    traces = Traces()
    traces.trace(("a", 1, 0, 10))
    with pytest.raises(ImportFault, match="no trace has a beginning"):
        traces.draft()
