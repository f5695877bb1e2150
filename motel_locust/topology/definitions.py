"""One attribute as a registry defines it: its type, examples, and whether it is deprecated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from motel_locust.topology.diagnostics import Mistake, Step
from motel_locust.topology.document import Entries, Items, Node, Scalar, is_null
from motel_locust.topology.examples import UNKNOWN, evenly, one_of
from motel_locust.topology.generators import Chance, Constant
from motel_locust.topology.kinds import any_value, described, number, text, whole_number
from motel_locust.topology.published import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.topology.generators import Generator, Value

_TYPE: Final = re.compile(
    r"(?:(?P<plain>string|int|double|boolean)|any|(?:string|int|double|boolean)\[\]"
    r"|template\[(?:string|int|double|boolean|any)(?:\[\])?\])"
)
_READ: Final[dict[str, Callable[[Node], Value]]] = {
    "string": text,
    "int": whole_number,
    "double": number,
}
_WITHOUT_EXAMPLES: Final[dict[str, Value]] = {"string": UNKNOWN, "int": 0, "double": 0.0}
NO_REPLACEMENT: Final = "no replacement is named"


class Definition(NamedTuple):
    """An attribute, and how its values are made; None where there are none to make."""

    attribute: Attribute
    generator: Generator | None


def definition(name: str, node: Entries) -> Definition:
    """Return the attribute *name* as *node* defines it.

    Nothing is made for one that is deprecated or has no plain values. Examples that are not of the
    declared type are left out.
    """
    kind = node.named.get("type")
    deprecated = _deprecation(node)
    if isinstance(kind, Entries):
        attribute = _enumeration(name, kind, deprecated)
        return Definition(attribute, None if deprecated else one_of(attribute, {}))
    plain, template = _plain_type(kind)
    attribute = Attribute(name, deprecated=deprecated, template=template)
    if deprecated or not plain:
        return Definition(attribute, None)
    if plain == "boolean":
        return Definition(attribute, Chance(probability=0.5))
    found = _examples(node.named.get("examples"), _READ[plain])
    made = evenly(found) if found else Constant(value=_WITHOUT_EXAMPLES[plain])
    return Definition(attribute, made)


def written(node: Entries, key: str) -> str:
    """Return the text under *key*, empty if there is none."""
    found = node.named.get(key)
    if found is None or isinstance(found, Scalar):
        return text(found)
    raise Mistake("wrong-type", f"{key} must be a text, found {described(found)}", path=(key,))


def _plain_type(node: Node | None) -> tuple[str, bool]:
    """Return the type of plain values, empty where there are none, and whether it is a template."""
    if node is None or is_null(node):
        raise Mistake("missing-key", "type is missing; write type: string")
    word = text(node) if isinstance(node, Scalar) else ""
    match = _TYPE.fullmatch(word)
    if match is None:
        message = "type must be string, int, double, boolean, any, a list such as string[], a "
        message += f"template such as template[string], or members; found {described(node)}"
        raise Mistake("unknown-word", message, path=("type",))
    return match["plain"] or "", word.startswith("template")


def _enumeration(name: str, node: Entries, deprecated: str) -> Attribute:
    listed = node.named.get("members")
    path: tuple[Step, ...] = ("type", "members")
    if not isinstance(listed, Items) or not listed.present:
        found = "nothing" if listed is None else described(listed)
        message = f"members must be a list with at least one member, found {found}"
        raise Mistake("wrong-type", message, path=path if listed is not None else ("type",))
    members: list[Value] = []
    current: list[Value] = []
    for index, member in enumerate(listed.present):
        fields = member.named if isinstance(member, Entries) else {}
        value = fields.get("value", fields.get("id"))
        if not isinstance(value, Scalar) or value.null:
            message = f"a member must be a mapping with id and value, found {described(member)}"
            raise Mistake("wrong-type", message, path=(*path, index))
        members.append(any_value(value))
        if isinstance(member, Entries) and not _deprecation(member):
            current.append(members[-1])
    free = node.named.get("allow_custom_values")
    return Attribute(
        name=name,
        members=tuple(dict.fromkeys(members)),
        current=tuple(dict.fromkeys(current)),
        deprecated=deprecated,
        open=isinstance(free, Scalar) and free.text == "true",
    )


def _deprecation(node: Entries) -> str:
    """Return what to do in place of what *node* defines; empty if it is not deprecated."""
    said = node.named.get("deprecated")
    if said is None or is_null(said):
        return ""
    if isinstance(said, Entries):
        renamed = written(said, "renamed_to")
        told = f"replaced by {renamed}" if renamed else written(said, "note")
    else:
        told = written(node, "deprecated")
    told = " ".join(told.replace("`", "").split()).rstrip(".")
    return told[:1].lower() + told[1:] if told else NO_REPLACEMENT


def _examples(node: Node | None, read: Callable[[Node], Value]) -> list[Value]:
    listed = node.present if isinstance(node, Items) else [node]
    found = []
    for each in listed:
        if isinstance(each, Scalar) and not each.null:
            try:
                found.append(read(each))
            except Mistake:
                continue  # not of the type; the conventions have such examples
    return found
