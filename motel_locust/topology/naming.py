"""What the semantic conventions have to say of the names and fixed values in a topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from motel_locust.topology.diagnostics import (
    Mistake,
    Step,
    listed,
    quoted,
    suggestion,
    with_article,
)
from motel_locust.topology.generators import Choice, Constant
from motel_locust.topology.scalars import print_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from motel_locust.topology.conventions import Conventions
    from motel_locust.topology.generators import Generator, Value
    from motel_locust.topology.model import Event, Link, Log, Metric, Operation, Service, Topology

Path = tuple[Step, ...]

_MAX_LISTED = 12
"""So many members of an enumeration are named in a message."""


_LONG_ENOUGH = 6
"""Letters of a first part that one slip makes no other word of: post is not a slip of host."""


def check_names(topology: Topology, conventions: Conventions) -> Iterator[Mistake]:
    """Yield a warning for each name or fixed value that the *conventions* would not have."""
    for name, fixed in _attributes(topology):
        yield from _attribute(name, fixed, conventions)
    for metric, path in _metrics(topology):
        yield from _metric(metric, path, conventions)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The values of an attribute that are written in the topology, and where it stands."""

    path: Path
    values: tuple[tuple[Value, Path], ...]


def _attribute(name: str, fixed: _Fixed, conventions: Conventions) -> Iterator[Mistake]:
    known = conventions.attribute(name)
    if known is None:
        meant = _near(name, conventions)
        if meant:
            message = f"the semantic conventions have no attribute {quoted(name)}; "
            message += f"did you mean {listed(map(quoted, meant[:3]))}?"
            yield _warning("misspelt-name", message, fixed.path)
    elif known.deprecated:
        message = f"attribute {quoted(name)} is deprecated in the semantic conventions: "
        yield _warning("deprecated-name", f"{message}{known.deprecated}", fixed.path)
    elif known.members:
        members = [print_value(member) for member in known.members]
        for value, path in fixed.values:
            written = print_value(value)
            if written in members:
                continue
            near = suggestion(written, members)
            if near or not conventions.is_open(known):
                message = f"{quoted(written)} is none of the values of {quoted(name)} in the "
                message += f"semantic conventions{near or _all(members)}"
                yield Mistake("unlisted-value", message, path=path, complete=True)


def _near(name: str, conventions: Conventions) -> list[str]:
    """Return the names that *name* is a slip of the pen away from."""
    first, known = name.partition(".")[0], conventions.namespaces()
    namespaces = {first} & known or {
        each for each in known if len(each) >= _LONG_ENOUGH and _one_slip(first, each)
    }
    names = {each for namespace in namespaces for each in conventions.names(namespace)}
    return sorted(each for each in names if _nearly(name, each))


def _all(members: list[str]) -> str:
    if len(members) > _MAX_LISTED:
        return ""
    return f", which are {listed(members, 'and')}" if len(members) > 1 else f": {members[0]}"


def _metric(metric: Metric, path: Path, conventions: Conventions) -> Iterator[Mistake]:
    known = conventions.metric(metric.name)
    if known is None:
        return
    begin = f"metric {quoted(metric.name)}"
    if known.deprecated:
        message = f"{begin} is deprecated in the semantic conventions: {known.deprecated}"
        yield Mistake("deprecated-name", message, path=(*path, "name"), complete=True)
        return
    instrument = "histogram" if metric.type == "exponential_histogram" else metric.type
    if known.instrument and known.instrument != instrument:
        message = f"{begin} is {with_article(known.instrument)} in the semantic conventions, "
        message += f"not {with_article(metric.type)}"
        yield Mistake("other-instrument", message, path=(*path, "type"), complete=True)
    if known.unit != metric.unit:
        found = f"not {quoted(metric.unit)}" if metric.unit else "and has none here"
        message = f"{begin} has the unit {quoted(known.unit)} in the semantic conventions, {found}"
        inner = (*path, "unit") if metric.unit else (*path, "name")
        yield Mistake("other-unit", message, path=inner, complete=True)


def _warning(code: str, message: str, path: Path) -> Mistake:
    return Mistake(code, message, path=path, at_key=True, complete=True)


def _attributes(topology: Topology) -> Iterator[tuple[str, _Fixed]]:
    for service_name, service in topology.services.items():
        path: Path = ("services", service_name)
        yield from _texts(service.resource_attributes, (*path, "resource_attributes"))
        yield from _texts(service.instance_attributes, (*path, "instance_attributes"))
        yield from _texts(service.attributes, (*path, "attributes"))
        yield from _signals(service, path)
        for name, operation in service.operations.items():
            yield from _operation(operation, (*path, "operations", name))
    for number, scenario in enumerate(topology.scenarios):
        for key, override in scenario.override.items():
            path = ("scenarios", number, "override", key)
            yield from _made(override.attributes, path)
            for variant, change in override.variants.items():
                yield from _made(change.attributes, (*path, "variants", variant))
            if override.logs is not None:
                yield from _several(override.logs.add, (*path, "logs", "add"))


def _operation(operation: Operation, path: Path) -> Iterator[tuple[str, _Fixed]]:
    yield from _made(operation.attributes, path)
    for name, variant in operation.variants.items():
        yield from _made(variant.attributes, (*path, "variants", name))
    yield from _several(operation.events, (*path, "events"))
    yield from _several(operation.links, (*path, "links"))
    yield from _signals(operation, path)


def _signals(owner: Service | Operation, path: Path) -> Iterator[tuple[str, _Fixed]]:
    yield from _several(owner.metrics, (*path, "metrics"))
    yield from _several(owner.logs, (*path, "logs"))


def _several(
    parts: Iterable[Event | Link | Log | Metric], path: Path
) -> Iterator[tuple[str, _Fixed]]:
    for index, part in enumerate(parts):
        yield from _made(part.attributes, (*path, index))


def _made(attributes: Mapping[str, Generator], path: Path) -> Iterator[tuple[str, _Fixed]]:
    for name, generator in attributes.items():
        where = (*path, "attributes", name)
        yield name, _Fixed(where, tuple(_values(generator, where)))


def _texts(attributes: Mapping[str, str], path: Path) -> Iterator[tuple[str, _Fixed]]:
    for name, value in attributes.items():
        where = (*path, name)
        yield name, _Fixed(where, ((value, where),))


def _values(generator: Generator, path: Path) -> Iterator[tuple[Value, Path]]:
    match generator:
        case Constant(value=value):
            yield value, (*path, "value")
        case Choice(values=pairs):
            for index, (value, _) in enumerate(pairs):
                yield value, (*path, "values", index, 0)


def _metrics(topology: Topology) -> Iterator[tuple[Metric, Path]]:
    for service_name, service in topology.services.items():
        path: Path = ("services", service_name)
        for index, metric in enumerate(service.metrics):
            yield metric, (*path, "metrics", index)
        for name, operation in service.operations.items():
            for index, metric in enumerate(operation.metrics):
                yield metric, (*path, "operations", name, "metrics", index)


def _nearly(name: str, other: str) -> bool:
    """Return whether the names differ by one slip of the pen at most in each of their parts."""
    parts, others = name.split("."), other.split(".")
    if len(parts) != len(others):
        return _one_slip(name, other)
    return all(_one_slip(part, each) for part, each in zip(parts, others, strict=True))


def _one_slip(word: str, other: str) -> bool:
    """Return whether a letter more, less or other, or two swapped ones, make *word* the *other*."""
    begin = 0
    while begin < min(len(word), len(other)) and word[begin] == other[begin]:
        begin += 1
    word, other = word[begin:], other[begin:]
    while word and other and word[-1] == other[-1]:
        word, other = word[:-1], other[:-1]
    return max(len(word), len(other)) <= 1 or (len(word) == 2 and word == other[::-1])
