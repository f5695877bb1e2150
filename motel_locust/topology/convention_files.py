"""One file of semantic conventions in the public YAML format, in both of its forms.

The older form has ``groups``, ``file_format: definition/2`` several lists. What of it matters here
are names, types, enumerations, examples, what is deprecated, and which attributes a group has; the
rest is passed over, and a group's ``extends`` is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from motel_locust.topology.composing import compose
from motel_locust.topology.definitions import definition, written
from motel_locust.topology.diagnostics import Mistake, Mistakes, Step, TopologyError
from motel_locust.topology.document import Entries, Items, Node, PlacedMistake, is_null
from motel_locust.topology.kinds import described
from motel_locust.topology.pages import Page, in_file_order
from motel_locust.topology.published import Metric
from motel_locust.topology.rules import check_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from motel_locust.topology.definitions import Definition
    from motel_locust.topology.diagnostics import Diagnostic
    from motel_locust.topology.sources import Source

SECTIONS: Final = {
    "groups": ("", "id"),
    "attribute_groups": ("", "id"),
    "spans": ("span.", "type"),
    "events": ("event.", "name"),
    "metrics": ("metric.", "name"),
    "entities": ("entity.", "type"),
    "span_refinements": ("", "id"),
    "event_refinements": ("", "id"),
    "metric_refinements": ("", "id"),
    "entity_refinements": ("", "id"),
}
"""Lists of groups, with what the public registry begins their ids with, and the key they have."""

Steps = tuple[Step, ...]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an attribute or, in a ``ref_group``, of a group; and where it stands."""

    name: str
    group: bool
    path: Steps


@dataclass(frozen=True, slots=True)
class Group:
    """A group of attributes."""

    name: str
    members: tuple[Reference, ...]
    metric: Metric
    """Without an instrument where the group is no metric."""


class ConventionFile:
    """What one file defines.

    Raises:
        TopologyError: if it is no text, or not YAML.
    """

    def __init__(self, source: Source) -> None:
        self._page = Page.of(source)
        try:
            self._root, problems = compose(self._page.text)
        except PlacedMistake as problem:
            raise TopologyError([self._page.diagnostic(problem, problem.mark)]) from None
        self._mistakes: list[Mistake] = [*problems, *check_keys(self._root)]
        self.definitions: list[Definition] = []
        self.loose: list[str] = []
        """Attributes that are defined outside of any group."""
        self.groups = tuple(self._read())

    @property
    def problems(self) -> list[Diagnostic]:
        """Everything that is wrong with it."""
        return in_file_order(self.place(self._mistakes))

    def place(self, mistakes: Iterable[Mistake]) -> Iterator[Diagnostic]:
        """Yield a diagnostic for each of *mistakes*, at its place in the file."""
        return self._page.place(self._root, mistakes)

    def _read(self) -> Iterator[Group]:
        root = self._root
        if isinstance(root, Entries):
            for path, node in self._items(root, "attributes", ()):
                name = self._attempt(path, partial(self._define, node, "key"))
                self.loose += [name] if name else []
            for section, (begin, key) in SECTIONS.items():
                for path, node in self._items(root, section, ()):
                    yield from self._group(node, path, begin=begin, key=key)
        elif not is_null(root):
            message = f"must be a mapping with groups, found {described(root)}"
            self._mistakes.append(Mistake("wrong-type", message))

    def _group(self, node: Node, path: Steps, *, begin: str, key: str) -> Iterator[Group]:
        head = self._attempt(path, partial(_head, node, key))
        if head is None:
            return
        name, prefix, metric = head
        assert isinstance(node, Entries)
        found = [
            self._attempt(where, partial(self._member, inner, where, prefix=prefix))
            for where, inner in self._items(node, "attributes", path)
        ]
        yield Group(f"{begin}{name}", tuple(each for each in found if each is not None), metric)

    def _member(self, node: Node, path: Steps, *, prefix: str) -> Reference:
        for key in ("ref", "ref_group"):
            if isinstance(node, Entries) and not is_null(node.named.get(key)):
                return Reference(_named(node, key), key == "ref_group", path)
        return Reference(self._define(node, "id", prefix=prefix), False, path)

    def _define(self, node: Node, key: str, *, prefix: str = "") -> str:
        """Return the name of the attribute that *node* defines, now known."""
        name = _named(node, key)
        name = f"{prefix}.{name}" if prefix else name
        assert isinstance(node, Entries)
        self.definitions.append(definition(name, node))
        return name

    def _items(self, node: Entries, key: str, path: Steps) -> list[tuple[Steps, Node]]:
        """Return what the list under *key* has, each with its path."""
        found, inner = node.named.get(key), (*path, key)
        if isinstance(found, Items):
            return [((*inner, index), each) for index, each in enumerate(found.present)]
        if not is_null(found):
            message = f"{key} must be a list, found {described(found)}"
            self._mistakes.append(Mistake("wrong-type", message, path=inner, complete=True))
        return []

    def _attempt(self, path: Steps, read: Callable[[], Found]) -> Found | None:
        """Return what *read* returns; None if it found mistakes in what stands at *path*."""
        try:
            return read()
        except Mistakes as several:
            found = several.mistakes
        except Mistake as mistake:
            found = (mistake,)
        for each in found:
            self._mistakes.append(
                Mistake(each.code, str(each), path=(*path, *each.path), at_key=each.at_key)
            )
        return None


def _head(node: Node, key: str) -> tuple[str, str, Metric]:
    """Return a group's name, what the names of its attributes begin with, and its metric."""
    name = _named(node, key)
    assert isinstance(node, Entries)
    metric = written(node, "metric_name" if key == "id" else "name")
    instrument = written(node, "instrument") if metric else ""
    return name, written(node, "prefix"), Metric(metric, instrument, written(node, "unit"))


def _named(node: Node, key: str) -> str:
    if not isinstance(node, Entries):
        raise Mistake("wrong-type", f"must be a mapping with {key}, found {described(node)}")
    name = written(node, key)
    if not name:
        raise Mistake("missing-key", f"{key} is missing; write for example {key}: shop.order")
    return name
