"""The topology language as JSON Schema, for editors: made from the models, so it cannot disagree.

Draft 7, which every YAML language server knows. It tells the form of a file; what only a look at
the whole can tell (references, cycles, order) is left to reading it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema

from motel_locust.topology.generators import Form
from motel_locust.topology.kinds import unset_text
from motel_locust.topology.model import Topology
from motel_locust.topology.part import Part
from motel_locust.topology.patterns import given, has, rule, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonSchema = dict[str, Any]

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
ATTRIBUTE: Final = "Attribute"


class _Untitled(GenerateJsonSchema):
    """Gives no titles to fields: a title that repeats the key is noise in an editor."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return that it should not."""
        del schema
        return False


def json_schema() -> JsonSchema:
    """Return the JSON Schema of a topology file."""
    schema = Topology.model_json_schema(
        ref_template="#/definitions/{model}", schema_generator=_Untitled
    )
    definitions = schema.pop("$defs")
    parts = {part.__name__: part for part in _parts(Part)}
    for name, definition in definitions.items():
        _complete(definition, parts[name])
        if not definition.get("required"):  # so all its keys may be missing
            definition["type"] = ["object", "null"]
    _complete(schema, Topology)
    _merge_forms(definitions)
    for name, definition in definitions.items():
        if key := parts[name].bare_key if name in parts else None:
            definitions[name] = _or_bare(definition, key)
    removed = definitions["Override"]["properties"]["remove_calls"]
    removed["items"] = _or_null(_or_bare(_complete(_removal(), parts["Removal"]), "target"))
    whole_schema: JsonSchema = _with_marks(
        {
            "$schema": DRAFT,
            **schema,
            "title": "motel-locust topology, version 1",
            "properties": {**schema["properties"], "version": _described(schema, {"const": 1})},
            "patternProperties": {"^x-": {}},
            "allOf": [
                rule(has("mode", "replay"), given("recording", ""), "a replay needs recording"),
                rule(
                    {"not": given("mode", "")},
                    {
                        "required": ["services", "traffic"],
                        "properties": {
                            "services": {"type": "object", "minProperties": 1},
                            "traffic": {"type": "object"},
                        },
                    },
                    "services and traffic are needed, unless mode is replay",
                ),
            ],
            "definitions": definitions,
        }
    )
    return whole_schema


def _parts(part: type[Part]) -> Iterator[type[Part]]:
    for inner in part.__subclasses__():
        yield inner
        yield from _parts(inner)


def _removal() -> JsonSchema:
    from motel_locust.topology.scenarios import Removal

    return Removal.model_json_schema(schema_generator=_Untitled)


def _described(schema: JsonSchema, version: JsonSchema) -> JsonSchema:
    return {"description": schema["properties"]["version"]["description"], **version}


def _complete(definition: JsonSchema, part: type[Part]) -> JsonSchema:
    """Add to the *definition* of *part* what holds for every mapping of the language."""
    required = definition.get("required", ())
    fields = {field.alias or name: field for name, field in part.model_fields.items()}
    for key, value in definition["properties"].items():
        field = fields[key]
        if value.get("default") in (None, [], {}):
            value.pop("default", None)
        if "items" in value:  # nulls in a list are left out
            value["items"] = _or_null(value["items"])
        may_be_empty = unset_text(field.metadata, field.annotation) is not None
        if key in required:
            if may_be_empty and "pattern" not in value and "enum" not in value:
                value["minLength"] = 1
        else:
            definition["properties"][key] = _or_null(_or_empty(value) if may_be_empty else value)
    return definition


def _or_null(value: JsonSchema) -> JsonSchema:
    """Return *value* or null, which counts as a missing key."""
    options = value.get("anyOf", ())
    inner = [option for option in options if option != {"type": "null"}]
    if len(inner) == 1:
        value = {**inner[0], **{key: each for key, each in value.items() if key != "anyOf"}}
    elif inner:
        return {**value, "anyOf": [*inner, {"type": "null"}]}
    if "$ref" in value:
        described = {key: each for key, each in value.items() if key != "$ref"}
        return {**described, "anyOf": [{"$ref": value["$ref"]}, {"type": "null"}]}
    if "type" not in value:
        return value
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    value = {**value, "type": [*types, *(["null"] if "null" not in types else [])]}
    if "enum" in value:
        value["enum"] = [*value["enum"], None]
    return value


def _or_empty(value: JsonSchema) -> JsonSchema:
    """Return *value* with the empty text, which counts as a missing key."""
    options = value.get("anyOf")
    if options:
        return {**value, "anyOf": [_or_empty(option) for option in options]}
    if "pattern" not in value:
        return value
    return {**value, "pattern": value["pattern"].removesuffix("$") + "?$"}


def _or_bare(definition: JsonSchema, key: str) -> JsonSchema:
    """Return *definition*, or the value of *key* alone in place of the mapping."""
    value = {**definition["properties"][key], "description": definition["description"]}
    return {"description": definition["description"], "anyOf": [value, definition]}


def _merge_forms(definitions: JsonSchema) -> None:
    """Replace the forms of a generator by one mapping with exactly one of their keys."""
    forms = {form.__name__: form for form in _parts(Form)}
    properties: JsonSchema = {}
    for name in forms:
        definition = definitions.pop(name)
        properties |= _written_as(name, definition)
    definitions[ATTRIBUTE] = {
        "type": "object",
        "description": "How an attribute's value is made: exactly one of the eight forms.",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "errorMessage": f"needs exactly one of {', '.join(properties)}",
    }
    _refer(definitions, {f"#/definitions/{name}" for name in forms})


def _written_as(name: str, definition: JsonSchema) -> JsonSchema:
    """Return the key of a form, where its fields stand inside that key's value."""
    described = {"description": definition["description"]}
    if name == "Range":
        ends = {"type": "array", "items": whole(-(2**63)), "minItems": 2, "maxItems": 2}
        return {"range": {**described, **ends}}
    if name == "Normal":
        parameters = {
            "type": "object",
            "properties": definition["properties"],
            "additionalProperties": False,
        }
        return {"distribution": {**described, **parameters}}
    [(key, value)] = definition["properties"].items()
    return {key: {**value, **described}}


def _refer(node: Any, forms: set[str]) -> None:
    """Let what lists the *forms* refer to the one mapping."""
    if isinstance(node, dict):
        for key, value in node.items():
            options = value.get("anyOf", ()) if isinstance(value, dict) else ()
            if options and {option.get("$ref") for option in options} == forms:
                node[key] = {"$ref": f"#/definitions/{ATTRIBUTE}"}
            else:
                _refer(value, forms)
    elif isinstance(node, list):
        for item in node:
            _refer(item, forms)


def _with_marks(node: Any) -> Any:
    """Return *node* with Markdown's backticks in its descriptions, for the hovers of editors."""
    if isinstance(node, list):
        return [_with_marks(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: re.sub("``", "`", value)
        if key == "description" and isinstance(value, str)
        else _with_marks(value)
        for key, value in node.items()
    }
