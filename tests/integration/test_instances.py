"""Instances of services in a whole run: the same ones on every worker, for every signal."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.integration.collected import resource_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.collector import Collector
    from tests.integration.locust_runs import Locusts

LIFE_S, PODS = 8, 4
TOPOLOGY: dict[str, Any] = {
    "version": 1,
    "services": {
        "edge": {
            "instances": {"count": 3, "weights": {"2": 4}},
            "instance_attributes": {"pod": "edge-{n}"},
            "metrics": [{"name": "edge.spans", "type": "counter"}],
            "operations": {
                "get": {"duration": "4ms", "calls": ["edge.check", "cart.load"]},
                "check": {"duration": "1ms"},
            },
        },
        "cart": {
            "instances": {"count": PODS, "restart_every": f"{LIFE_S}s"},
            "instance_attributes": {"pod": "cart-{n}-{id}", "restarts": "{restart}"},
            "metrics": [{"name": "cart.spans", "type": "counter"}],
            "logs": [{"severity": "ERROR", "body": "no", "condition": "error"}],
            "operations": {
                "load": {"duration": "3ms", "error_rate": "1%", "calls": ["cart.price"]},
                "price": {"duration": "1ms"},
            },
        },
    },
    "traffic": {"rate": "3000/s"},
    "scenarios": [
        {
            "name": "one bad pod",
            "at": "0s",
            "duration": "1h",
            "override": {"cart.load": {"instances": {"3": {"error_rate": "50%"}}}},
        }
    ],
}


def near(found: int, of: int, share: float) -> bool:
    """Within 4 standard errors."""
    return abs(found - of * share) < 4 * math.sqrt(of * share * (1 - share))


def test_forty_pods_stay_forty_however_many_processes_play_them(
    locust: Locusts, collector: Callable[..., Collector], tmp_path: Path
) -> None:
    path = tmp_path / "pods.yaml"
    path.write_text(json.dumps(TOPOLOGY))  # JSON is YAML
    sink = collector()
    finished = locust.cluster(
        *("--topology", path, "--host", sink.endpoint, "--headless"),
        *("--users", "2", "--spawn-rate", "2", "--run-time", "6s"),
        *("--signals", "traces,metrics,logs", "--metrics-interval", "1s"),
    ).wait()
    sink.stop()
    assert finished.code == 0, finished.stderr
    spans, metrics, records = sink.spans(), sink.metrics(), sink.records()
    pod = {each.span.span_id: resource_text(each.resource, "pod") for each in spans}
    arrival_ns = {
        each.span.trace_id: each.span.start_time_unix_nano - finished.epoch_ns
        for each in spans
        if not each.span.parent_span_id
    }

    ids = defaultdict(set)
    for each in spans:
        instance = resource_text(each.resource, "service.instance.id")
        ids[resource_text(each.resource, "pod")].add(instance)
        if each.service == "cart":
            number = int(resource_text(each.resource, "pod").split("-")[1])
            restarts = int(resource_text(each.resource, "restarts"))
            first_s = LIFE_S * number / PODS
            lived = arrival_ns[each.span.trace_id] / 1e9 - first_s + LIFE_S
            assert restarts == lived // LIFE_S
            assert resource_text(each.resource, "pod").endswith(instance[:8])
        if each.span.name in ("check", "price"):
            assert pod[each.span.span_id] == pod[each.span.parent_span_id]
    assert all(len(each) == 1 for each in ids.values())
    assert {each for each in ids if each.startswith("edge")} == {"edge-1", "edge-2", "edge-3"}

    gets = Counter(pod[each.span.span_id] for each in spans if each.span.name == "get")
    loads: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for each in spans:
        if each.span.name == "load":
            number = int(pod[each.span.span_id].split("-")[1])
            loads[number] += 1
            failed[number] += each.span.status.code == Status.STATUS_CODE_ERROR
    for number, share in ((1, 1 / 6), (2, 4 / 6), (3, 1 / 6)):
        assert near(gets[f"edge-{number}"], gets.total(), share)
    for number in range(1, PODS + 1):
        assert near(loads[number], loads.total(), 1 / PODS)
        assert near(failed[number], loads[number], 0.5 if number == 3 else 0.01)

    counted: Counter[str] = Counter()
    workers = defaultdict(set)
    last = {}
    for each in metrics:
        for point in each.points:
            named = {key.key: key.value for key in point.attributes}
            worker = named["motel.worker"].int_value
            name = resource_text(each.resource, "pod")
            last[name, worker, named["operation.name"].string_value] = point.as_int
            workers[name].add(worker)
    for (name, _, _), value in last.items():
        counted[name] += value
    assert counted == Counter(pod.values())
    assert all(each == {0, 1} for name, each in workers.items() if name.startswith("edge"))

    wrong = [each for each in spans if each.span.status.code == Status.STATUS_CODE_ERROR]
    assert len(records) == len(wrong) > failed.total()
    for each in records:
        assert resource_text(each.resource, "pod") == pod[each.record.span_id]
