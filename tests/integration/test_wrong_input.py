"""What cannot be run is told at the command line: in a few lines, with exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.child import ROOT, free_port
from tests.integration.locust_runs import Finished, Locusts

TOPOLOGY = ROOT / "topologies" / "hello.yaml"
FINE = ("--topology", TOPOLOGY, "--host", "discard://")


def refused(
    locust: Locusts, *arguments: str | Path, env: dict[str, str] | None = None
) -> tuple[Finished, str]:
    """Return how a run ended that must not begin, and what it said."""
    finished = locust.run(
        *("--headless", "--users", "1", "--run-time", "10s", *arguments), env=env, timeout_s=20
    )
    said = finished.stdout + finished.stderr
    assert finished.code == 2, said
    assert "Traceback" not in said
    assert finished.summary is None
    assert "Ramping" not in said, "it has begun all the same"
    assert len([line for line in said.splitlines() if ": error: " in line]) == 1
    return finished, said


def test_no_topology(locust: Locusts) -> None:
    _, said = refused(locust, "--host", "discard://")
    assert said.count("error: no topology: give --topology FILE") == 1


def test_a_file_that_is_not_there(locust: Locusts) -> None:
    _, said = refused(locust, "--topology", "nowhere.yaml", "--host", "discard://")
    assert said.count("nowhere.yaml: cannot be read") == 1


def test_every_problem_of_a_topology_is_told_with_its_place(
    locust: Locusts, tmp_path: Path
) -> None:
    topology = tmp_path / "shop.yaml"
    topology.write_text(
        "version: 1\n"
        "services:\n"
        "  web:\n"
        "    operations:\n"
        "      get:\n"
        "        duration: 10 milliseconds\n"
        "        calls: [database.querry]\n"
        "  database: {operations: {query: {duration: 5ms}}}\n"
        "traffic: {rate: 10/s}\n"
    )

    _, said = refused(locust, "--topology", topology, "--host", "discard://")

    assert f"{topology}:6:19: " in said
    assert f"{topology}:7:17: " in said
    assert 'did you mean "database.query"?' in said


def test_a_folder_and_a_binary_file(locust: Locusts, tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(bytes(range(256)))
    for path in (tmp_path, binary):
        _, said = refused(locust, "--topology", path, "--host", "discard://")
        assert str(path) in said


def test_an_endpoint_that_nobody_listens_on(locust: Locusts) -> None:
    port = free_port()
    _, said = refused(locust, "--topology", TOPOLOGY, "--host", f"http://127.0.0.1:{port}")
    assert said.count("cannot be reached: connection refused") == 1
    assert f"127.0.0.1:{port}" in said


def test_an_endpoint_out_of_a_variable(locust: Locusts) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    variable = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
    _, said = refused(locust, "--topology", TOPOLOGY, env=variable)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said
    assert "connection refused" in said


# Of the command line's own judgement tests/load/test_options.py tries every option.
@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--rate", "50", "not of the form N/unit"), ("--drain", "soon", '"soon" is no number')],
)
def test_a_wrong_value_of_an_option(locust: Locusts, option: str, value: str, told: str) -> None:
    _, said = refused(locust, *FINE, f"{option}={value}")
    assert f"argument {option}: " in said
    assert told in said


SETTINGS = {
    "nobody there after waiting": (
        ("--host", "127.0.0.1:9", "--wait-for-endpoint", "0.5"),
        "cannot be reached for 0.5 s",
    ),
    "a header without a value": (
        ("--host", "discard://", "--otlp-headers", "secret"),
        "--otlp-headers: header 1 is not key=value",
    ),
    "a path with gRPC": (
        ("--host", "127.0.0.1:9/v1/traces", "--otlp-protocol", "grpc"),
        "--host: gRPC has no path; leave out what follows host and port",
    ),
    "nobody at the endpoint of gRPC": (
        ("--host", "http://127.0.0.1:9/", "--otlp-protocol", "grpc"),
        "--host: http://127.0.0.1:9 cannot be reached: connection refused",
    ),
    "zstd over gRPC": (
        ("--otlp-protocol", "grpc", "--otlp-compression", "zstd"),
        "--otlp-compression: gRPC cannot compress with zstd; use gzip or none",
    ),
}


@pytest.mark.parametrize(("options", "told"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_that_cannot_be_used(locust: Locusts, options: tuple[str, ...], told: str) -> None:
    _, said = refused(locust, "--topology", TOPOLOGY, *options)
    assert told in said


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("ftp://example.org", '"ftp://" is not known'),
        ("file://", '"file://" names no file'),
        ("http://a:b@c", "a user or password cannot stand in an endpoint"),
        ("http://", "it names no host"),
        ("http://c?token=b", "send it as a header with --otlp-headers"),
    ],
)
def test_an_endpoint_of_another_kind(locust: Locusts, endpoint: str, told: str) -> None:
    _, said = refused(locust, "--topology", TOPOLOGY, "--host", endpoint)
    assert told in said


def test_a_wrong_variable(locust: Locusts) -> None:
    _, said = refused(locust, *FINE, env={"LOCUST_RATE": "fast"})
    assert '"fast"' in said


def test_a_cluster_without_an_endpoint(locust: Locusts) -> None:
    _, said = refused(locust, "--master", "--expect-workers", "1", "--topology", TOPOLOGY)
    assert said.count("no endpoint: a cluster over machines needs one") == 1


def test_a_summary_that_cannot_be_written(locust: Locusts, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "summary.json"
    _, said = refused(locust, *FINE, "--summary", path)
    assert f"--summary: the folder of {path} does not exist" in said
