"""A person's own semantic conventions: a folder of files in the public YAML format.

Both forms of the format are read: ``groups``, and the lists of ``file_format: definition/2``. What
of it matters here are names, types, enumerations, examples, what is deprecated, and which
attributes a group has; the rest is passed over, and a group's ``extends`` is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from motel_locust.topology import published
from motel_locust.topology.composing import compose
from motel_locust.topology.definitions import definition
from motel_locust.topology.diagnostics import (
    Diagnostic,
    Mistake,
    Mistakes,
    Step,
    TopologyError,
    quoted,
    suggestion,
)
from motel_locust.topology.document import Entries, Items, Node, PlacedMistake, Scalar, is_null
from motel_locust.topology.kinds import described, text
from motel_locust.topology.pages import Page, in_file_order
from motel_locust.topology.published import Attribute, Metric
from motel_locust.topology.rules import check_keys
from motel_locust.topology.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from motel_locust.topology.generators import Generator

_SUFFIXES: Final = (".yaml", ".yml")
_RETIRED: Final = "deprecated"
"""The name of folders whose groups are no domains; their attributes are told as deprecated."""

_SECTIONS: Final = {
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


@dataclass(frozen=True)
class Registry:
    """What the files of a folder say."""

    groups: Mapping[str, tuple[str, ...]]
    """The names of a group's attributes, by its id."""
    attributes: Mapping[str, Attribute]
    generators: Mapping[str, Generator]
    """How an attribute's values are made; one that has no plain values is not here."""
    metrics: Mapping[str, Metric]
    loose: tuple[str, ...]
    """Attributes that are defined outside of any group."""


NOTHING: Final = Registry({}, {}, {}, {}, ())


def read_registry(directory: str) -> Registry:
    """Return what the files below *directory* say; of two that say the same, the later one counts.

    Raises:
        TopologyError: with every problem of all files.
    """
    folder = Path(directory)
    if not folder.is_dir():
        reason = "is a file, not a folder" if folder.exists() else "no such folder"
        raise _unreadable(directory, f"{reason}; name one with conventions in YAML files")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
    reading = _Reading()
    for file in files:
        if file.is_file():
            reading.read(file, retired=_RETIRED in file.relative_to(folder).parts[:-1])
    if not files:
        raise _unreadable(directory, "has no .yaml or .yml file")
    reading.resolve()
    if reading.problems:
        raise TopologyError(sorted(reading.problems, key=lambda each: (each.file, each.line)))
    return Registry(
        {group: tuple(reading.names(group)) for group in reading.groups},
        reading.attributes,
        reading.generators,
        reading.metrics,
        tuple(reading.loose),
    )


def _unreadable(name: str, message: str) -> TopologyError:
    return TopologyError([Diagnostic(name, 0, 0, message, "unreadable-source")])


@dataclass(frozen=True, slots=True)
class _Reference:
    """The name of an attribute or, in a ``ref_group``, of a group."""

    name: str
    group: bool


@dataclass
class _Reading:
    """What the files read so far say, and what is wrong with them."""

    groups: dict[str, list[_Reference]] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    generators: dict[str, Generator] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    _mistakes: list[Mistake] = field(default_factory=list)
    _unresolved: list[tuple[Page, Node, Steps, _Reference]] = field(default_factory=list)

    def read(self, file: Path, *, retired: bool) -> None:
        """Add what *file* says; one that is *retired* defines nothing but deprecated attributes."""
        try:
            page = Page.of(read_source(str(file)))
        except TopologyError as error:
            self.problems += error.problems
            return
        self._mistakes = []
        try:
            root, problems = compose(page.text)
        except PlacedMistake as problem:
            self.problems.append(page.diagnostic(problem, problem.mark))
            return
        self._mistakes += [*problems, *check_keys(root)]
        if isinstance(root, Entries):
            for index, node in enumerate(self._items(root, "attributes", ())):
                path: Steps = ("attributes", index)
                define = partial(self._define, node, "key", "", retired=retired)
                name = self._attempt(path, define)
                if name and not retired:
                    self.loose.append(name)
            for section, (begin, key) in _SECTIONS.items():
                for index, node in enumerate(self._items(root, section, ())):
                    path = (section, index)
                    self._group(page, root, node, path, (begin, key), retired=retired)
        elif not is_null(root):
            self._mistakes.append(
                Mistake("wrong-type", f"must be a mapping with groups, found {described(root)}")
            )
        self.problems += in_file_order(page.place(root, self._mistakes))

    def resolve(self) -> None:
        """Look up what the groups refer to, now that all of it is known.

        A name below a namespace that nobody knows brings nothing: the published conventions leave
        out those of other programming languages.
        """
        for page, root, path, reference in self._unresolved:
            if reference.group:
                known, near, noun = set(self.groups), list(self.groups), "group"
            else:
                namespace = reference.name.partition(".")[0]
                own = [each for name, each in self.attributes.items() if _below(name, namespace)]
                attributes = [*published.attributes(namespace).values(), *own]
                known, noun = {each.name for each in attributes}, "attribute"
                near = [each.name for each in attributes if not each.deprecated]
            if reference.name not in known and (known or reference.group):
                message = f"no {noun} {quoted(reference.name)}{suggestion(reference.name, near)}"
                mistake = Mistake("unknown-reference", message, path=path, complete=True)
                self.problems += page.place(root, [mistake])

    def names(self, group: str, within: tuple[str, ...] = ()) -> Iterator[str]:
        """Yield the names of the attributes of *group*, those of groups it refers to as well."""
        if group not in within:
            for reference in self.groups[group]:
                if reference.group:
                    yield from self.names(reference.name, (*within, group))
                else:
                    yield reference.name

    def _group(
        self,
        page: Page,
        root: Node,
        node: Node,
        path: Steps,
        section: tuple[str, str],
        *,
        retired: bool,
    ) -> None:
        begin, key = section
        name = self._attempt(path, lambda: f"{begin}{_named(node, key)}")
        if name is None:
            return
        assert isinstance(node, Entries)
        prefix = text(node.named.get("prefix"))
        references = []
        for index, inner in enumerate(self._items(node, "attributes", path)):
            where = (*path, "attributes", index)
            reference = self._attempt(where, partial(self._refer, inner, prefix, retired=retired))
            if reference is not None:
                references.append(reference)
                if reference.name not in self.attributes:
                    self._unresolved.append((page, root, where, reference))
        metric = text(node.named.get("metric_name" if key == "id" else "name"))
        if not retired:
            self.groups[name] = references
            if metric and "instrument" in node.named:
                instrument, unit = (text(node.named.get(key)) for key in ("instrument", "unit"))
                self.metrics[metric] = Metric(metric, instrument, unit, "")

    def _refer(self, node: Node, prefix: str, *, retired: bool) -> _Reference:
        for key in ("ref", "ref_group"):
            if isinstance(node, Entries) and not is_null(node.named.get(key)):
                return _Reference(_named(node, key), group=key == "ref_group")
        return _Reference(self._define(node, "id", prefix, retired=retired), group=False)

    def _define(self, node: Node, key: str, prefix: str, *, retired: bool) -> str:
        """Return the name of the attribute that *node* defines, now known."""
        written = _named(node, key)
        name = f"{prefix}.{written}" if prefix else written
        assert isinstance(node, Entries)
        attribute, generator = definition(name, node, retired=retired)
        if retired:
            self.attributes.setdefault(name, attribute)
            return name
        self.attributes[name] = attribute
        self.generators.pop(name, None)
        if generator is not None:
            self.generators[name] = generator
        return name

    def _items(self, node: Entries, key: str, path: Steps) -> list[Node]:
        found = node.named.get(key)
        if found is None or is_null(found):
            return []
        if isinstance(found, Items):
            return found.present
        message = f"{key} must be a list, found {described(found)}"
        self._mistakes.append(Mistake("wrong-type", message, path=(*path, key), complete=True))
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


def _below(name: str, namespace: str) -> bool:
    return name.startswith(f"{namespace}.")


def _named(node: Node, key: str) -> str:
    if not isinstance(node, Entries):
        raise Mistake("wrong-type", f"must be a mapping with {key}, found {described(node)}")
    name = node.named.get(key)
    if isinstance(name, Scalar) and text(name):
        return text(name)
    if name is None or is_null(name) or isinstance(name, Scalar):
        raise Mistake("missing-key", f"{key} is missing; write for example {key}: shop.order")
    raise Mistake("wrong-type", f"{key} must be a text, found {described(name)}", path=(key,))
