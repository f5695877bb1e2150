"""Values for published attributes: what ``conventions.yaml`` beside this module says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from motel_locust.topology.composing import compose
from motel_locust.topology.document import Entries, Items, Node
from motel_locust.topology.generators import Attributes, Choice, Constant
from motel_locust.topology.kinds import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from motel_locust.topology.generators import Generator, Value
    from motel_locust.topology.published import Attribute

FILE: Final = "conventions.yaml"
UNKNOWN: Final = "unknown"
"""The value of a text of which nobody has an example."""

_ATTRIBUTES: Final[TypeAdapter[Attributes]] = TypeAdapter(Attributes)


@dataclass(frozen=True, slots=True)
class Examples:
    """The content of the file."""

    apart: frozenset[str]
    """Namespaces that are domains of their own, and no part of the one above them."""
    lists: frozenset[str]
    """Attributes that hold more than one plain value."""
    open: frozenset[str]
    """Enumerations that everybody may add to."""
    values: Mapping[str, Node]
    """Generators by attribute, as they are written."""


@cache
def examples() -> Examples:
    """Return the content of the file, read once."""
    root, _ = compose(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    assert isinstance(root, Entries)
    values = root.named["values"]
    assert isinstance(values, Entries)
    return Examples(
        apart=_names(root.named["apart"]),
        lists=_names(root.named["lists"]),
        open=_names(root.named["open"]),
        values=values.named,
    )


@cache
def written(name: str) -> Generator | None:
    """Return what the file says of the attribute *name*."""
    node = examples().values.get(name)
    return None if node is None else _ATTRIBUTES.validate_python({name: node})[name]


def generator(attribute: Attribute) -> Generator | None:
    """Return how values of the published *attribute* are made; None where there are none to make.

    An enumeration has all members that are not deprecated, those that the file does not mention
    with weight 1; the first one where all are deprecated.
    """
    if attribute.deprecated or attribute.template or attribute.name in examples().lists:
        return None
    said = written(attribute.name)
    if not attribute.members:
        return said or Constant(value=UNKNOWN)
    weights = dict(said.values) if isinstance(said, Choice) else {}
    return one_of(attribute, weights)


def one_of(attribute: Attribute, weights: Mapping[Value, int]) -> Generator:
    """Return the choice between the members of an enumeration, by *weights*, 1 by default."""
    if not attribute.current:
        return Constant(value=attribute.members[0])
    return Choice(values=tuple((dict.fromkeys(attribute.current, 1) | dict(weights)).items()))


def evenly(values: Iterable[Value]) -> Generator:
    """Return the choice between one or more *values*, all equally likely."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return Constant(value=distinct[0])
    return Choice(values=tuple((value, 1) for value in distinct))


def _names(node: Node) -> frozenset[str]:
    assert isinstance(node, Items)
    return frozenset(map(text, node.items))
