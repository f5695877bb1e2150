from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from click.testing import CliRunner
from gevent import subprocess

from motel_locust.commands import main
from tests.commands.invoked import START, environment, invoke
from tests.oracles import misbehaving_grpc
from tests.oracles.misbehaving import (
    Misbehaving,
    accept,
    garbage_with_200,
    hang,
    partial,
    reset_before_answer,
    status,
)
from tests.oracles.misbehaving_grpc import MisbehavingGrpc

if TYPE_CHECKING:
    from pathlib import Path

ONE = ("emit", "--service", "shop", "--operation", "GET /cart")
FAST = ("--rate", "1000/s")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def spans(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        span
        for request in requests
        for of_resource in request["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]


def started(*options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", START, *ONE, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        bufsize=0,  # communicate() would pass over what readline() had read ahead
    )


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in attributes}


def test_a_span_is_what_the_options_say_and_marked_as_synthetic(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    done = invoke(
        *ONE,
        *("--endpoint", f"file://{path}", "--span-duration", "1.5ms", "--kind", "consumer"),
        *("--attr", "customer.tier=vip", "--attr", "query=a=b", "--error-rate", "100%"),
        env={"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=other", "OTEL_SDK_DISABLED": "true"},
    )
    assert (done.code, done.out) == (0, "")
    [request] = lines(path.read_text())
    [of_resource] = request["resourceSpans"]
    resource = plain(of_resource["resource"]["attributes"])
    assert (resource["service.name"], resource["team"]) == ("shop", "a")
    assert resource["telemetry.sdk.name"] == "opentelemetry"
    assert resource["motel.version"]
    assert plain(of_resource["scopeSpans"][0]["scope"]["attributes"]) == {"motel.synthetic": True}
    [span] = spans([request])
    assert (span["name"], span["kind"], span["status"]["code"]) == ("GET /cart", 5, 2)
    assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == 1_500_000
    assert plain(span["attributes"]) == {
        "synth.service": "shop",
        "synth.operation": "GET /cart",
        "customer.tier": "vip",
        "query": "a=b",
    }
    assert [event["name"] for event in span["events"]] == ["exception"]
    assert "1 span, 1 of them errors," in done.err


def test_telemetry_on_standard_output_keeps_the_statistics_away_from_it() -> None:
    done = invoke(*ONE, "--stdout", "--count", "3", *FAST, "--json")
    assert len({span["traceId"] for span in spans(lines(done.out))}) == 3
    statistics = json.loads(done.err)
    assert statistics["ledger"]["traces"]["accepted"] == 3


def test_a_span_can_join_a_trace() -> None:
    trace_id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    done = invoke(*ONE, "--stdout", "--trace-id", trace_id, "--parent", parent)
    [span] = spans(lines(done.out))
    assert (span["traceId"], span["parentSpanId"]) == (trace_id, parent)


@pytest.mark.parametrize(
    ("act", "counts", "loss"),
    [
        (accept, (5, 0, 0, 0), {}),
        (partial(2), (3, 2, 0, 0), {"rejected": {"partial success: too old": 2}}),
        (status("401 Denied"), (0, 5, 0, 0), {"rejected": {"HTTP 401 Unauthorized: no": 5}}),
        (status("302 Found"), (0, 5, 0, 0), {"rejected": {"HTTP 302 Found: no": 5}}),
        (garbage_with_200, (0, 0, 5, 5), {"failed": {"unreadable answer with HTTP 200 OK": 5}}),
        (hang, (0, 0, 5, 5), {"failed": {"no answer in time": 5}}),
    ],
)
def test_every_span_is_accounted_for_by_what_the_endpoint_said(
    act: Any, counts: tuple[int, ...], loss: dict[str, Any]
) -> None:
    with Misbehaving(act) as endpoint:
        done = invoke(
            *ONE, "--count", "5", *FAST, "--endpoint", endpoint.url, "--timeout", "1s", "--json"
        )
    statistics = json.loads(done.out)
    traces = statistics["ledger"]["traces"]
    assert tuple(traces[name] for name in ("accepted", "rejected", "failed", "ambiguous")) == counts
    assert traces["generated"] == 5
    assert traces["pending"] == traces["dropped"] == 0
    assert statistics["losses"].get("traces", {}) == loss
    assert done.code == (0 if counts[0] == 5 else 1)
    assert counts[0] <= endpoint.spans <= counts[0] + counts[3]


def test_a_lost_answer_is_ambiguous_and_the_retry_may_come_twice() -> None:
    with Misbehaving(reset_before_answer) as endpoint:
        done = invoke(*ONE, "--count", "4", *FAST, "--endpoint", endpoint.url, "--json")
    counts = json.loads(done.out)["ledger"]["traces"]
    assert (done.code, counts["accepted"], counts["ambiguous"]) == (0, 4, 4)
    assert endpoint.spans == 8


def test_over_grpc_partial_success_and_refusal_are_seen_too() -> None:
    script = (misbehaving_grpc.partial(2), misbehaving_grpc.status(16, "who are you?"))
    with MisbehavingGrpc(*script) as endpoint:
        options = ("--protocol", "grpc", "--endpoint", endpoint.url, "--json")
        some = json.loads(invoke(*ONE, "--count", "5", *FAST, *options).out)
        none = json.loads(invoke(*ONE, "--count", "5", *FAST, *options).out)
    assert some["ledger"]["traces"]["accepted"] == 3
    assert some["ledger"]["traces"]["rejected"] == 2
    assert none["ledger"]["traces"]["rejected"] == 5
    assert none["losses"]["traces"] == {"rejected": {"gRPC UNAUTHENTICATED: who are you?": 5}}


def test_headers_are_sent_and_a_flag_is_final_even_if_empty() -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=a", "OTEL_TRACES_SAMPLER": "always_off"}
    with Misbehaving() as endpoint:
        to = ("--endpoint", endpoint.url, "--compression", "gzip")
        # A compressed body is not what this endpoint counts; only the heads matter here.
        endpoint.script = [status("200 OK"), status("200 OK")]
        invoke(*ONE, *to, env=variables)
        invoke(*ONE, *to, "--headers", "", env=variables)
    first, second = (head.lower() for head in endpoint.heads)
    assert b"x-team: a" in first
    assert b"content-encoding: gzip" in first
    assert b"x-team" not in second


def test_the_statistics_have_the_keys_of_a_run() -> None:
    done = invoke(*ONE, "--count", "20", *FAST, "--endpoint", "discard://", "--json")
    statistics = json.loads(done.out)
    assert list(statistics["simulation"]) == [
        *("traces", "spans", "errors", "failed_traces", "timeouts", "retries", "spans_bounded"),
        *("queue_rejections", "circuit_breaker_trips", "elapsed_ms", "traces_per_second"),
        *("spans_per_second", "error_rate", "trace_error_rate"),
    ]
    assert statistics["simulation"]["spans"] == 20
    assert len(statistics["last"]["trace_id"]) == 32


def test_a_duration_and_a_rate_make_a_count() -> None:
    done = invoke(
        *ONE, "--duration", "200ms", "--rate", "100/s", "--endpoint", "discard://", "--json"
    )
    assert json.loads(done.out)["simulation"]["spans"] == 20


def test_whichever_of_count_and_duration_comes_first() -> None:
    options = ("--rate", "100/s", "--endpoint", "discard://", "--json")
    few = invoke(*ONE, "--duration", "10s", "--count", "2", *options)
    short = invoke(*ONE, "--duration", "50ms", "--count", "1000", *options)
    assert json.loads(few.out)["simulation"]["spans"] == 2
    assert json.loads(short.out)["simulation"]["spans"] == 5


@pytest.mark.parametrize("rate", ["100/s", "5000/s"])
def test_a_signal_ends_it_with_the_account_of_what_was_sent(rate: str) -> None:
    process = started("--stdout", "--count", "-1", "--rate", rate, "--json")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    sent = len(spans(lines((first + out).decode())))
    counts = json.loads(err)["ledger"]["traces"]
    assert (process.returncode, counts["generated"], counts["accepted"]) == (0, sent, sent)


def test_a_signal_ends_an_export_that_hangs() -> None:
    with Misbehaving(hang) as endpoint:
        process = started("--endpoint", endpoint.url, "--count", "-1", "--rate", "100/s", "--json")
        with gevent.Timeout(30):
            while not endpoint.spans:
                gevent.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    account = json.loads(out)
    assert process.returncode == 1
    assert account["losses"] == {"traces": {"failed": {"interrupted": endpoint.spans}}}
    assert account["ledger"]["traces"]["ambiguous"] == endpoint.spans


def test_nothing_to_send_is_nothing() -> None:
    assert CliRunner().invoke(main, [*ONE, "--count", "0"]).output == ""


def test_an_endpoint_that_nobody_is_at_is_a_bad_verdict() -> None:
    done = invoke(*ONE, "--endpoint", "127.0.0.1:1")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "Error: --endpoint: http://127.0.0.1:1/v1/traces cannot be reached: connection refused;"
        " motel-locust doctor tells more, --stdout needs no endpoint\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--attr", "novalue"], '"novalue" is not key=value'),
        (["--attr", "=x"], '"=x" is not key=value'),
        (["--rate", "10"], "is not of the form N/unit"),
        (["--error-rate", "130%"], "130% is above 100%"),
        (["--span-duration", "0"], "0 is not above 0"),
        (["--duration", "-1s"], "-1s is below 0"),
        (["--parent", "b7ad6b7169203331"], "--parent needs --trace-id"),
        (["--trace-id", "xyz"], "32 lower-case hexadecimal digits"),
        (["--trace-id", "0" * 32], "not all 0"),
        (["--protocol", "http/json"], '"http/json" is not a protocol'),
        (["--compression", "zstd"], "cannot compress with zstd; use gzip or none"),
        (["--stdout", "--endpoint", "x"], "--stdout and --endpoint exclude each other"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_wrong_options_are_wrong_usage(options: list[str], message: str) -> None:
    done = CliRunner(env={"OTEL_EXPORTER_OTLP_ENDPOINT": None}).invoke(main, [*ONE, *options])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
