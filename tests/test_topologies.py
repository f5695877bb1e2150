"""The examples: each can be run as it is, and says what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from motel_locust.topology.diagnostics import CODES, WARNING_CODES
from motel_locust.topology.linking import operations, roots
from motel_locust.topology.model import Chance, Choice, Constant, Range, Topology
from motel_locust.topology.reading import Source, parse_topology, read_topology

FOLDER = Path(__file__).parent.parent / "topologies"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
MS = 1_000_000


def example(name: str) -> Topology:
    return read_topology(str(FOLDER / f"{name}.yaml")).topology


def test_there_are_examples_enough() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_without_error_or_warning(path: Path) -> None:
    assert read_topology(str(path)).warnings == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_shows(path: Path) -> None:
    assert path.name == path.name.lower().replace("_", "-").replace(" ", "-")
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert all(len(line) <= 100 for line in lines)


def test_four_services_is_what_the_benchmarks_measure() -> None:
    topology = example("four-services")
    assert roots(topology) == {"gateway.GET /api/users": 1.0}
    made = {
        ref: topology.services[service].operations[operation]
        for ref, (service, operation) in operations(topology).items()
    }
    shape = {
        ref: (str(operation.duration), [call.target for call in operation.calls])
        for ref, operation in made.items()
    }
    assert shape == {
        "gateway.GET /api/users": ("5ms +/- 2ms", ["backend.query", "cache.get"]),
        "backend.query": ("15ms +/- 5ms", ["database.execute"]),
        "cache.get": ("2ms +/- 1ms", []),
        "database.execute": ("8ms +/- 3ms", []),
    }
    gateway = made["gateway.GET /api/users"].attributes
    assert gateway["http.request.method"] == Constant(value="GET")
    codes = gateway["http.response.status_code"]
    assert isinstance(codes, Choice)
    assert [code for code, _ in codes.values] == [200, 404, 500]
    assert isinstance(made["backend.query"].attributes["db.system.name"], Constant)
    assert made["cache.get"].attributes == {"cache.hit": Chance(probability=0.8)}
    assert made["database.execute"].attributes == {"db.rows": Range(low=1, high=100)}
    assert topology.traffic is not None
    assert str(topology.traffic.rate) == "100/s"


def test_the_shop_has_something_of_everything() -> None:
    shop = example("shop")
    assert len(shop.services) >= 8
    assert len(roots(shop)) >= 4
    made = [
        operation for service in shop.services.values() for operation in service.operations.values()
    ]
    calls = [call for operation in made for call in operation.calls]
    assert {type(each) for operation in made for each in operation.attributes.values()} >= {
        Constant,
        Choice,
        Chance,
        Range,
    }
    assert any(call.retries for call in calls)
    assert any(call.timeout for call in calls)
    assert any(call.detached for call in calls)
    assert any(call.producer for call in calls)
    assert min(scenario.at for scenario in shop.scenarios) <= 120_000 * MS
    assert shop.traffic is not None
    assert 10 <= shop.traffic.rate.per_s <= 15


REFERENCE = (FOLDER.parent / "docs" / "topology.md").read_text()


def test_the_topology_of_the_reference_reads_without_error_or_warning() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
    assert blocks
    for block in blocks:
        # Files of rows that it names lie beside the examples.
        source = Source(str(FOLDER / "reference.yaml"), block.encode())
        assert parse_topology(source).warnings == ()


def test_the_reference_lists_every_code_and_every_key() -> None:
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", REFERENCE, re.MULTILINE))
    assert (CODES | WARNING_CODES).items() <= listed.items()
    for part in Topology.model_json_schema()["$defs"].values():
        for key in part.get("properties", {}):
            assert f"`{key}`" in REFERENCE or key in {"low", "high", "mean", "stddev"}
