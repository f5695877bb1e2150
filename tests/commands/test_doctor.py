from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from motel_locust.commands import main
from tests.commands.invoked import invoke
from tests.oracles import misbehaving_grpc
from tests.oracles.misbehaving import Misbehaving, not_http
from tests.oracles.misbehaving_grpc import MisbehavingGrpc
from tests.otlp.encrypted import CERTIFICATE, https, tls_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracles.misbehaving import Act, Exchange


def doctor(*options: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    done = invoke("doctor", "--json", *options, env=env)
    assert done.err == ""
    return done.code, json.loads(done.out)


def steps(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(finding["step"], finding["verdict"]) for finding in report["findings"]]


def accepted(exchange: Exchange) -> None:
    """Keep any canary, and answer with a clock that is an hour ahead."""
    exchange.read()
    ahead = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    exchange.answer("200 OK", b"", f"Date: {ahead}")


def echoing(exchange: Exchange) -> None:
    """Refuse, and repeat the credentials."""
    exchange.read()
    exchange.answer("403 Forbidden", b"not for Bearer s3cret-word", "Content-Type: text/plain")


def test_every_signal_has_its_canary_and_the_clock_is_looked_at() -> None:
    with Misbehaving(accepted, accepted, accepted) as endpoint:
        code, report = doctor("--endpoint", endpoint.url, "--signals", "traces, metrics,logs")
    assert code == 0
    assert report["good"] is True
    each = [("dns", "good"), ("tcp", "good"), ("canary", "good"), ("clock", "warning")]
    assert steps(report) == each * 3
    assert report["findings"][3]["text"].startswith("the endpoint's clock is 3,600 s ahead of ours")
    paths = [head.split(b" ")[1] for head in endpoint.heads]
    assert paths == [b"/v1/traces", b"/v1/metrics", b"/v1/logs"]
    assert [
        bool(finding["ids"]) for finding in report["findings"] if finding["step"] == "canary"
    ] == [
        True,
        False,
        False,
    ]


def test_every_value_tells_where_it_came_from_and_secrets_stay_hidden() -> None:
    with Misbehaving(echoing) as endpoint:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url,
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1500",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret-word,x-empty=",
        }
        done = invoke("doctor", "--compression", "gzip", env=variables)
    assert done.code == 1
    assert "s3cret" not in done.out
    cells = [line.split("  ") for line in done.out.splitlines()]
    table = {row[1].strip(): (row[-2].strip(), row[-1].strip()) for row in map(shortened, cells)}
    assert table["endpoint"] == (f"{endpoint.url}/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert table["protocol"] == ("http/protobuf", "default")
    assert table["timeout"] == ("1.5s", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
    assert table["compression"] == ("gzip", "--compression")
    assert table["header authorization"] == ("<hidden>", "OTEL_EXPORTER_OTLP_HEADERS")
    assert table["header x-empty"] == ("<empty>", "OTEL_EXPORTER_OTLP_HEADERS")
    assert table["tls"] == ("no", "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert 'not accepted: HTTP 403 Forbidden ("not for <hidden> <hidden>")' in done.out
    assert "give credentials with --headers" in done.out


def shortened(cells: list[str]) -> list[str]:
    filled = [cell for cell in cells if cell.strip()]
    return filled if len(filled) > 2 else ["", "", "", ""]


def test_over_tls_the_certificate_is_looked_at() -> None:
    with tls_server(Misbehaving, accepted) as endpoint:
        address = https(endpoint)
        code, report = doctor("--endpoint", address, "--certificate", str(CERTIFICATE))
        distrusting, doubt = doctor("--endpoint", address)
    assert code == 0
    assert steps(report)[:3] == [("dns", "good"), ("tcp", "good"), ("tls", "good")]
    assert "certificate of localhost until 2126-10-30" in report["findings"][2]["text"]
    assert distrusting == 1
    assert steps(doubt)[-1] == ("tls", "bad")
    assert doubt["findings"][-1]["text"].startswith("certificate not trusted: self-signed")


def test_over_grpc_a_canary_is_accepted_or_the_reason_told() -> None:
    def accept(call: misbehaving_grpc.Call) -> None:
        call.begin()
        call.say()
        call.end(0)

    with MisbehavingGrpc(accept, misbehaving_grpc.status(12)) as endpoint:
        options = ("--protocol", "grpc", "--endpoint", endpoint.url)
        code, report = doctor(*options)
        refused, reason = doctor(*options, "--signals", "logs")
    assert (code, steps(report)[-1]) == (0, ("canary", "good"))
    assert (refused, steps(reason)[-1]) == (1, ("canary", "bad"))
    assert reason["findings"][-1]["text"].endswith("the receiver has no logs")


@pytest.mark.parametrize(
    ("act", "remedy"),
    [
        (not_http, "perhaps a port of gRPC: try --protocol grpc"),
        (None, "perhaps no TLS at this port: try http://"),
    ],
)
def test_the_usual_mismatches_are_recognised(act: Act | None, remedy: str) -> None:
    with Misbehaving(*([act] if act else [])) as endpoint:
        url = endpoint.url if act else endpoint.url.replace("http:", "https:")
        code, report = doctor("--endpoint", url)
    assert code == 1
    assert remedy in report["findings"][-1]["text"]


def run(*options: str, env: Mapping[str, str] | None = None) -> Any:
    """Run in this process: nothing here has to answer meanwhile."""
    unset = dict.fromkeys(
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], None
    )
    return CliRunner(env={**unset, **(env or {})}).invoke(main, ["doctor", *options])


def test_no_name_and_no_listener_are_told_with_what_to_do() -> None:
    unknown = run("--endpoint", "nowhere.invalid")
    assert unknown.exit_code == 1
    assert "nowhere.invalid has no address" in unknown.stdout
    closed = run("--endpoint", "127.0.0.1:1")
    assert closed.exit_code == 1
    assert "connection refused; nothing listens there" in closed.stdout


def test_without_a_network_it_is_enough_that_the_output_can_be_written(tmp_path: Path) -> None:
    good = run("--endpoint", f"file://{tmp_path}/spans.jsonl")
    assert good.exit_code == 0
    assert run("--endpoint", f"file://{tmp_path}/no/spans.jsonl").exit_code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--signals", "traces,profiles"], '"profiles" is not a signal; use traces, metrics, logs'),
        (["--timeout", "5"], '--timeout: "5" has no unit'),
        (["--endpoint", "ftp://x"], "--endpoint:"),
        (["--endpoint", "https://x", "--insecure"], "--insecure asks for plaintext"),
    ],
)
def test_settings_that_cannot_be_used_are_wrong_input(options: list[str], message: str) -> None:
    done = run(*options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_status_is_another_name_for_it() -> None:
    assert CliRunner().invoke(main, ["status", "--endpoint", "discard://"]).exit_code == 0
