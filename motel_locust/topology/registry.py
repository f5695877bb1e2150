"""A person's own semantic conventions: a folder of files in the public YAML format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from motel_locust.topology import published
from motel_locust.topology.convention_files import ConventionFile
from motel_locust.topology.definitions import NO_REPLACEMENT
from motel_locust.topology.diagnostics import (
    Diagnostic,
    Mistake,
    TopologyError,
    quoted,
    suggestion,
)
from motel_locust.topology.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.topology.convention_files import Group, Reference
    from motel_locust.topology.generators import Generator
    from motel_locust.topology.published import Attribute, Metric

_SUFFIXES: Final = (".yaml", ".yml")
_RETIRED: Final = "deprecated"
"""The name of folders whose groups are no domains; their attributes are told as deprecated."""


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
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
    merging = _Merging()
    for path in filter(Path.is_file, paths):
        try:
            file = ConventionFile(read_source(str(path)))
        except TopologyError as error:
            merging.problems += error.problems
        else:
            merging.add(file, retired=_RETIRED in path.relative_to(folder).parts[:-1])
    if not paths:
        raise _unreadable(directory, "has no .yaml or .yml file")
    return merging.registry()


def _unreadable(name: str, message: str) -> TopologyError:
    return TopologyError([Diagnostic(name, 0, 0, message, "unreadable-source")])


class _Merging:
    """What the files read so far say, and what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self._groups: dict[str, Group] = {}
        self._attributes: dict[str, Attribute] = {}
        self._retired: dict[str, Attribute] = {}
        self._generators: dict[str, Generator] = {}
        self._loose: list[str] = []
        self._references: list[tuple[ConventionFile, Reference]] = []

    def add(self, file: ConventionFile, *, retired: bool) -> None:
        """Add what *file* says; one that is *retired* says no more than what is deprecated."""
        self.problems += file.problems
        for attribute, generator in file.definitions:
            name = attribute.name
            if retired:
                deprecated = attribute.deprecated or NO_REPLACEMENT
                self._retired[name] = replace(attribute, deprecated=deprecated)
                continue
            self._attributes[name] = attribute
            self._generators.pop(name, None)
            if generator is not None:
                self._generators[name] = generator
        if not retired:
            self._loose += file.loose
            for group in file.groups:
                self._groups[group.name] = group
                self._references += [(file, reference) for reference in group.members]

    def registry(self) -> Registry:
        """Return what all files say together.

        Raises:
            TopologyError: if anything is wrong.
        """
        attributes = {**self._retired, **self._attributes}
        for file, reference in self._references:
            self.problems += file.place(self._unknown(reference, attributes))
        if self.problems:
            raise TopologyError(sorted(self.problems, key=lambda each: (each.file, each.line)))
        metrics = [group.metric for group in self._groups.values() if group.metric.instrument]
        return Registry(
            {name: tuple(self._names(name)) for name in self._groups},
            attributes,
            self._generators,
            {metric.name: metric for metric in metrics},
            tuple(self._loose),
        )

    def _unknown(
        self, reference: Reference, attributes: Mapping[str, Attribute]
    ) -> Iterator[Mistake]:
        """Yield a mistake if nobody knows what *reference* means, now that all of it is read.

        A name below a namespace that nobody knows brings nothing: the published conventions leave
        out those of other programming languages.
        """
        if reference.group:
            noun, known, near = "group", set(self._groups), list(self._groups)
        else:
            begin = reference.name.partition(".")[0]
            own = [each for name, each in attributes.items() if name.startswith(f"{begin}.")]
            there = [*published.attributes(begin).values(), *own]
            noun, known = "attribute", {each.name for each in there}
            near = [each.name for each in there if not each.deprecated]
            if not known:
                return
        if reference.name not in known:
            message = f"no {noun} {quoted(reference.name)}{suggestion(reference.name, near)}"
            yield Mistake("unknown-reference", message, path=reference.path, complete=True)

    def _names(self, group: str) -> Iterator[str]:
        """Yield the names of the attributes of *group*, those of groups it refers to as well."""
        seen, ahead = {group}, list(reversed(self._groups[group].members))
        while ahead:
            reference = ahead.pop()
            if not reference.group:
                yield reference.name
            elif reference.name not in seen:
                seen.add(reference.name)
                ahead += reversed(self._groups[reference.name].members)
