"""Semantic conventions of one's own: a folder of files in the public YAML format."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.topology.conventions import PUBLISHED, Conventions, read_conventions
from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.generators import Chance, Choice, Constant
from motel_locust.topology.reading import Source, parse_topology

SHOP = """
groups:
  - id: registry.shop
    type: attribute_group
    brief: What a shop knows of an order.
    attributes:
      - id: shop.order.items
        type: int
        brief: How many things were ordered.
        examples: [1, 2, 7]
      - id: shop.order.kind
        type:
          members:
            - {id: own, value: own, brief: "", stability: stable}
            - {id: gift, value: gift}
            - {id: loan, value: loan, deprecated: {reason: obsoleted, note: "nobody lends"}}
        stability: stable
      - {id: shop.express, type: boolean}
      - {id: shop.weight, type: double, examples: [1, 2.5]}
      - {id: shop.note, type: string}
      - {id: shop.count, type: int}
      - {id: shop.labels, type: "template[string]"}
      - {id: shop.tags, type: "string[]", examples: [[a, b]]}
      - {id: shop.anything, type: any}
      - {id: shop.old, type: string, deprecated: {reason: renamed, renamed_to: shop.note}}
      - {id: shop.older, type: string, deprecated: {note: "Split to `shop.note` and others."}}
      - {id: shop.oldest, type: string, deprecated: "Use `shop.note`."}
      - ref: http.route
        requirement_level: recommended
  - id: metric.shop.orders
    type: metric
    metric_name: shop.orders
    instrument: counter
    unit: "{order}"
    attributes: [{ref: shop.order.kind}]
"""


def conventions(folder: Path, **files: str) -> Conventions:
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return read_conventions(str(folder))


def problems(folder: Path, **files: str) -> str:
    with pytest.raises(TopologyError) as caught:
        conventions(folder, **files)
    return str(caught.value).replace(f"{folder}/", "")


def warnings(operation: str, known: Conventions, *, metrics: str = "[]") -> list[str]:
    content = (
        f"version: 1\nservices: {{web: {{metrics: {metrics}, "
        f"operations: {{get: {{duration: 1ms, {operation}}}}}}}}}\ntraffic: {{rate: 10/s}}\n"
    )
    return [each.message for each in parse_topology(Source("t", content.encode()), known).warnings]


def test_a_group_is_a_domain(tmp_path: Path) -> None:
    known = conventions(tmp_path, shop=SHOP)
    assert known.domain("registry.shop") == known.domain("shop")
    assert known.domain("shop") == {
        "shop.order.items": Choice(values=((1, 1), (2, 1), (7, 1))),
        "shop.order.kind": Choice(values=(("own", 1), ("gift", 1))),
        "shop.express": Chance(probability=0.5),
        "shop.weight": Choice(values=((1.0, 1), (2.5, 1))),
        "shop.note": Constant(value="unknown"),
        "shop.count": Constant(value=0),
        "http.route": (PUBLISHED.domain("http") or {})["http.route"],
    }
    assert list(known.domain("metric.shop.orders") or ()) == ["shop.order.kind"]
    assert known.domain("http") == PUBLISHED.domain("http")


def test_the_warnings_know_it(tmp_path: Path) -> None:
    known = conventions(tmp_path, shop=SHOP)
    assert warnings("attributes: {shop.order.kind: {value: lent}}", known) == [
        '"lent" is none of the values of "shop.order.kind" in the semantic conventions, which are '
        "own, gift and loan"
    ]
    for name, told in (
        ("shop.old", "replaced by shop.note"),
        ("shop.older", "split to shop.note and others"),
        ("shop.oldest", "use shop.note"),
    ):
        assert warnings(f"attributes: {{{name}: {{value: a}}}}", known) == [
            f'attribute "{name}" is deprecated in the semantic conventions: {told}'
        ]
    assert warnings("attributes: {shop.expres: {value: true}}", known) == [
        'the semantic conventions have no attribute "shop.expres"; did you mean "shop.express"?'
    ]
    assert warnings("attributes: {shop.labels.colour: {value: red}}", known) == []
    metrics = '[{name: shop.orders, type: counter, unit: "1"}]'
    assert warnings("domain: shop", known, metrics=metrics) == [
        'metric "shop.orders" has the unit "{order}" in the semantic conventions, not "1"'
    ]


def test_a_group_of_ones_own_takes_the_place_of_the_published_one(tmp_path: Path) -> None:
    one = "groups: [{id: registry.http, attributes: [{id: http.shoe_size, type: int}]}]"
    known = conventions(tmp_path, http=one)
    assert known.domain("http") == {"http.shoe_size": Constant(value=0)}


def test_an_attribute_of_ones_own_takes_the_place_of_the_published_one(tmp_path: Path) -> None:
    one = "groups: [{id: my, attributes: [{id: http.route, type: string, examples: /mine}]}]"
    known = conventions(tmp_path, http=one)
    assert (known.domain("http") or {})["http.route"] == Constant(value="/mine")


def test_a_reference_may_come_before_what_it_refers_to(tmp_path: Path) -> None:
    first = "groups: [{id: basket, attributes: [{ref: shop.note}]}]"
    known = conventions(tmp_path, a=first, shop=SHOP)
    assert known.domain("basket") == {"shop.note": Constant(value="unknown")}


def test_a_name_of_another_programming_language_brings_nothing(tmp_path: Path) -> None:
    known = conventions(tmp_path, a="groups: [{id: mine, attributes: [{ref: jvm.gc.name}]}]")
    assert known.domain("mine") == {}


def test_an_old_file_has_prefixes(tmp_path: Path) -> None:
    old = (
        "groups: [{id: old, prefix: shop, attributes: [{id: colour, type: string, examples: red}]}]"
    )
    known = conventions(tmp_path, old=old)
    assert known.domain("old") == {"shop.colour": Constant(value="red")}


def test_the_second_form_of_the_format_is_read(tmp_path: Path) -> None:
    second = """
file_format: definition/2
attributes:
  - {key: depot.bay, type: string, examples: [north, south]}
  - {key: depot.gate, type: int, examples: 3}
attribute_groups:
  - id: depot.lorry
    visibility: public
    attributes: [{ref: depot.bay}, {ref_group: registry.shop.least}]
  - {id: registry.shop.least, attributes: [{ref: http.route}]}
metrics:
  - {name: depot.lorries, instrument: gauge, unit: "{lorry}", attributes: [{ref: depot.gate}]}
spans:
  - {type: depot.unload, kind: internal, attributes: [{ref: depot.bay}]}
span_refinements:
  - {id: depot.unload.fast, ref: depot.unload, attributes: [{ref: depot.gate, examples: [1]}]}
"""
    known = conventions(tmp_path, second=second)
    # An attribute that is in no group is in its namespace.
    assert known.domain("depot") == {
        "depot.bay": Choice(values=(("north", 1), ("south", 1))),
        "depot.gate": Constant(value=3),
    }
    assert list(known.domain("depot.lorry") or ()) == ["depot.bay", "http.route"]
    assert list(known.domain("span.depot.unload") or ()) == ["depot.bay"]
    assert list(known.domain("depot.unload.fast") or ()) == ["depot.gate"]
    metric = known.metric("depot.lorries")
    assert metric is not None
    assert (metric.instrument, metric.unit) == ("gauge", "{lorry}")


def test_groups_that_refer_to_each_other_end(tmp_path: Path) -> None:
    first = "{id: a, attributes: [{ref_group: b}, {ref: http.route}]}"
    second = "{id: b, attributes: [{ref_group: a}]}"
    known = conventions(tmp_path, circle=f"attribute_groups: [{first}, {second}]")
    assert list(known.domain("a") or ()) == ["http.route"]


def test_a_folder_called_deprecated_is_for_warnings_only(tmp_path: Path) -> None:
    retired = "groups: [{id: registry.gone, attributes: [{id: gone.by, type: string}]}]"
    again = "groups: [{id: x, attributes: [{id: shop.note, type: int}]}]"
    known = conventions(tmp_path, shop=SHOP, deprecated__gone=retired, a__deprecated__b=again)
    assert known.domain("gone") is None
    assert warnings("attributes: {gone.by: {value: a}}", known) == [
        'attribute "gone.by" is deprecated in the semantic conventions: no replacement is named'
    ]
    assert (known.domain("shop") or {})["shop.note"] == Constant(value="unknown")


def test_examples_of_another_type_are_left_out(tmp_path: Path) -> None:
    texts = "{id: a.text, type: string, examples: [1.10, [b], on]}"
    numbers = "{id: a.number, type: int, examples: ['7', 8, 2.5, 8, x]}"
    known = conventions(tmp_path, a=f"groups: [{{id: a, attributes: [{texts}, {numbers}]}}]")
    assert known.domain("a") == {
        "a.text": Choice(values=(("1.10", 1), ("on", 1))),
        "a.number": Constant(value=8),
    }


def test_an_enumeration_of_the_past_is_its_first_member(tmp_path: Path) -> None:
    members = "[{id: one, value: 1, deprecated: gone}, {id: two, value: 2, deprecated: gone}]"
    one = f"groups: [{{id: a, attributes: [{{id: a.b, type: {{members: {members}}}}}]}}]"
    assert conventions(tmp_path, a=one).domain("a") == {"a.b": Constant(value=1)}


def test_other_yaml_files_do_no_harm(tmp_path: Path) -> None:
    known = conventions(tmp_path, manifest="name: mine\nversion: 1", empty="# nothing", shop=SHOP)
    assert known.domain("shop")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="nowhere: no such folder") as caught:
        read_conventions(str(tmp_path / "nowhere"))
    assert len(caught.value.problems) == 1
    (tmp_path / "file.yaml").write_text(SHOP)
    with pytest.raises(TopologyError, match="is a file, not a folder"):
        read_conventions(str(tmp_path / "file.yaml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TopologyError, match=r"has no \.yaml or \.yml file"):
        read_conventions(str(tmp_path / "empty"))


def test_broken_yaml_is_told_with_its_place(tmp_path: Path) -> None:
    told = problems(tmp_path, shop=SHOP, broken="groups:\n  - id: [x\n")
    assert told.startswith("broken.yaml:3:1: not YAML: ")
    assert problems(tmp_path, broken="groups: [{id: a, id: b}]").startswith(
        'broken.yaml:1:18: key "id" is defined twice; first at line 1 [duplicate-name]'
    )


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    one = """
groups:
  - id: x
    attributes:
      - id: a.b
        type: strng
      - {ref: http.rout}
      - {type: int}
      - 5
      - {id: a.c}
      - {id: a.d, type: {members: []}}
      - {id: a.e, type: {members: [{id: fine}, other]}}
      - {ref_group: y.z}
      - {id: [a], type: int}
  - 7
  - {id: y, attributes: {}}
  - {type: span}
attribute_groups: 3
"""
    told = [
        line.split("; ")[0]
        for line in problems(tmp_path, one=one, two="- a list").splitlines()
        if line.startswith(("one", "two"))
    ]
    assert told == [
        "one.yaml:6:15: type must be string, int, double, boolean, any, a list such as string[], a "
        "template such as template[string], or members",
        'one.yaml:7:9: no attribute "http.rout"',
        "one.yaml:8:9: id is missing",
        "one.yaml:9:9: must be a mapping with id, found the number 5 [wrong-type]",
        "one.yaml:10:9: type is missing",
        "one.yaml:11:35: members must be a list with at least one member, found a list "
        "[wrong-type]",
        "one.yaml:12:48: a member must be a mapping with id and value, found the text "
        '"other" [wrong-type]',
        'one.yaml:13:9: no group "y.z" [unknown-reference]',
        "one.yaml:14:14: id must be a text, found a list [wrong-type]",
        "one.yaml:15:5: must be a mapping with id, found the number 7 [wrong-type]",
        "one.yaml:16:25: attributes must be a list, found a mapping [wrong-type]",
        "one.yaml:17:5: id is missing",
        "one.yaml:18:19: attribute_groups must be a list, found the number 3 [wrong-type]",
        "two.yaml:1:1: must be a mapping with groups, found a list [wrong-type]",
    ]


def test_a_folder_named_as_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert conventions(tmp_path, shop=SHOP).domain("shop")


KEYS = ("id", "key", "ref", "ref_group", "type", "examples", "deprecated")
WORDS = ("string", "int", "double", "boolean", "string[]", "http.route", "a", "a.b", "a.b.c", "")
MEMBER = st.sampled_from(["id", "value", "deprecated"])
scalars = st.one_of(st.sampled_from(WORDS), st.integers(), st.booleans(), st.none(), st.floats())
types = st.fixed_dictionaries({"members": st.lists(scalars | st.dictionaries(MEMBER, scalars))})
values = st.one_of(
    scalars, types, st.lists(scalars, max_size=3), st.dictionaries(st.just("a"), scalars)
)
attributes = values | st.lists(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=4), max_size=4
)
groups = st.fixed_dictionaries(
    {},
    optional={
        "id": values,
        "name": values,
        "type": values,
        "prefix": scalars,
        "metric_name": scalars,
        "instrument": scalars,
        "attributes": attributes,
    },
)
registries = st.dictionaries(
    st.sampled_from(["groups", "attribute_groups", "attributes", "metrics", "spans"]),
    attributes | st.lists(groups, max_size=4),
)


def places(folder: str) -> list[tuple[int, int]]:
    """Where the registry is wrong; nowhere if it can be read."""
    try:
        read_conventions(folder)
    except TopologyError as error:
        return [(each.line, each.column) for each in error.problems]
    return []


@settings(max_examples=50, deadline=None)
@given(registries)
def test_whatever_a_file_says_is_read_or_refused_with_a_place(content: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.yaml").write_text(json.dumps(content))
        assert all(line and column for line, column in places(folder))
