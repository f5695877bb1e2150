from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from motel_locust.commands.receive import receive, show
from motel_locust.otlp.judge import FaultCount
from motel_locust.otlp.settings import Flags, resolve
from motel_locust.otlp.tally import Report
from motel_locust.otlp.transports import open_transport
from tests.oracles.misbehaving import Misbehaving
from tests.otlp.trace_requests import trace_request

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = "from motel_locust.commands.receive import receive; receive()"


@contextmanager
def receiving(*options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", "--grpc-port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def send(endpoint: str, *contents: bytes, protocol: str = "http/protobuf") -> None:
    transport = open_transport(resolve(Flags(endpoint=endpoint, protocol=protocol), {}))
    for content in contents:
        transport.send(content, 1)
    transport.close()


def headless(spans: int) -> bytes:
    """Return a trace whose root is missing."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(trace_request(spans))
    del request.resource_spans[0].scope_spans[0].spans[0]
    return request.SerializeToString()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_report(ending: signal.Signals) -> None:
    with receiving() as process:
        announced = process.stderr.readline()
        http, grpc = re.fullmatch(
            "Receiving OTLP at (http://127.0.0.1:[0-9]+), over gRPC at (http://127.0.0.1:[0-9]+);"
            " Ctrl-C ends with a report\n",
            announced,
        ).groups()
        send(http, trace_request(3))
        send(grpc, trace_request(2), protocol="grpc")
        process.send_signal(ending)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["requests", "2"] in lines
    assert ["spans", "5"] in lines
    assert ["traces", "2"] in lines
    assert ["shop", "5", "0", "0"] in lines
    assert out.endswith("2 of 2 traces judged: no faults\n")


def test_json_is_an_endpoint_and_a_report_and_a_fault_is_a_bad_verdict() -> None:
    with receiving("--json", "--settle", "0s") as process:
        endpoints = json.loads(process.stdout.readline())
        assert set(endpoints) == {"endpoint", "grpc_endpoint"}
        send(endpoints["endpoint"], headless(3))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "")
    report = json.loads(out)
    assert report["spans"] == 2
    assert set(report["faults"]) == {"missing parent", "no root"}
    assert report["faults"]["no root"]["traces"] == 1


def in_a_process_of_its_own(*options: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, where gevent has not patched the threads that gRPC needs."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_ends_by_itself_when_its_time_is_over() -> None:
    began_s = time.monotonic()
    done = in_a_process_of_its_own("--port", "0", "--grpc-port", "0", "--for", "100ms")
    assert done.returncode == 0
    assert time.monotonic() - began_s >= 0.1
    assert "requests" in done.stdout


@pytest.mark.parametrize(
    ("option", "other"), [("--port", "--grpc-port"), ("--grpc-port", "--port")]
)
def test_a_taken_port_is_one_message(option: str, other: str) -> None:
    with Misbehaving() as taken:
        port = taken.url.rpartition(":")[2]
        done = in_a_process_of_its_own(option, port, other, "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: cannot listen on 127.0.0.1:{port}: address already in use;"
        " choose another address with --host, --port and --grpc-port\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "70000 is not in the range"),
        (["--for", "10"], "'--for': "),
        (["--for", "-1s"], "-1s is below 0"),
        (["--host", "nowhere.invalid", "--port", "0"], "cannot listen on nowhere.invalid:0: "),
    ],
)
def test_wrong_options_are_wrong_usage(options: list[str], message: str) -> None:
    done = CliRunner().invoke(receive, options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_table_shows_faults_with_an_example_and_how_many_traces_were_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report(
        requests=12,
        refused=1,
        bytes=1_234_567,
        spans=8000,
        traces=2000,
        points=5,
        records=0,
        services={"cart": {"spans": 8000}, "a longer name": {"points": 5}},
        judged=500,
        unfinished=2,
        redelivered=7,
        faults={"no root": FaultCount(3, "trace 01: it has none")},
    )
    show(report)
    assert capsys.readouterr().out.splitlines() == [
        "received      count",
        "requests         12  1 refused",
        "bytes     1,234,567",
        "spans         8,000  7 of those judged came again",
        "traces        2,000",
        "points            5",
        "records           0",
        "",
        "service        spans  points  records",
        "cart           8,000       0        0",
        "a longer name      0       5        0",
        "",
        "500 of 2,000 traces judged, 1 in 4.0, chosen by a hash of their ids;"
        " 2 were still coming in",
        "fault    traces  such as",
        "no root       3  trace 01: it has none",
    ]
