"""The semantic conventions as they are published, and what a domain brings."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from motel_locust.topology import published
from motel_locust.topology.conventions import PUBLISHED
from motel_locust.topology.examples import UNKNOWN, examples, written
from motel_locust.topology.generators import (
    Chance,
    Choice,
    Constant,
    Generator,
    Normal,
    Range,
    Sequence,
)
from motel_locust.topology.reading import Source, parse_topology

ALL = {
    name: attribute
    for namespace in published.namespaces()
    for name, attribute in published.attributes(namespace).items()
}

# What the reference counts, in version 1.39 of the conventions; rpc had 6 attributes then.
COUNTS = {"http": 10, "db": 12, "messaging": 16, "url": 13, "rpc": 4}
WELL_KNOWN = (
    *("http", "db", "rpc", "messaging", "url", "network", "server", "client", "user_agent"),
    *("error", "exception", "faas", "k8s", "container", "host", "cloud", "graphql", "gen_ai"),
)


def topology(operation: str) -> str:
    return (
        f"version: 1\nservices: {{web: {{operations: {{get: {{duration: 1ms, {operation}}}}}}}}}\n"
        "traffic: {rate: 10/s}\n"
    )


def attributes(operation: str) -> dict[str, Generator]:
    reading = parse_topology(Source("t.yaml", topology(operation).encode()))
    return reading.topology.services["web"].operations["get"].attributes


def written_form(generator: Generator) -> str:
    """A generator as it is written in a topology."""
    match generator:
        case Choice(values=pairs):
            weights = ", ".join(f"{json.dumps(value)}: {weight}" for value, weight in pairs)
            return f"{{values: {{{weights}}}}}"
        case Range(low=low, high=high):
            return f"{{range: [{low}, {high}]}}"
        case Normal():
            return f"{{distribution: {generator.model_dump_json()}}}"
    return generator.model_dump_json()


@pytest.mark.parametrize(("domain", "count"), COUNTS.items())
def test_a_domain_has_the_attributes_of_its_group(domain: str, count: int) -> None:
    made = PUBLISHED.domain(domain)
    assert made is not None
    assert len(made) == count
    assert PUBLISHED.domain(f"registry.{domain}") == made


def test_a_namespace_below_is_a_domain_of_its_own() -> None:
    kafka = PUBLISHED.domain("messaging.kafka")
    assert kafka is not None
    assert set(kafka) == {
        "messaging.kafka.cluster.id",
        "messaging.kafka.message.key",
        "messaging.kafka.message.tombstone",
        "messaging.kafka.offset",
    }
    assert not kafka.keys() & (PUBLISHED.domain("messaging") or {}).keys()
    assert set(PUBLISHED.domain("http.response") or ()) == {
        "http.response.body.size",
        "http.response.size",
        "http.response.status_code",
    }


@pytest.mark.parametrize("name", ["HTTP", "htt", "http.", "http ", "", "registry.", "jvm", "other"])
def test_what_nobody_published_is_no_domain(name: str) -> None:
    assert PUBLISHED.domain(name) is None


def test_deprecated_attributes_lists_and_templates_are_left_out() -> None:
    made = {**(PUBLISHED.domain("http") or {}), **(PUBLISHED.domain("container") or {})}
    for name in ("http.method", "http.request.header", "container.command_args"):
        assert name in ALL
        assert name not in made
    assert PUBLISHED.domain("peer") == {}
    # It ends in the word for a template, and is an ordinary text.
    assert "messaging.destination.template" in (PUBLISHED.domain("messaging") or {})


def test_what_only_moved_to_another_repository_is_not_deprecated() -> None:
    assert not ALL["gen_ai.request.model"].deprecated
    assert ALL["gen_ai.system"].deprecated.startswith("replaced by gen_ai.provider.name")
    assert len(PUBLISHED.domain("gen_ai") or {}) > 30


def test_an_enumeration_has_every_member_that_is_not_deprecated() -> None:
    made = (PUBLISHED.domain("http") or {})["http.request.method"]
    assert isinstance(made, Choice)
    weights = dict(made.values)
    assert set(weights) == set(ALL["http.request.method"].members)
    assert weights["GET"] == max(weights.values())
    assert weights["TRACE"] == 1
    generations = (PUBLISHED.domain("cpython") or {})["cpython.gc.generation"]
    assert generations == Choice(values=((0, 1), (1, 1), (2, 1)))
    assert ALL["os.type"].members != ALL["os.type"].current
    assert "z_os" not in ALL["os.type"].current


@pytest.mark.parametrize("domain", WELL_KNOWN)
def test_a_well_known_domain_has_an_example_of_everything(domain: str) -> None:
    made = PUBLISHED.domain(domain)
    assert made
    assert [name for name, each in made.items() if each == Constant(value=UNKNOWN)] == []


def test_a_domain_has_values_of_one_type_and_none_that_cost_more_than_a_draw() -> None:
    for namespace in sorted(published.namespaces()):
        for name, made in (PUBLISHED.domain(namespace) or {}).items():
            assert isinstance(made, Constant | Choice | Chance | Range | Normal), name
            assert not isinstance(made, Sequence), name
            if isinstance(made, Choice):
                assert len({type(value) for value, _ in made.values}) == 1, name


def test_the_examples_are_of_published_attributes() -> None:
    told = examples()
    for name in (*told.values, *told.lists, *told.open):
        assert name in ALL, name
        assert not ALL[name].deprecated, name
        assert not ALL[name].template, name
    assert not told.values.keys() & told.lists
    for name in told.open:
        assert ALL[name].members, name
    for name in told.apart:
        assert PUBLISHED.domain(name) is not None, name


def test_the_examples_of_an_enumeration_are_its_members() -> None:
    told = examples()
    for name in told.values:
        members, made = ALL[name].members, written(name)
        if members and name not in told.open:
            assert isinstance(made, Choice), name
            assert {value for value, _ in made.values} <= set(members), name


def test_every_enumeration_finds_its_attribute() -> None:
    with_members = [name for name, each in ALL.items() if each.members]
    assert len(with_members) > 100
    assert {"error.type", "cpython.gc.generation", "k8s.pod.status.phase"} <= set(with_members)


def test_metrics_have_their_instrument_and_unit() -> None:
    duration = PUBLISHED.metric("http.server.request.duration")
    assert duration is not None
    assert (duration.instrument, duration.unit) == ("histogram", "s")
    active = PUBLISHED.metric("http.server.active_requests")
    assert active is not None
    assert (active.instrument, active.unit) == ("updowncounter", "{request}")
    assert PUBLISHED.metric("shop.orders") is None


def test_an_attribute_of_a_template_is_known() -> None:
    found = PUBLISHED.attribute("http.request.header.content-type")
    assert found is not None
    assert found.name == "http.request.header"
    assert PUBLISHED.attribute("http.request.body.size.more") is None
    assert PUBLISHED.attribute("shop.orders") is None


def test_an_operation_has_the_attributes_of_its_domain() -> None:
    made = attributes("domain: http")
    assert made == PUBLISHED.domain("http")


def test_what_the_operation_says_itself_wins() -> None:
    own = "domain: http, attributes: {http.route: {value: /x}, shop.a: {value: 1}}"
    made = attributes(own)
    assert made == {
        **(PUBLISHED.domain("http") or {}),
        "http.route": Constant(value="/x"),
        "shop.a": Constant(value=1),
    }


@pytest.mark.parametrize("domain", ["http", "db", "gen_ai", "geo", "cpython"])
def test_a_domain_makes_what_a_person_could_have_written(domain: str) -> None:
    made = attributes(f"domain: {domain}")
    by_hand = ", ".join(f"{name}: {written_form(each)}" for name, each in made.items())
    assert list(attributes(f"attributes: {{{by_hand}}}").items()) == list(made.items())


def test_a_domain_fills_the_body_of_a_log() -> None:
    log = 'domain: http, logs: [{severity: INFO, body: "{http.route} {http.rout}"}]'
    warnings = parse_topology(Source("t.yaml", topology(log).encode())).warnings
    assert [each.code for each in warnings] == ["unfilled-placeholder"]
    assert "{http.rout}" in warnings[0].message


def test_what_was_read_can_be_read_again_by_others() -> None:
    read = parse_topology(Source("t.yaml", topology("domain: geo").encode()))
    assert read.source.domains is not None
    again = parse_topology(read.source)
    assert (again.topology, again.source) == (read.topology, read.source)
    # Another process may know other conventions, and makes the same all the same.
    other = Source("t.yaml", read.source.content, {"geo": {"geo.hash": {"value": "u4pru"}}})
    made = parse_topology(other).topology.services["web"].operations["get"].attributes
    assert made == {"geo.hash": Constant(value="u4pru")}


def test_a_topology_that_needs_no_conventions_loads_none() -> None:
    content = topology('attributes: {shop.kind: {value: a}}, logs: [{severity: INFO, body: "x"}]')
    script = (
        "import sys\n"
        "from motel_locust.topology import published, examples\n"
        "from motel_locust.topology.reading import Source, parse_topology\n"
        f"assert parse_topology(Source('t.yaml', {content.encode()!r})).source.domains is None\n"
        "assert examples.examples.cache_info().currsize == 0\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.semconv')]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
