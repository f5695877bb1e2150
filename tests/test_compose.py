"""docker-compose.yml and what belongs to it: pinned, without root, and in Locust's own words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from locust.argument_parser import get_parser

import motel_locust

ROOT = Path(__file__).resolve().parents[1]
LOCUSTS = ("master", "headless", "worker")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def dockerfile() -> list[str]:
    return (ROOT / "Dockerfile").read_text().splitlines()


def docker_compose_is_here() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


# .ci/run gives the file to the loader that docker compose is made with, so there is nothing to
# skip where the plugin is missing.
if docker_compose_is_here():

    def test_docker_compose_accepts_the_file() -> None:
        for profile in ("web", "headless"):
            command = ["docker", "compose", "--profile", profile, "config", "--quiet"]
            subprocess.run(command, cwd=ROOT, check=True)


def test_every_image_is_pinned(compose: dict[str, Any], dockerfile: list[str]) -> None:
    bases = [line.split()[1] for line in dockerfile if line.startswith("FROM ")]
    images = [each["image"] for each in compose["services"].values() if "build" not in each]

    assert bases
    assert images
    assert [image for image in bases + images if not PINNED.fullmatch(image)] == []


def test_the_image_does_not_run_as_root(dockerfile: list[str]) -> None:
    (user,) = (line.split()[1] for line in dockerfile if line.startswith("USER "))

    assert int(user) > 0


def test_every_service_has_its_limits(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name


def test_locust_is_watched(compose: dict[str, Any]) -> None:
    assert {name for name, each in compose["services"].items() if "healthcheck" in each} == {
        "master",
        "headless",
        "worker",
    }


def test_both_variants_have_one_master_whom_the_workers_find(compose: dict[str, Any]) -> None:
    services = compose["services"]
    profiles = {name: each.get("profiles", []) for name, each in services.items()}

    assert profiles == {
        "master": ["web"],
        "headless": ["headless"],
        "worker": ["web", "headless"],
        "collector": [],
        "jaeger": [],
    }
    assert services["headless"]["networks"]["default"]["aliases"] == ["master"]
    # The one that is not in the profile is not waited for.
    assert services["worker"]["depends_on"] == {
        name: {"condition": "service_healthy", "required": False} for name in ("master", "headless")
    }


def test_every_variable_is_an_option(compose: dict[str, Any], dockerfile: list[str]) -> None:
    """A misspelt variable would be ignored without a word."""
    assert motel_locust.TopologyUser  # its import is what adds our options to Locust's
    known = {action.env_var for action in get_parser()._actions if getattr(action, "env_var", None)}
    services = compose["services"]
    used = {name for each in LOCUSTS for name in services[each]["environment"]}
    used.update(re.findall(r"(LOCUST_\w+)=", "\n".join(dockerfile)))

    assert used - known == set()


def test_the_masters_load_the_collector(compose: dict[str, Any]) -> None:
    master, headless, worker = (compose["services"][name] for name in LOCUSTS)

    for each in (master, headless):
        assert each["environment"]["LOCUST_MODE_MASTER"] == "true"
        assert each["environment"]["LOCUST_HOST"] == "http://collector:4318"
    assert headless["environment"]["LOCUST_HEADLESS"] == "true"
    assert worker["environment"]["LOCUST_MODE_WORKER"] == "true"
    assert worker["environment"]["LOCUST_MASTER_NODE_HOST"] == "master"
    # As many as the master waits for.
    assert worker["deploy"]["replicas"] == headless["environment"]["LOCUST_EXPECT_WORKERS"]


def test_nothing_is_published_beyond_this_machine(compose: dict[str, Any]) -> None:
    published = [port for each in compose["services"].values() for port in each.get("ports", ())]

    assert published == ["127.0.0.1:8089:8089", "127.0.0.1:16686:16686"]


def test_what_is_mounted_and_copied_is_there(
    compose: dict[str, Any], dockerfile: list[str]
) -> None:
    mounted = [
        re.sub(r"\$\{\w+:-(.+?)\}", r"\1", volume).split(":")[0]
        for each in compose["services"].values()
        for volume in each.get("volumes", ())
    ]
    copied = [
        source
        for line in dockerfile
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }

    assert [path for path in mounted + copied if not (ROOT / path).exists()] == []
    assert set(copied) == let_in


def test_the_collector_accepts_its_configuration(otelcol: Path) -> None:
    config = ROOT / "deploy" / "collector.yaml"
    finished = subprocess.run(
        [otelcol, "validate", "--config", config], capture_output=True, text=True, timeout=60
    )

    assert (finished.returncode, finished.stderr) == (0, "")


def test_the_collector_is_the_one_that_the_tests_are_made_with(compose: dict[str, Any]) -> None:
    manifest = yaml.safe_load((ROOT / ".ci" / "collector.yaml").read_text())
    image = compose["services"]["collector"]["image"]

    assert image.split(":")[1] == manifest["dist"]["version"]
