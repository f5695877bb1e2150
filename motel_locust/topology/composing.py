"""From YAML text to a :mod:`document <motel_locust.topology.document>`.

PyYAML reads the events; the tree is built here, without recursion, because neither its scalars
(``1.10`` would become 1.1) nor its nesting (a deep file would exhaust the stack) can be trusted to
its own constructors.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from motel_locust.topology.diagnostics import quoted
from motel_locust.topology.document import Entries, Items, Mark, Node, PlacedMistake, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 100
MAX_REPEATED_NODES: Final = 100_000
"""How many nodes aliases may add, so that nine short lines cannot become a billion nodes."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG_PREFIX: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = frozenset(
    {"str", "int", "float", "bool", "null", "binary", "timestamp", "merge"}
)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read yet."""

    anchor: str | None
    mark: Mark
    mapping: bool
    nodes: list[Node] = field(default_factory=list)
    """Its items; keys and values in turn."""


def compose(text: str) -> tuple[Node, list[PlacedMistake]]:
    """Return the first document of *text*, and what is wrong with its keys and merges.

    Raises:
        PlacedMistake: if there is no way to go on: bad syntax, unknown anchors, excesses.
    """
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
            if isinstance(event, yaml.DocumentEndEvent):
                break  # what follows is another document, and not ours to judge
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(error) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise PlacedMistake(
            "invalid-yaml", f"not YAML: {error.reason} (U+{error.character:04X})",
            Mark(line, column),
        ) from None  # fmt: skip
    except yaml.YAMLError as error:
        raise PlacedMistake("invalid-yaml", f"not YAML: {error}", Mark(1, 1)) from None
    return composer.root or Scalar("", Mark(1, 1)), composer.problems


def _syntax_problem(error: yaml.MarkedYAMLError) -> PlacedMistake:
    mark = error.problem_mark or error.context_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    context = f" {error.context}" if error.context else ""
    return PlacedMistake("invalid-yaml", f"not YAML: {error.problem}{context}", place)


class _Composer:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[PlacedMistake] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._repeated = 0

    def take(self, event: Any) -> None:
        """Add what *event* brings to the tree."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event), None)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(self._open) == MAX_DEPTH:
                raise PlacedMistake(
                    "too-deep",
                    f"lists and mappings are nested more than {MAX_DEPTH} deep",
                    _mark(event),
                )
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._open.append(_Open(event.anchor, _mark(event), mapping))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = self._open.pop()
            self._add(self._entries(done) if done.mapping else _items(done), done.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].nodes.append(node)
        else:
            self.root = node

    def _scalar(self, event: Any) -> Scalar:
        mark = _mark(event)
        tag = (event.tag or "").removeprefix(_TAG_PREFIX)
        plain = bool(event.implicit[0]) or (not event.style and event.tag is not None)
        if tag == "binary":
            return Scalar(self._decoded(event.value, mark), mark, plain=False, tag="str")
        if event.tag is None or tag in _SCALAR_TAGS:
            return Scalar(event.value, mark, plain, tag or None)
        return Scalar(event.value, mark, plain=False)  # "!" and tags nobody knows: text

    def _decoded(self, text: str, mark: Mark) -> str:
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            message = f"!!binary {quoted(text)} is not base64 of UTF-8 text ({error})"
            self.problems.append(PlacedMistake("invalid-yaml", message, mark))
            return text

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        mark = _mark(event)
        if any(part.anchor == name for part in self._open):
            raise PlacedMistake(
                "excessive-aliases", f"alias *{name} lies inside its own anchor", mark
            )
        if name not in self._anchors:
            raise PlacedMistake("unknown-anchor", f"no anchor &{name} before this alias", mark)
        node = self._anchors[name]
        self._repeated += node.size
        if self._repeated > MAX_REPEATED_NODES:
            message = f"aliases repeat more than {MAX_REPEATED_NODES:,} nodes"
            raise PlacedMistake("excessive-aliases", message, mark)
        return node

    def _entries(self, done: _Open) -> Entries:
        own: dict[str, tuple[Scalar, Node]] = {}
        duplicates: list[tuple[Scalar, Scalar]] = []
        merge: Node | None = None
        for key, value in zip(done.nodes[::2], done.nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                found = "a list" if isinstance(key, Items) else "a mapping"
                self.problems.append(
                    PlacedMistake("invalid-key", f"{found} cannot be a key; write a name", key.mark)
                )
                continue
            # A null key spells like the text "null", but the one is no name and the other is.
            spelling = key.text if not key.null else f"\0{key.text}"
            if spelling in own:
                duplicates.append((key, own[spelling][0]))
                continue
            own[spelling] = (key, value)
            if _is_merge(key):
                merge = value
        if merge is not None:
            del own["<<"]
            for merged in self._merged(merge):
                for key, inner in merged.entries:
                    own.setdefault(key.text if not key.null else f"\0{key.text}", (key, inner))
        entries = tuple(own.values())
        size = 1 + sum(1 + value.size for _, value in entries)
        return Entries(entries, done.mark, size, tuple(duplicates))

    def _merged(self, value: Node) -> Iterator[Entries]:
        for part in value.items if isinstance(value, Items) else (value,):
            if isinstance(part, Entries):
                yield part
            else:
                message = "a merge key (<<) takes a mapping, an alias of one, or a list of those"
                self.problems.append(PlacedMistake("invalid-merge", message, part.mark))


def _is_merge(key: Scalar) -> bool:
    return key.text == "<<" and (key.tag == "merge" or (key.plain and key.tag is None))


def _items(done: _Open) -> Items:
    return Items(tuple(done.nodes), done.mark, 1 + sum(node.size for node in done.nodes))


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(1, width))
