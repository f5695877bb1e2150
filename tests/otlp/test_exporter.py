from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from motel_locust.otlp.delivery import Answer, Body, Cause
from motel_locust.otlp.exporter import Exporter, ExporterError, Settled
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.settings import Flags, Settings, resolve
from motel_locust.otlp.transports import open_transport
from tests.oracles import misbehaving as does
from tests.oracles.clocks import PatientClock
from tests.oracles.misbehaving import Misbehaving
from tests.oracles.scripted import free_port
from tests.otlp.trace_requests import body


def settings(url: str, timeout: str = "10s") -> Settings:
    return resolve(Flags(endpoint=url, timeout=timeout), {})


def half() -> float:
    return 0.5  # the jitter's middle: waits are exactly 0.5 s, 1 s, 2 s, ...


class Scripted:
    """A transport that answers from a script, and accepts after its end."""

    def __init__(self, *answers: Answer | BaseException) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, content: bytes, items: int) -> Answer:
        self.sent.append(content)
        gevent.sleep(0)
        answer = self.answers.pop(0) if self.answers else Answer(Cause.ACK)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


class Blocked(Scripted):
    """A transport that keeps every body until it is let go."""

    def __init__(self, *answers: Answer | BaseException) -> None:
        super().__init__(*answers)
        self.go = Event()

    def send(self, content: bytes, items: int) -> Answer:
        self.go.wait()
        return super().send(content, items)


def exporter_of(transport, ledger=None, *, clock=None, **options) -> Exporter:
    clock = clock or PatientClock()
    return Exporter(
        transport,
        ledger or Ledger(),
        now=clock.now,
        wait=clock.wait,
        jitter=half,
        **options,
    )


def deliver(url: str, *bodies: Body, timeout: str = "10s", connections: int = 1) -> Ledger:
    """Deliver *bodies* over HTTP, drained for as long as it takes; return the ledger."""
    ledger = Ledger()
    clock = PatientClock()
    exporter = exporter_of(
        open_transport(settings(url, timeout)), ledger, clock=clock, connections=connections
    )
    for each in bodies:
        exporter.offer(each)
    exporter.drain(60.0)
    exporter.close()
    return ledger


def assert_agree(ledger: Ledger, endpoint: Misbehaving) -> None:
    """The endpoint's own count lies between accepted and accepted + ambiguous."""
    counts = ledger["traces"]
    counts.check()
    assert counts.pending == 0
    assert counts.accepted <= endpoint.spans <= counts.accepted + counts.ambiguous


MISBEHAVIOURS = {
    "accepts": ([does.accept], {"accepted": 3}),
    "reads slowly": ([does.read_slowly], {"accepted": 3}),
    "400": ([does.status("400 Bad Request")], {"rejected": 3}),
    "redirects": ([does.status("307 Temporary Redirect", "Location: /x")], {"rejected": 3}),
    "refuses early": ([does.refuse_early], {"rejected": 3}),
    "partial success": ([does.partial(2)], {"accepted": 1, "rejected": 2}),
    "429 with Retry-After": (
        [does.status("429 Too Many Requests", "Retry-After: 7")],
        {"accepted": 3},
    ),
    "503": ([does.status("503 Service Unavailable")] * 2, {"accepted": 3}),
    "504": ([does.status("504 Gateway Timeout")], {"accepted": 3, "ambiguous": 3}),
    "resets mid-body": ([does.reset_mid_body], {"accepted": 3, "ambiguous": 3}),
    "resets, having counted": ([does.reset_before_answer] * 2, {"accepted": 3, "ambiguous": 6}),
    "resets, having forgotten": ([does.forget_and_reset], {"accepted": 3, "ambiguous": 3}),
    "resets mid-answer": ([does.reset_mid_answer], {"accepted": 3, "ambiguous": 3}),
    "closes mid-head": ([does.close_mid_head], {"accepted": 3, "ambiguous": 3}),
    "answers no HTTP": ([does.not_http], {"accepted": 3, "ambiguous": 3}),
    "200 with garbage": ([does.garbage_with_200], {"failed": 3, "ambiguous": 3}),
    "200 without keeping": ([does.forget_with_200], {"failed": 3, "ambiguous": 3}),
    "accepts and closes": ([does.accept_and_close], {"accepted": 3}),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_the_ledger_agrees_with_an_endpoint_that_misbehaves(name: str) -> None:
    script, expected = MISBEHAVIOURS[name]
    with Misbehaving(*script) as endpoint:
        ledger = deliver(endpoint.url, body(3, padding=100_000))
        assert_agree(ledger, endpoint)
    found = {key: n for key, n in ledger["traces"].as_dict().items() if n and key != "generated"}
    assert found == expected


@pytest.mark.parametrize("act", [does.hang, does.trickle])
def test_an_answer_that_does_not_come_in_time_is_ambiguous_and_tried_again(act: does.Act) -> None:
    with Misbehaving(act) as endpoint:
        ledger = deliver(endpoint.url, body(3), timeout="50ms")
        assert_agree(ledger, endpoint)
        assert endpoint.requests == 2
    assert ledger["traces"].accepted == 3
    assert ledger["traces"].ambiguous == 3


def test_a_refused_connection_is_given_up_in_time_and_not_ambiguous() -> None:
    with free_port() as port:
        ledger = deliver(f"http://127.0.0.1:{port}", body(3))
    assert ledger.as_dict()["traces"]["failed"] == 3
    assert ledger["traces"].ambiguous == 0
    reasons = {"failed": {"not accepted within 60 s: connection refused": 3}}
    assert ledger.reasons() == {"traces": reasons}


ACTS = st.sampled_from(
    [
        *(act for script, _ in MISBEHAVIOURS.values() for act in script[:1]),
        does.status("502 Bad Gateway"),
        does.status("418 I'm a teapot"),
    ]
)


@examples(deadline=None, max_examples=60)  # sockets take the time they take
@given(st.lists(ACTS, max_size=8), st.integers(0, 6), st.integers(1, 3))
def test_whatever_an_endpoint_does_the_ledger_agrees_with_it(
    script: list[does.Act], bodies: int, connections: int
) -> None:
    with Misbehaving(*script) as endpoint:
        ledger = deliver(endpoint.url, *(body(3) for _ in range(bodies)), connections=connections)
        assert_agree(ledger, endpoint)
        if not ledger["traces"].ambiguous:
            assert endpoint.spans == ledger["traces"].accepted
    assert ledger["traces"].generated == 3 * bodies


CAUSES = (
    *(Cause.ACK, Cause.REFUSAL, Cause.PUSHBACK, Cause.UNREACHABLE, Cause.LOSS),
    *(Cause.GARBLED, Cause.UNWRITABLE),
)
ANSWERS = st.builds(
    Answer,
    st.sampled_from(CAUSES),
    reason=st.just("because"),
    retry_after_s=st.sampled_from([None, 0.0, 1.0, 100.0]),
) | st.builds(Answer, st.just(Cause.ACK), reason=st.just("partial success"), rejected=st.just(2))


@examples(deadline=None)
@given(
    st.lists(ANSWERS, max_size=12),
    st.lists(st.integers(2, 9), max_size=8),
    st.integers(1, 3),
    st.integers(0, 1500),
)
def test_any_sequence_of_causes_keeps_the_ledger_balanced(
    answers: list[Answer], sizes: list[int], connections: int, queue_bytes: int
) -> None:
    ledger = Ledger()
    settled: list[Settled] = []

    def note(one: Settled) -> None:
        ledger["traces"].check()
        settled.append(one)

    exporter = exporter_of(
        Scripted(*answers),
        ledger,
        connections=connections,
        queue_bytes=queue_bytes,
        on_settled=note,
    )
    for size in sizes:
        exporter.offer(body(size))
        ledger["traces"].check()
    exporter.drain(60.0)
    counts = ledger["traces"]
    assert (counts.pending, counts.generated) == (0, sum(sizes))
    assert len(settled) == len(sizes)
    for outcome in ("accepted", "rejected", "failed", "dropped"):
        assert sum(getattr(one, outcome) for one in settled) == getattr(counts, outcome)
    assert (exporter.bodies, exporter.size) == (0, 0)


def test_waits_double_up_to_a_limit_until_the_body_is_too_old() -> None:
    clock = PatientClock()
    down = [Answer(Cause.UNREACHABLE, "connection refused")] * 100
    exporter = exporter_of(Scripted(*down), clock=clock)
    exporter.offer(body())
    exporter.drain(60.0)
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]


def test_retry_after_is_honoured_as_it_is() -> None:
    clock = PatientClock()
    busy = Answer(Cause.PUSHBACK, "HTTP 429 Too Many Requests", retry_after_s=7.0)
    exporter = exporter_of(Scripted(busy), clock=clock)
    exporter.offer(body())
    exporter.drain(60.0)
    assert clock.waits == [7.0]


def test_a_retry_after_beyond_the_bodys_time_ends_it_at_once() -> None:
    clock, ledger = PatientClock(), Ledger()
    busy = Answer(Cause.PUSHBACK, "HTTP 503 Service Unavailable", retry_after_s=61.0)
    exporter = exporter_of(Scripted(busy), ledger, clock=clock)
    exporter.offer(body(3))
    exporter.drain(60.0)
    assert clock.waits == []
    assert ledger["traces"].failed == 3


def test_a_body_that_waits_for_its_retry_leaves_the_connection_to_others() -> None:
    returns = Event()
    transport = Scripted(Answer(Cause.PUSHBACK))
    first, second = body(padding=1), body(padding=2)
    exporter = Exporter(
        transport, Ledger(), connections=1, wait=lambda _: returns.wait(), now=lambda: 1000.0
    )
    exporter.offer(first)
    exporter.offer(second)
    while exporter.bodies > 1:
        gevent.sleep(0)
    assert transport.sent == [first.content, second.content]
    returns.set()
    exporter.drain(60.0)
    assert transport.sent == [first.content, second.content, first.content]


def test_a_full_queue_drops_the_newest_body() -> None:
    ledger, transport = Ledger(), Blocked()
    old, new = body(3), body(4)
    exporter = exporter_of(transport, ledger, queue_bytes=len(old.content) + 1)
    assert exporter.offer(old)
    assert not exporter.room(len(new.content))
    assert not exporter.offer(new)
    assert ledger.reasons() == {"traces": {"dropped": {"queue full": 4}}}
    transport.go.set()
    exporter.drain(60.0)
    assert transport.sent == [old.content]
    assert ledger["traces"].accepted == 3


def test_bodies_in_flight_and_backing_off_take_room_too() -> None:
    returns = Event()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        returns.wait()

    one, transport = body(), Scripted(Answer(Cause.PUSHBACK))
    exporter = Exporter(
        transport, Ledger(), queue_bytes=len(one.content), wait=wait, now=lambda: 1000.0
    )
    exporter.offer(one)
    assert not exporter.room(1), "queued"
    while not transport.sent:
        gevent.sleep(0)
    assert not exporter.room(1), "in flight"
    while not waits:
        gevent.sleep(0)
    assert not exporter.room(1), "backing off"
    returns.set()
    exporter.drain(60.0)
    assert exporter.room(1)


def test_a_body_larger_than_the_whole_queue_is_taken_when_nothing_else_is_under_way() -> None:
    ledger = Ledger()
    exporter = exporter_of(Scripted(), ledger, queue_bytes=10)
    assert exporter.offer(body(3))
    exporter.drain(60.0)
    assert ledger["traces"].accepted == 3


def test_what_is_left_after_the_drain_has_failed_and_a_later_answer_counts_no_more() -> None:
    ledger, transport = Ledger(), Blocked()
    exporter = exporter_of(transport, ledger, connections=1)
    exporter.offer(body(3))
    exporter.offer(body(4))
    gevent.sleep(0)  # the first is in flight now
    exporter.drain(0.0)
    transport.go.set()
    gevent.sleep(0)
    counts = ledger["traces"]
    assert (counts.failed, counts.pending, counts.accepted) == (7, 0, 0)
    assert counts.ambiguous == 3, "only the one in flight may have arrived"
    assert ledger.reasons() == {"traces": {"failed": {"not delivered before the end": 7}}}
    exporter.drain(0.0)
    assert counts.failed == 7


def test_a_drain_of_bodies_that_back_off_tells_their_last_reason() -> None:
    ledger, backing_off = Ledger(), Event()

    def wait(_: float) -> None:
        backing_off.set()
        Event().wait()

    refused = Scripted(Answer(Cause.UNREACHABLE, "connection refused"))
    exporter = Exporter(refused, ledger, wait=wait, now=lambda: 1000.0)
    exporter.offer(body(3))
    backing_off.wait()
    exporter.drain(0.0)
    why = "not delivered before the end: connection refused"
    assert ledger.reasons() == {"traces": {"failed": {why: 3}}}


def test_an_interrupted_try_is_ambiguous_and_agrees_with_the_endpoint() -> None:
    with Misbehaving(does.hang) as endpoint:
        ledger = Ledger()
        exporter = exporter_of(open_transport(settings(endpoint.url)), ledger)
        exporter.offer(body(3))
        while not endpoint.spans:
            gevent.sleep(0)
        exporter.close()
        assert_agree(ledger, endpoint)
    assert ledger["traces"].failed == 3


def test_nothing_can_be_offered_after_the_drain() -> None:
    exporter = exporter_of(Scripted())
    exporter.drain(0.0)
    with pytest.raises(RuntimeError, match="3 items were offered after the drain"):
        exporter.offer(body(3))


def test_a_bug_of_ours_fails_the_items_and_surfaces_at_the_drain(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ledger = Ledger()
    exporter = exporter_of(Scripted(ZeroDivisionError("ours")), ledger, connections=2)
    exporter.offer(body(3))
    exporter.offer(body(4))
    with pytest.raises(ExporterError) as caught:
        exporter.drain(60.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert ledger.reasons() == {"traces": {"failed": {"internal error": 3}}}
    assert ledger["traces"].accepted == 4
    assert "ZeroDivisionError: ours" in capfd.readouterr().err


def test_a_bug_in_the_callback_loses_nothing_from_the_ledger(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def buggy(settled: Settled) -> None:
        raise KeyError(settled.reason)

    ledger = Ledger()
    exporter = exporter_of(Scripted(), ledger, connections=1, on_settled=buggy)
    exporter.offer(body(3))
    exporter.offer(body(4))
    with pytest.raises(ExporterError):
        exporter.drain(0.05)
    counts = ledger["traces"]
    assert (counts.accepted, counts.failed, counts.pending) == (3, 4, 0)
    assert "KeyError" in capfd.readouterr().err


def test_what_is_told_of_a_body_includes_its_waits_and_retries() -> None:
    settled: list[Settled] = []
    clock = PatientClock()
    transport = Blocked(Answer(Cause.PUSHBACK, retry_after_s=4.0))
    exporter = exporter_of(transport, clock=clock, connections=1, on_settled=settled.append)
    sent, queued = body(3), body(5)
    exporter.offer(sent)
    exporter.offer(queued)
    gevent.sleep(0)
    clock.now_s += 1.0
    transport.go.set()
    exporter.drain(60.0)
    by_items = {one.accepted: one for one in settled}
    assert by_items[3].latency_s == 5.0
    assert by_items[3].queue_s == 0.0
    assert by_items[3].size == len(sent.content)
    assert by_items[5].queue_s >= 1.0


def test_only_as_many_bodies_are_in_flight_as_there_are_connections() -> None:
    with Misbehaving(*[does.read_slowly] * 10) as endpoint:
        bodies = [body(3, padding=10_000) for _ in range(10)]
        ledger = deliver(endpoint.url, *bodies, connections=3)
        assert endpoint.connections == 3
    assert ledger["traces"].accepted == 30


def test_closing_closes_the_transport_and_may_be_repeated() -> None:
    transport = Scripted()
    exporter = exporter_of(transport)
    exporter.close()
    exporter.close()
    assert transport.closed
