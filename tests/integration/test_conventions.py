"""Domains and files of rows in a cluster: only the master has them, and all workers use them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from motel_locust.topology.conventions import read_conventions
from motel_locust.topology.reading import read_topology
from tests.integration.collector import Collector
from tests.integration.locust_runs import Locusts
from tests.oracles.contents import plain
from tests.oracles.traces import judge

REGISTRY = """
groups:
  - id: registry.shop
    attributes:
      - {id: shop.order.items, type: int, examples: [1, 2, 7]}
      - {id: shop.order.kind, type: {members: [{id: own, value: own}, {id: gift, value: gift}]}}
      - {id: shop.express, type: boolean}
      - {id: shop.weight, type: double, examples: [1, 2.5]}
"""
TOPOLOGY = """
version: 1
services:
  shop:
    operations:
      order:
        duration: 1ms
        domain: shop
        attributes:
          town: {rows: {file: towns/shops.csv, column: town, weight: size}}
          street: {rows: {file: towns/shops.csv, column: street}}
        calls: [shop.save]
      save: {duration: 1ms, domain: db, attributes: {db.system.name: {value: mysql}}}
traffic: {rate: 50/s}
"""


SHOPS = "town,street,size\nYork,Mill Lane,3\nBath,Quay,2\nCork,High Street,1\n"


def test_workers_need_no_folder_of_conventions_and_no_file_of_rows(
    locust: Locusts, collector: Callable[..., Collector], tmp_path: Path
) -> None:
    sink, folder, path = collector(), tmp_path / "conventions", tmp_path / "master-only.yaml"
    folder.mkdir()
    (folder / "shop.yaml").write_text(REGISTRY)
    path.write_text(TOPOLOGY)
    (tmp_path / "towns").mkdir()
    (tmp_path / "towns" / "shops.csv").write_text(SHOPS)
    topology = read_topology(str(path), read_conventions(str(folder))).topology
    cluster = locust.cluster(
        *("--topology", path, "--semconv", folder, "--host", sink.endpoint, "--seed", "5"),
        *("--headless", "--users", "2", "--spawn-rate", "2", "--run-time", "3s"),
    )
    cluster.master.wait_for_users()
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "towns")
    finished = cluster.wait()
    assert finished.code == 0, finished.stderr
    sink.stop()

    spans = sink.spans()
    assert len(spans) == finished.ledger["accepted"] == finished.ledger["generated"] > 100
    assert judge(topology, spans, epoch_ns=finished.epoch_ns).faults == []
    orders = [plain(each.span.attributes) for each in spans if each.span.name == "order"]
    assert {each["shop.order.kind"] for each in orders} == {"own", "gift"}
    assert {each["shop.weight"] for each in orders} == {1.0, 2.5}
    rows = {tuple(line.split(",")[:2]) for line in SHOPS.splitlines()[1:]}
    assert {(each["town"], each["street"]) for each in orders} == rows


def test_a_registry_that_is_broken_starts_nothing(locust: Locusts, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "broken.yaml").write_text("groups:\n  - id: [x\n")
    path = tmp_path / "t.yaml"
    path.write_text(TOPOLOGY)
    finished = locust.run(
        *("--topology", path, "--semconv", tmp_path / "registry", "--host", "discard://"),
        *("--headless", "--users", "1", "--run-time", "1s"),
    )
    assert finished.code == 2
    assert "broken.yaml:3:1: not YAML: " in finished.stderr
    assert "unknown-domain" not in finished.stderr
    assert "Traceback" not in finished.stderr
