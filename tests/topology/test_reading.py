from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.linking import roots
from motel_locust.topology.model import Topology
from motel_locust.topology.reading import Source, parse_topology, read_topology

ACCEPTED = sorted((Path(__file__).parent / "accepted").glob("*.yaml"))
LEAST = (
    "version: 1\nservices: {web: {operations: {get: {duration: 10ms}}}}\ntraffic: {rate: 10/s}\n"
)


def parse(content: str | bytes) -> Topology:
    encoded = content.encode() if isinstance(content, str) else content
    return parse_topology(Source("t.yaml", encoded)).topology


def codes(content: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        parse(content)
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_a_version_1_file_is_accepted(path: Path) -> None:
    reading = read_topology(str(path))
    assert reading.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_medium_topology_means_what_it_says() -> None:
    topology = read_topology(str(Path(__file__).parent / "accepted" / "medium.yaml")).topology
    assert roots(topology) == {"ferry-web.POST /bookings": 1.0, "notifier.poll": 1.0}
    web = topology.services["ferry-web"]
    assert web.resource_attributes["service.version"] == "4.10"
    booking = web.operations["POST /bookings"]
    assert booking.error_rate == pytest.approx(0.004)
    assert booking.calls[0].target == "seats.reserve"
    assert booking.calls[1].timeout == 80_000_000
    assert booking.calls[3].producer


def test_merge_keys_and_nulls_work_in_the_large_topology() -> None:
    topology = read_topology(str(Path(__file__).parent / "accepted" / "every-field.yaml")).topology
    recommend = topology.services["guide"].operations["recommend"]
    assert recommend.duration.mean_ns == 6_000_000
    assert recommend.calls == ()
    assert topology.scenarios[0].override["kiosk"].logs is not None


@pytest.mark.parametrize(
    "content",
    [
        LEAST.encode(),
        b"\xef\xbb\xbf" + LEAST.encode(),
        b"\xff\xfe" + LEAST.encode("utf-16-le"),
        b"\xfe\xff" + LEAST.encode("utf-16-be"),
        LEAST.replace("\n", "\r\n").encode(),
        LEAST.encode() + b"---\nversion: [another document\n",
    ],
    ids=["utf-8", "utf-8-mark", "utf-16-le", "utf-16-be", "crlf", "second-document"],
)
def test_encodings_line_ends_and_further_documents_do_not_matter(content: bytes) -> None:
    assert parse(content) == parse(LEAST)


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"version: 1\n\nab\xff", 3, 3),
        (b"\xef\xbb\xbfa\xff", 1, 2),
        (b"\xff\xfea\x00\x00\xd8", 1, 2),
    ],
)
def test_bytes_that_are_no_text_are_placed(content: bytes, line: int, column: int) -> None:
    with pytest.raises(TopologyError) as caught:
        parse(content)
    [problem] = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("invalid-encoding", line, column)


def test_nulls_count_as_missing() -> None:
    topology = parse(
        "version: 1\n"
        "services:\n"
        "  web:\n"
        "    resource_attributes: {empty: ~}\n"
        "    operations:\n"
        "      get:\n"
        "        duration: 10ms\n"
        "        error_rate:\n"
        "        calls: [~]\n"
        "        backpressure:\n"
        "        attributes: {n: {value: ~, range: [1, ~, 3]}, c: {values: {~: 1, a: 2}}}\n"
        "traffic: {rate: 10/s, overlay: ~}\n"
    )
    operation = topology.services["web"].operations["get"]
    assert operation.calls == ()
    assert operation.error_rate == 0.0
    assert operation.backpressure is None
    assert topology.services["web"].resource_attributes == {"empty": ""}
    assert operation.attributes["n"].model_dump() == {"low": 1, "high": 3}
    assert operation.attributes["c"].model_dump() == {"values": (("<nil>", 1), ("a", 2))}


def test_keys_of_values_keep_their_types() -> None:
    generators = "a: {values: {1: 5, true: 2, 1.0: 1, '2': 4}}"
    content = LEAST.replace("10ms", f"10ms, attributes: {{{generators}}}")
    made = parse(content).services["web"].operations["get"].attributes["a"]
    assert made.model_dump() == {"values": ((1, 5), (True, 2), (1.0, 1), ("2", 4))}
    assert [type(value) for value, _ in made.model_dump()["values"]] == [int, bool, float, str]


def test_names_keep_their_text() -> None:
    content = (
        "version: 1\nservices: {on: {operations: {12:30: {duration: 1ms, calls: [404.0x1F]}}},"
        " 404: {operations: {0x1F: {duration: 1ms}}}}\ntraffic: {rate: 1/s}\n"
    )
    assert list(roots(parse(content))) == ["on.12:30"]


def test_dotted_services_can_be_called() -> None:
    content = (
        "version: 1\nservices: {a.b: {operations: {c.d: {duration: 1ms}}},"
        " web: {operations: {get: {duration: 1ms, calls: [a.b.c.d]}}}}\ntraffic: {rate: 1/s}\n"
    )
    assert list(roots(parse(content))) == ["web.get"]


def test_a_key_that_begins_with_x_is_a_place_for_anchors() -> None:
    assert parse(f"x-any: {{a: 1, a: 2, b: [~]}}\n{LEAST}") == parse(LEAST)
    assert codes(LEAST.replace("duration", "x-note: 1, duration")) == ["unknown-key"]


def test_a_node_that_aliases_repeat_is_reported_once() -> None:
    calls = "calls: &c [db.query]"
    content = (
        f"version: 1\nservices: {{web: {{operations: {{a: {{duration: 1ms, {calls}}},"
        " b: {duration: 1ms, calls: *c}}}}\ntraffic: {rate: 1/s}\n"
    )
    assert codes(content) == ["unknown-operation"]


def test_a_replay_needs_a_recording_and_nothing_else() -> None:
    topology = parse("version: 1\nmode: replay\nrecording: tuesday.jsonl\nservices: {}\n")
    assert (topology.mode, topology.recording) == ("replay", "tuesday.jsonl")
    assert topology.traffic is None
    unused = "services: {web: {operations: {get: {duration: 1ms, queue_depth: -1}}}}"
    assert parse(f"version: 1\nmode: replay\nrecording: a\n{unused}\n").services == {}


def test_problems_come_in_file_order() -> None:
    content = LEAST.replace("10ms", "10").replace("10/s", "x").replace("get:", "get: &g")
    assert codes(content + "scenarios: 5\nmisspelt: 1\n") == [
        "invalid-duration",
        "invalid-rate",
        "wrong-type",
        "unknown-key",
    ]


def test_thousands_of_misspelt_references_get_a_hundred_hints() -> None:
    names = "".join(f" o{n}: {{duration: 1ms, calls: [web.p{n}]}}," for n in range(1000))
    with pytest.raises(TopologyError) as caught:
        parse(f"version: 1\nservices: {{web: {{operations: {{{names}}}}}}}\ntraffic: {{rate: 1/s}}")
    assert len(caught.value.problems) == 1000
    assert sum("did you mean" in problem.message for problem in caught.value.problems) <= 100


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_as_a_topology_with_a_place(content: bytes) -> None:
    with pytest.raises(TopologyError) as caught:
        parse(content)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in caught.value.problems)


# fmt: off
LANGUAGE = [
    "operations", "duration", "calls", "target", "links", "events", "name", "metrics", "logs",
    "attributes", "value", "values", "range", "distribution", "rate", "segments", "until",
    "overlay", "roots", "override", "at",
]
# fmt: on
json_like = st.recursive(
    st.sampled_from(["1", "~", "10ms", "10/s", "5%", "true", "web.get", "-1", ".nan", '""', "a"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from([*LANGUAGE, "web", "get", "~"]),
            inner,
            max_size=4,
        ).map(lambda d: "{" + ", ".join(f"{key}: {value}" for key, value in d.items()) + "}"),
    ),
    max_leaves=12,
)


@given(services=json_like, traffic=json_like, scenarios=json_like)
def test_any_tree_is_read_or_refused(services: str, traffic: str, scenarios: str) -> None:
    content = f"version: 1\nservices: {services}\ntraffic: {traffic}\nscenarios: {scenarios}\n"
    try:
        parse(content)
    except TopologyError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
