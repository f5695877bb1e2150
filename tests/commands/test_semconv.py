"""``motel-locust validate --semconv DIR``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from motel_locust.commands import main

if TYPE_CHECKING:
    from pathlib import Path

TOPOLOGY = """
version: 1
services: {web: {operations: {get: {duration: 10ms, domain: shop}}}}
traffic: {rate: 10/s}
"""
REGISTRY = "groups: [{id: registry.shop, attributes: [{id: shop.kind, type: string}]}]\n"


def validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)])


def test_a_registry_brings_domains(tmp_path: Path) -> None:
    folder, path = tmp_path / "conventions", tmp_path / "t.yaml"
    folder.mkdir()
    (folder / "shop.yaml").write_text(REGISTRY)
    path.write_text(TOPOLOGY)
    refused = validate(path)
    assert refused.exit_code == 2
    assert 't.yaml:3:61: the semantic conventions have no domain "shop"' in refused.stderr
    accepted = validate(path, "--semconv", folder, "--strict")
    assert (accepted.exit_code, accepted.stderr) == (0, "")


def test_a_registry_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TOPOLOGY)
    nowhere = validate(path, "--semconv", tmp_path / "nowhere")
    assert nowhere.exit_code == 2
    assert nowhere.stderr == (
        f"{tmp_path}/nowhere: no such folder; name one with conventions in YAML files "
        "[unreadable-source]\n"
    )
    folder = tmp_path / "conventions"
    folder.mkdir()
    (folder / "broken.yaml").write_text(f"{REGISTRY}  - id: [x\n")
    broken = validate(path, "--semconv", folder)
    assert broken.exit_code == 2
    assert broken.stderr.startswith(f"{folder}/broken.yaml:2:3: not YAML: ")
