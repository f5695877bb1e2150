"""The names and references that a document spells, whatever else is wrong with it.

References are checked on this outline and not on the models, so that a misspelt duration does not
hide a misspelt reference: all problems of a file come in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from motel_locust.topology.diagnostics import Mistake, Step
from motel_locust.topology.document import Entries, Items, Node, Scalar
from motel_locust.topology.quantities import parse_duration
from motel_locust.topology.scalars import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The text of a reference, and where it stands."""

    ref: str
    path: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of baggage, and where it stands."""

    key: str
    value: str
    path: Path


@dataclass(frozen=True, slots=True)
class MetricOutline:
    """A metric's name, and whether it has a value of its own."""

    name: str
    path: Path
    scope: str
    """The service's name or the operation's ref."""
    service: str
    valued: bool


@dataclass(frozen=True, slots=True)
class OperationOutline:
    """An operation's name and what it refers to."""

    service: str
    name: str
    path: Path
    calls: tuple[Reference, ...]
    links: tuple[Reference, ...]
    domain: Reference | None
    variants: tuple[str, ...]

    @property
    def ref(self) -> str:
        """The name under which it is called."""
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class OverrideOutline:
    """What an override is for, and what it refers to."""

    key: str
    path: Path
    fields: tuple[str, ...]
    """The keys that are set to something."""
    added: tuple[Reference, ...]
    removed: tuple[Reference, ...]
    metrics: tuple[Reference, ...]
    variants: tuple[Reference, ...]
    instances: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class ScenarioOutline:
    """A scenario's window and overrides."""

    name: str
    index: int
    start_ns: int | None
    """None where the window cannot be read."""
    end_ns: int | None
    overrides: tuple[OverrideOutline, ...]


@dataclass(frozen=True)
class Outline:
    """The names and references of a whole document, in file order."""

    services: tuple[str, ...]
    operations: tuple[OperationOutline, ...]
    metrics: tuple[MetricOutline, ...]
    scenarios: tuple[ScenarioOutline, ...]
    roots: tuple[Reference, ...]
    baggage: tuple[Entry, ...]
    """All that services, operations and variants set."""
    asked: tuple[Entry, ...]
    """What variants ask for."""
    instances: dict[str, str]
    """How many instances services have, as it is written; nothing where it is not."""

    @cached_property
    def calls(self) -> dict[str, list[Reference]]:
        """The calls of every operation, by its ref."""
        return {operation.ref: list(operation.calls) for operation in self.operations}

    @cached_property
    def variants(self) -> dict[str, tuple[str, ...]]:
        """The names of every operation's variants, by its ref."""
        return {operation.ref: operation.variants for operation in self.operations}

    @cached_property
    def metrics_named(self) -> dict[str, list[MetricOutline]]:
        """The metrics of all services and operations, by their name."""
        named: dict[str, list[MetricOutline]] = {}
        for metric in self.metrics:
            named.setdefault(metric.name, []).append(metric)
        return named


def outline(root: Node) -> Outline:
    """Return the outline of the document *root*; what is no mapping or list is passed over."""
    services = _entries(_get(root, "services"))
    return Outline(
        services=tuple(services),
        operations=tuple(_operations(services)),
        metrics=tuple(_metrics(services)),
        scenarios=tuple(
            _scenario(node, index) for index, node in enumerate(_items(_get(root, "scenarios")))
        ),
        roots=tuple(_roots(root)),
        instances={name: _count(_get(node, "instances")) for name, node in services.items()},
        baggage=tuple(_baggage(services)),
        asked=tuple(_asked(services)),
    )


def _operations(services: dict[str, Node]) -> Iterator[OperationOutline]:
    for service_name, service in services.items():
        for name, operation in _entries(_get(service, "operations")).items():
            path: Path = ("services", service_name, "operations", name)
            yield OperationOutline(
                service=service_name,
                name=name,
                path=path,
                calls=_references(_get(operation, "calls"), "target", (*path, "calls")),
                links=_references(_get(operation, "links"), "ref", (*path, "links")),
                domain=_domain(operation, path),
                variants=tuple(_entries(_get(operation, "variants"))),
            )


def _domain(operation: Node, path: Path) -> Reference | None:
    domain = _text(_get(operation, "domain"))
    return Reference(domain, (*path, "domain")) if domain else None


def _metrics(services: dict[str, Node]) -> Iterator[MetricOutline]:
    for service_name, service in services.items():
        path: Path = ("services", service_name)
        yield from _metrics_of(service, path, service_name, service_name)
        for name, operation in _entries(_get(service, "operations")).items():
            inner = (*path, "operations", name)
            yield from _metrics_of(operation, inner, f"{service_name}.{name}", service_name)


def _metrics_of(node: Node | None, path: Path, scope: str, service: str) -> Iterator[MetricOutline]:
    for index, metric in enumerate(_items(_get(node, "metrics"))):
        name = _text(_get(metric, "name"))
        if name:
            valued = _is_set(_get(metric, "value"))
            yield MetricOutline(name, (*path, "metrics", index, "name"), scope, service, valued)


def _scenario(node: Node, index: int) -> ScenarioOutline:
    start_ns = _duration_ns(_text(_get(node, "at")).strip().removeprefix("+"))
    length_ns = _duration_ns(_text(_get(node, "duration")))
    complete = start_ns is not None and length_ns is not None
    return ScenarioOutline(
        name=_text(_get(node, "name")),
        index=index,
        start_ns=start_ns if complete else None,
        end_ns=start_ns + length_ns if start_ns is not None and length_ns is not None else None,
        overrides=tuple(
            _override(key, inner, ("scenarios", index, "override", key))
            for key, inner in _entries(_get(node, "override")).items()
        ),
    )


def _count(node: Node | None) -> str:
    return _text(node) or _text(_get(node, "count"))


def _override(key: str, node: Node, path: Path) -> OverrideOutline:
    return OverrideOutline(
        key=key,
        path=path,
        fields=tuple(name for name, inner in _entries(node).items() if _is_set(inner)),
        added=_references(_get(node, "add_calls"), "target", (*path, "add_calls")),
        removed=_references(_get(node, "remove_calls"), "target", (*path, "remove_calls")),
        metrics=tuple(
            Reference(name, (*path, "metrics", name)) for name in _entries(_get(node, "metrics"))
        ),
        variants=tuple(
            Reference(name, (*path, "variants", name)) for name in _entries(_get(node, "variants"))
        ),
        instances=tuple(
            Reference(number, (*path, "instances", number))
            for number in _entries(_get(node, "instances"))
        ),
    )


def _baggage(services: dict[str, Node]) -> Iterator[Entry]:
    for service_name, service in services.items():
        path: Path = ("services", service_name)
        yield from _baggage_of(service, "baggage", path)
        for name, operation in _entries(_get(service, "operations")).items():
            yield from _baggage_of(operation, "baggage", (*path, "operations", name))
    for variant, path in _variants(services):
        yield from _baggage_of(variant, "baggage", path)


def _asked(services: dict[str, Node]) -> Iterator[Entry]:
    for variant, path in _variants(services):
        yield from _baggage_of(variant, "when", path)


def _variants(services: dict[str, Node]) -> Iterator[tuple[Node, Path]]:
    for service_name, service in services.items():
        for name, operation in _entries(_get(service, "operations")).items():
            path: Path = ("services", service_name, "operations", name, "variants")
            for key, variant in _entries(_get(operation, "variants")).items():
                yield variant, (*path, key)


def _baggage_of(node: Node, field: str, path: Path) -> Iterator[Entry]:
    for key, value in _entries(_get(node, field)).items():
        yield Entry(key, _text(value), (*path, field, key))


def _roots(root: Node) -> Iterator[Reference]:
    traffics: list[tuple[Node | None, Path]] = [(_get(root, "traffic"), ("traffic",))]
    for index, scenario in enumerate(_items(_get(root, "scenarios"))):
        traffics.append((_get(scenario, "traffic"), ("scenarios", index, "traffic")))
    for traffic, path in traffics:
        for node, inner in ((traffic, path), (_get(traffic, "overlay"), (*path, "overlay"))):
            for ref in _entries(_get(node, "roots")):
                yield Reference(ref, (*inner, "roots", ref))


def _references(node: Node | None, key: str, path: Path) -> tuple[Reference, ...]:
    """Return the references of a list whose items are bare refs or mappings with *key*."""
    found = []
    for index, item in enumerate(_items(node)):
        bare = isinstance(item, Scalar)
        ref = _text(item if bare else _get(item, key))
        if "." in ref:  # what has no dot is no reference, which the models tell
            found.append(Reference(ref, (*path, index) if bare else (*path, index, key)))
    return tuple(found)


def _entries(node: Node | None) -> dict[str, Node]:
    return node.named if isinstance(node, Entries) else {}


def _items(node: Node | None) -> list[Node]:
    return node.present if isinstance(node, Items) else []


def _get(node: Node | None, key: str) -> Node | None:
    return _entries(node).get(key)


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) and not node.null else ""


def _is_set(node: Node | None) -> bool:
    if isinstance(node, Scalar):
        return not node.null and node.text != "" and resolve(node) is not False
    return node is not None and node.size > 1


def _duration_ns(text: str) -> int | None:
    try:
        return parse_duration(text)
    except Mistake:
        return None
