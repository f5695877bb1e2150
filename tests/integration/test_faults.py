"""Endpoints that misbehave: what a run says it lost agrees with what the endpoint counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest
from gevent import Greenlet
from gevent.pool import Pool

from tests.integration.child import ROOT
from tests.integration.locust_runs import Finished, LocustRun, Locusts
from tests.integration.web import Web
from tests.oracles import misbehaving, misbehaving_grpc
from tests.oracles.misbehaving import Act, Misbehaving
from tests.oracles.misbehaving_grpc import MisbehavingGrpc

TOPOLOGY = ROOT / "topologies" / "four-services.yaml"


@dataclass(frozen=True)
class Case:
    """What the endpoint does with some of the requests, and what that must come to.

    Requests that the script leaves over are accepted.
    """

    script: tuple[Act | misbehaving_grpc.Act, ...]
    losses: frozenset[str] = frozenset()
    """The ends, other than accepted, that some spans must come to."""
    ambiguous: bool | None = False
    """Whether answers were lost of requests that may have been counted; None: chance decides."""
    endpoint: type[Misbehaving | MisbehavingGrpc] = Misbehaving


ok, refused = misbehaving.accept, misbehaving.status("400 Bad Request")
unavailable = misbehaving.status("503 Service Unavailable")
too_many = misbehaving.status("429 Too Many Requests", "Retry-After: 1")
REJECTED, FAILED = frozenset({"rejected"}), frozenset({"failed"})

HTTP_CASES = {
    "accepts and closes": Case((misbehaving.accept_and_close,) * 5, ambiguous=None),
    "resets mid-body": Case((ok, *[misbehaving.reset_mid_body, ok] * 2), ambiguous=True),
    "resets after counting": Case(
        (ok, misbehaving.reset_before_answer, misbehaving.reset_mid_answer), ambiguous=True
    ),
    "resets without counting": Case((ok, misbehaving.forget_and_reset), ambiguous=True),
    "closes mid-head": Case((ok, misbehaving.close_mid_head), ambiguous=True),
    "hangs": Case((ok, misbehaving.hang, ok, misbehaving.hang), ambiguous=True),
    "answers drop by drop": Case((ok, misbehaving.trickle), ambiguous=True),
    "400": Case((ok, refused, ok, refused), losses=REJECTED),
    "413 before it has read": Case((ok, misbehaving.refuse_early), losses=REJECTED),
    "429 with Retry-After": Case((ok, too_many, too_many, ok)),
    "503": Case((ok, unavailable, unavailable, unavailable)),
    "partial success": Case((misbehaving.partial(5), ok, misbehaving.partial(1)), losses=REJECTED),
    "is no HTTP": Case((ok, misbehaving.not_http), ambiguous=True),
    "garbage with 200, counted": Case(
        (ok, misbehaving.garbage_with_200), losses=FAILED, ambiguous=True
    ),
    "garbage with 200, forgotten": Case(
        (ok, misbehaving.forget_with_200), losses=FAILED, ambiguous=True
    ),
    "all at once": Case(
        (
            *(ok, refused, unavailable, misbehaving.reset_mid_body, misbehaving.hang),
            *(misbehaving.partial(3), too_many, misbehaving.reset_before_answer),
            *(misbehaving.garbage_with_200, misbehaving.accept_and_close),
        ),
        losses=REJECTED | FAILED,
        ambiguous=True,
    ),
}

yes, no = misbehaving_grpc.accept, misbehaving_grpc.status(3)
reset, garbage = misbehaving_grpc.reset_before_answer, misbehaving_grpc.garbage
later, gone = misbehaving_grpc.later, misbehaving_grpc.status(14)


def grpc_case(
    *script: misbehaving_grpc.Act,
    losses: frozenset[str] = frozenset(),
    ambiguous: bool | None = False,
) -> Case:
    return Case(script, losses, ambiguous, MisbehavingGrpc)


GRPC_CASES = {
    "gRPC accepts and closes": grpc_case(*[misbehaving_grpc.accept_and_close] * 5, ambiguous=None),
    "gRPC resets mid-body": grpc_case(
        yes, *[misbehaving_grpc.reset_mid_body, yes] * 2, ambiguous=True
    ),
    "gRPC resets after counting": grpc_case(
        yes, reset, misbehaving_grpc.reset_mid_answer, ambiguous=True
    ),
    "gRPC resets without counting": grpc_case(
        yes, misbehaving_grpc.forget_and_reset, ambiguous=True
    ),
    "gRPC ends streams": grpc_case(
        *(yes, misbehaving_grpc.end_the_stream(2), misbehaving_grpc.end_the_stream(7)),
        misbehaving_grpc.end_without_a_status,
        ambiguous=True,
    ),
    "gRPC goes away": grpc_case(yes, misbehaving_grpc.go_away, ambiguous=True),
    "gRPC hangs": grpc_case(yes, misbehaving_grpc.hang, yes, misbehaving_grpc.hang, ambiguous=True),
    "gRPC INVALID_ARGUMENT": grpc_case(yes, no, yes, no, losses=REJECTED),
    "gRPC RESOURCE_EXHAUSTED": grpc_case(yes, misbehaving_grpc.status(8), losses=REJECTED),
    "gRPC RESOURCE_EXHAUSTED with RetryInfo": grpc_case(yes, later(8, 0.6), later(8, 0.6), yes),
    "gRPC UNAVAILABLE": grpc_case(yes, gone, gone, gone, ambiguous=True),
    "gRPC UNAVAILABLE with RetryInfo": grpc_case(yes, later(14, 0.6), later(14, 0.2)),
    "gRPC partial success": grpc_case(
        misbehaving_grpc.partial(5), yes, misbehaving_grpc.partial(1), losses=REJECTED
    ),
    "gRPC garbage, counted": grpc_case(yes, garbage, losses=FAILED, ambiguous=True),
    "gRPC garbage, forgotten": grpc_case(
        yes, misbehaving_grpc.forget_with_garbage, losses=FAILED, ambiguous=True
    ),
    "gRPC says too much": grpc_case(yes, misbehaving_grpc.flood, losses=FAILED, ambiguous=True),
    "gRPC all at once": grpc_case(
        *(yes, no, gone, misbehaving_grpc.reset_mid_body, misbehaving_grpc.hang),
        *(misbehaving_grpc.partial(3), later(8, 0.3), reset, garbage),
        *(misbehaving_grpc.accept_and_close, misbehaving_grpc.end_the_stream(2)),
        losses=REJECTED | FAILED,
        ambiguous=True,
    ),
}

CASES = HTTP_CASES | GRPC_CASES


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and how many spans its endpoint counted."""

    finished: Finished
    counted: int

    def agreed(self) -> dict[str, int]:
        """Return the ledger, after a look that it is balanced and agrees with the endpoint."""
        ledger = self.finished.ledger
        ends = sum(ledger[end] for end in ("accepted", "rejected", "failed", "dropped"))
        assert ledger["generated"] == ends == self.finished.simulation["spans"] > 0
        assert ledger["pending"] == 0
        # So the two are equal where nothing is ambiguous.
        assert ledger["accepted"] <= self.counted <= ledger["accepted"] + ledger["ambiguous"]
        return ledger


def start(
    locusts: Locusts,
    endpoint: Misbehaving | MisbehavingGrpc,
    *options: str,
    mode: tuple[str, ...] = ("--headless",),
) -> LocustRun:
    if isinstance(endpoint, MisbehavingGrpc):
        options = ("--otlp-protocol", "grpc", *options)
    return locusts.start(
        *("--topology", TOPOLOGY, "--rate", "300/s", "--host", endpoint.url, *mode),
        *("--users", "1", "--run-time", "2s", "--otlp-timeout", "400ms", *options),
    )


def play(case: Case, directory: Path) -> Outcome:
    """Run into an endpoint of this process, which has its turns while the run is awaited."""
    locusts = Locusts(directory)
    try:
        with case.endpoint(*case.script) as endpoint:
            finished = start(locusts, endpoint).wait_beside(gevent.sleep)
            return Outcome(finished, endpoint.spans)
    finally:
        locusts.end()


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Greenlet]:
    """The outcomes of the cases that the chosen tests need, played four at a time."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and "outcomes" in item.fixturenames
    }
    pool = Pool(4)
    # spawn() waits for a free place, and others have their turns meanwhile.
    started = {
        name: pool.spawn(play, case, tmp_path_factory.mktemp("case"))
        for name, case in CASES.items()
        if name in wanted
    }
    pool.join(timeout=120)
    return started


@pytest.mark.parametrize("name", CASES)
def test_the_ledger_agrees_with_the_endpoint(name: str, outcomes: dict[str, Greenlet]) -> None:
    case, outcome = CASES[name], outcomes[name].get(timeout=0.1)

    ledger = outcome.agreed()
    assert {end for end in ("rejected", "failed", "dropped") if ledger[end]} == case.losses
    assert case.ambiguous is None or (ledger["ambiguous"] > 0) == case.ambiguous
    if case.losses:
        assert outcome.finished.code == 1
        lost = ledger["generated"] - ledger["accepted"]
        assert f"lost or unreported: {lost:,} of {ledger['generated']:,}" in outcome.finished.stderr
    else:
        assert outcome.finished.code == 0, outcome.finished.stderr


Endpoint = type[Misbehaving | MisbehavingGrpc]
both_protocols = pytest.mark.parametrize("kind", [Misbehaving, MisbehavingGrpc])


def closing_connections(kind: Endpoint) -> Misbehaving | MisbehavingGrpc:
    """Return an endpoint that accepts, and ends its connections with itself."""
    return kind(spawn=Pool())


def after_requests(run: LocustRun, endpoint: Misbehaving | MisbehavingGrpc, requests: int) -> None:
    """Return when *endpoint* has seen so many requests; it has its turns meanwhile."""

    def enough() -> bool:
        gevent.sleep(0.01)
        return endpoint.requests >= requests

    run.child.until(enough, f"sending {requests} requests")


@both_protocols
@pytest.mark.parametrize(("max_loss", "code"), [("0", 1), ("0.01", 1), ("100%", 0)])
def test_an_endpoint_that_goes_away(
    max_loss: str, code: int, kind: Endpoint, locust: Locusts
) -> None:
    with closing_connections(kind) as endpoint:
        run = start(locust, endpoint, "--max-loss", max_loss, "--drain", "0.5")
        after_requests(run, endpoint, 5)

    outcome = Outcome(run.wait_beside(gevent.sleep), endpoint.spans)

    ledger = outcome.agreed()
    assert outcome.finished.code == code, outcome.finished.stderr
    assert ledger["failed"] > 0.01 * ledger["generated"]
    reasons = outcome.finished.summary["losses"]["traces"]["failed"]
    assert sum(reasons.values()) == ledger["failed"]
    assert any("connection refused" in reason for reason in reasons)


@both_protocols
def test_an_endpoint_that_comes_back_gets_everything(kind: Endpoint, locust: Locusts) -> None:
    with closing_connections(kind) as before:
        run = start(locust, before, mode=("--autostart", "--autoquit", "0"))
        after_requests(run, before, 5)
    web = Web(run.url)
    run.child.until(
        lambda: int(web.telemetry()["spans pending"].replace(",", "")) > 600, "without an endpoint"
    )
    with kind(port=int(before.url.rpartition(":")[2])) as after:
        finished = run.wait_beside(gevent.sleep)

    outcome = Outcome(finished, before.spans + after.spans)
    ledger = outcome.agreed()
    assert (outcome.finished.code, ledger["accepted"]) == (0, ledger["generated"])
    assert before.spans > 0 < after.spans


@pytest.mark.parametrize("hang", [misbehaving.hang, misbehaving_grpc.hang])
def test_a_queue_that_is_full_drops_and_counts(
    hang: Act | misbehaving_grpc.Act, locust: Locusts
) -> None:
    kind = Misbehaving if hang is misbehaving.hang else MisbehavingGrpc
    with kind(*[hang] * 200) as endpoint:
        run = start(
            locust,
            endpoint,
            *("--rate", "20000/s", "--queue-size", str(8 << 20), "--drain", "0.1"),
        )
        outcome = Outcome(run.wait_beside(gevent.sleep), endpoint.spans)

    ledger = outcome.agreed()
    assert outcome.finished.code == 1
    assert ledger["dropped"] > 0 < ledger["failed"]
    assert outcome.finished.summary["losses"]["traces"]["dropped"] == {
        "queue full": ledger["dropped"]
    }
