"""Several kinds of user in one locustfile: topologies with weights, and an HttpUser beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from motel_locust.otlp.receiver_process import RunningReceiver
from tests.integration.child import ROOT
from tests.integration.locust_runs import Locusts
from tests.integration.web import Web

LOCUSTFILE = f'''
from locust import HttpUser, constant_throughput, task

from motel_locust import TopologyUser


class Browsing(TopologyUser):
    weight = 3
    topology = "{ROOT / "topologies" / "four-services.yaml"}"
    rate = "20/s"


class Greeting(TopologyUser):
    weight = 1
    topology = "{ROOT / "topologies" / "hello.yaml"}"
    arrivals = "poisson"


class Clicking(HttpUser):
    fixed_count = 2
    host = "{{site}}"
    wait_time = constant_throughput(10)

    @task
    def click(self):
        self.client.get("/")
'''


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.visits[self.path] += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.visits = Counter()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def test_classes_work_side_by_side(
    locust: Locusts, receiver: RunningReceiver, site: ThreadingHTTPServer, tmp_path: Path
) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(LOCUSTFILE.format(site=f"http://127.0.0.1:{site.server_port}"))
    run = locust.start(
        locustfile=locustfile, env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    )
    run.wait_for_web()
    web, child = Web(run.url), run.child

    # Of ten users two click, and the rest are dealt three to one.
    assert web.start(10, 10)["success"]
    child.until(lambda: web.telemetry()["users"] == "8", "at 8 users of topologies")
    child.until(lambda: web.figures()["user_count"] == 10, "at 10 users in all")
    child.until(lambda: '"Browsing": 6, "Clicking": 2, "Greeting": 2' in child.stderr, "dealt")
    child.until(lambda: receiver.report()["services"].keys() >= {"gateway", "hello"}, "received")
    child.until(lambda: site.visits["/"] > 20, "clicking")
    assert web.telemetry()["rate asked"] == "130.0"  # 6 of 20/s and 2 of 5/s
    assert web.start(6, 10)["success"]
    child.until(lambda: web.telemetry()["users"] == "4", "at 4 users of topologies")
    web.stop()
    child.until(lambda: web.state() == "stopped", "stopped")

    ledger, report = run.summary()["ledger"]["traces"], receiver.report()
    assert ledger["generated"] == ledger["accepted"] == report["spans"]
    rows = {row["name"]: row for row in web.figures()["stats"]}
    assert rows["spans"]["num_requests"] == report["spans"]
    assert rows["/"]["num_requests"] == site.visits["/"]
    total = report["spans"] + site.visits["/"]
    assert rows["Aggregated"]["num_requests"] == total
    assert web.telemetry()["users"] == "0"
    assert run.stop().code == 0
