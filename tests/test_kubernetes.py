"""deploy/kubernetes.yaml: names find what they name, all is pinned, limited and probed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from locust.argument_parser import get_parser

import motel_locust
from motel_locust.topology.reading import parse_topology
from motel_locust.topology.sources import Source

ROOT = Path(__file__).resolve().parents[1]

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Yield each Deployment's name, its pod and the one container in it."""
    for name, each in of_kind(manifests, "Deployment").items():
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        yield name, pod, container


def test_there_is_all_that_a_cluster_needs(manifests: list[Manifest]) -> None:
    assert sorted((each["kind"], each["metadata"]["name"]) for each in manifests) == [
        ("ConfigMap", "motel-locust-collector"),
        ("ConfigMap", "motel-locust-topology"),
        ("Deployment", "motel-locust-collector"),
        ("Deployment", "motel-locust-master"),
        ("Deployment", "motel-locust-worker"),
        ("Service", "motel-locust-collector"),
        ("Service", "motel-locust-master"),
    ]


def test_selectors_find_their_pods_and_no_others(manifests: list[Manifest]) -> None:
    deployments = of_kind(manifests, "Deployment")
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"] for name, each in deployments.items()
    }
    for name, each in deployments.items():
        assert each["spec"]["selector"]["matchLabels"] == labels[name]
    for name, service in of_kind(manifests, "Service").items():
        selected = [key for key, each in labels.items() if service["spec"]["selector"] == each]
        assert selected == [name]


def test_ports_are_named_by_their_containers(manifests: list[Manifest]) -> None:
    ports = {
        name: {each["name"]: each["containerPort"] for each in container.get("ports", ())}
        for name, _, container in pods(manifests)
    }
    for name, service in of_kind(manifests, "Service").items():
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
        for port in service["spec"]["ports"]:
            assert ports[name][port["targetPort"]] == port["port"]
    for name, _, container in pods(manifests):
        for probe in probes(container).values():
            asked = probe.get("httpGet") or probe.get("tcpSocket")
            assert asked is None or asked["port"] in ports[name]


def probes(container: Manifest) -> dict[str, Manifest]:
    return {key: each for key, each in container.items() if key.endswith("Probe")}


def test_every_container_is_pinned_limited_probed_and_bound(manifests: list[Manifest]) -> None:
    for _, pod, container in pods(manifests):
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", container["image"])
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert {"readinessProbe", "livenessProbe"} <= probes(container).keys()
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_what_is_mounted_is_there(manifests: list[Manifest]) -> None:
    maps = of_kind(manifests, "ConfigMap")
    for _, pod, container in pods(manifests):
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounted = [each["name"] for each in container["volumeMounts"]]
        assert sorted(mounted) == sorted(volumes)
        for volume in volumes.values():
            assert "emptyDir" in volume or volume["configMap"]["name"] in maps


def test_variables_are_options_and_name_what_is_there(manifests: list[Manifest]) -> None:
    assert motel_locust.TopologyUser  # its import is what adds our options to Locust's
    known = {action.env_var for action in get_parser()._actions if getattr(action, "env_var", None)}
    env = {
        name: {each["name"]: each.get("value") for each in container.get("env", ())}
        for name, _, container in pods(manifests)
    }
    assert {variable for each in env.values() for variable in each} <= known
    services = of_kind(manifests, "Service")
    assert env["motel-locust-worker"]["LOCUST_MASTER_NODE_HOST"] in services
    host = re.fullmatch(r"http://([\w-]+):4318", env["motel-locust-master"]["LOCUST_HOST"])
    assert host is not None
    assert host[1] in services
    topology = Path(env["motel-locust-master"]["LOCUST_TOPOLOGY"])
    assert topology.name in of_kind(manifests, "ConfigMap")["motel-locust-topology"]["data"]


def test_headers_come_from_a_secret_that_may_be_missing(manifests: list[Manifest]) -> None:
    (master,) = (container for name, _, container in pods(manifests) if name.endswith("master"))
    (headers,) = (each for each in master["env"] if "HEADERS" in each["name"])
    assert headers["valueFrom"]["secretKeyRef"] == {
        "name": "motel-locust", "key": "headers", "optional": True,
    }  # fmt: skip


def test_images_are_the_ones_that_compose_and_the_tests_have(manifests: list[Manifest]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    images = {name: container["image"] for name, _, container in pods(manifests)}
    assert images["motel-locust-collector"] == compose["services"]["collector"]["image"]
    ours = f"motel-locust:{motel_locust.__version__}"
    assert images["motel-locust-master"] == images["motel-locust-worker"] == ours


def test_probes_of_workers_ask_for_what_they_write(manifests: list[Manifest]) -> None:
    ((pod, container),) = (
        (pod, container) for name, pod, container in pods(manifests) if name.endswith("worker")
    )
    (file,) = (e["value"] for e in container["env"] if e["name"] == "LOCUST_HEARTBEAT_FILE")
    for probe in probes(container).values():
        assert any(file in word for word in probe["exec"]["command"])
    assert any(mount["mountPath"] == str(Path(file).parent) for mount in container["volumeMounts"])
    # The drain at a pod's end takes up to ten seconds.
    assert pod["terminationGracePeriodSeconds"] > 20


def test_the_topology_can_be_run(manifests: list[Manifest]) -> None:
    for name, text in of_kind(manifests, "ConfigMap")["motel-locust-topology"]["data"].items():
        assert parse_topology(Source(name, text.encode())).topology.traffic is not None


def test_the_collector_accepts_its_configuration(manifests: list[Manifest], otelcol: Path) -> None:
    text = of_kind(manifests, "ConfigMap")["motel-locust-collector"]["data"]["collector.yaml"]
    finished = subprocess.run(
        [otelcol, "validate", f"--config=yaml:{text}"], capture_output=True, text=True, timeout=60
    )
    assert (finished.returncode, finished.stderr) == (0, "")
