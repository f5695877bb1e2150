"""A YAML document as a tree that keeps every scalar's text and place.

Nothing is typed here: what ``1.10`` or ``on`` means depends on the field it is written for.
Aliases share their node, merge keys are resolved, and null keys are kept for those who judge them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from motel_locust.topology.diagnostics import Mistake, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

NULL_TEXTS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the source: line and column from 1, and how many characters are meant."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One scalar as it is written, after YAML's own unquoting."""

    text: str
    mark: Mark
    plain: bool = True
    """Unquoted and not a block; only such a scalar can be a number, a flag or null."""
    tag: str | None = None
    """The short name of a YAML tag (``str``, ``int``, …) that was written before it."""
    size: int = 1

    @property
    def null(self) -> bool:
        """Whether it stands for no value at all."""
        return self.tag == "null" or (self.plain and self.tag is None and self.text in NULL_TEXTS)


@dataclass(frozen=True, eq=False)
class Items:
    """A YAML sequence."""

    items: tuple[Node, ...]
    mark: Mark
    size: int
    """How many nodes it is, aliases expanded."""

    @cached_property
    def present(self) -> list[Node]:
        """The items that are not null."""
        return [item for item in self.items if not is_null(item)]


@dataclass(frozen=True, eq=False)
class Entries:
    """A YAML mapping, in file order; merged entries follow its own."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark
    size: int
    """How many nodes it is, aliases expanded."""
    duplicates: tuple[tuple[Scalar, Scalar], ...] = ()
    """Keys that are given again, each with its first occurrence; the first one counts."""

    @cached_property
    def named(self) -> dict[str, Node]:
        """The values by the text of their keys, without null keys."""
        return {key.text: value for key, value in self.entries if not key.null}

    @cached_property
    def keys(self) -> dict[str, Scalar]:
        """The keys by their text, without null keys."""
        return {key.text: key for key, _ in self.entries if not key.null}


Node = Scalar | Items | Entries


def is_null(value: object) -> bool:
    """Return whether *value* is a YAML null, or None."""
    return value is None or (isinstance(value, Scalar) and value.null)


@dataclass(frozen=True, slots=True)
class Spot:
    """The part of a document to which a path leads, as far as it leads."""

    node: Node
    key: Scalar | None
    """The key under which the node stands; None for a list item and the root."""
    whole: bool
    """Whether the last step of the path was found."""

    def mark(self, *, at_key: bool = False) -> Mark:
        """Return the place of the value, or of its key where that is meant.

        Where the path goes on below a scalar, that stands for the whole mapping and is meant.
        """
        bare = isinstance(self.node, Scalar) and not self.node.null
        if self.key is not None and (at_key or not (self.whole or bare)):
            return self.key.mark
        return self.node.mark


def locate(root: Node, path: tuple[Step, ...]) -> Spot:
    """Follow *path* into *root*: names lead to values, numbers to items that are not null.

    A number in a mapping leads to an entry, then 0 to its key and 1 to its value: the path of
    mappings whose keys are values themselves.
    """
    spot = Spot(root, None, whole=True)
    steps = list(path)
    while steps:
        step = steps.pop(0)
        found = _step(spot.node, step, steps)
        if found is None:
            return Spot(spot.node, spot.key, whole=False)
        spot = found
    return spot


def _step(node: Node, step: Step, ahead: list[Step]) -> Spot | None:
    if isinstance(node, Items) and isinstance(step, int):
        items = node.present
        return Spot(items[step], None, whole=True) if step < len(items) else None
    if isinstance(node, Entries) and isinstance(step, int):
        key, value = node.entries[step]
        side = ahead.pop(0) if ahead else 1
        return Spot(key if side == 0 else value, key, whole=True)
    if isinstance(node, Entries) and step in node.named:
        return Spot(node.named[step], node.keys[step], whole=True)
    return None


class PlacedMistake(Mistake):
    """A mistake that knows its place, because no path leads there: YAML's own, or a second key."""

    def __init__(self, code: str, message: str, mark: Mark, *, path: tuple[Step, ...] = ()) -> None:
        super().__init__(code, message, path=path, complete=True)
        self.mark = mark


def walk(root: Node) -> Iterator[tuple[tuple[Step, ...], Node]]:
    """Yield every node once, with the path that first leads to it; parents come first.

    What stands below a top-level key that begins with ``x-`` is left out, unless it is aliased.
    """
    seen: set[int] = set()
    waiting: list[tuple[tuple[Step, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield path, node
        inner: list[tuple[tuple[Step, ...], Node]] = []
        if isinstance(node, Items):
            inner = [((*path, index), item) for index, item in enumerate(node.present)]
        elif isinstance(node, Entries):
            inner = [
                ((*path, key.text), value)
                for key, value in node.entries
                if path or not key.text.startswith("x-")
            ]
        waiting.extend(reversed(inner))
