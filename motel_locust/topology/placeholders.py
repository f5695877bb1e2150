"""Placeholders of log bodies, and what can fill them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from motel_locust.topology.diagnostics import Mistake, Step, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from motel_locust.topology.model import Log, Operation, Service, Topology

Path = tuple[Step, ...]

PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
"""A name in braces; there is no escape."""
_ALWAYS: Final = frozenset({"service.name", "operation.name"})


def unfilled_placeholders(topology: Topology) -> Iterator[Mistake]:
    """Yield a warning for each placeholder that no record can ever fill."""
    for logs, path, service_name, operation_name in _places(topology):
        service = topology.services[service_name]
        names = [operation_name] if operation_name else list(service.operations)
        known = set(_ALWAYS)
        for name in names:
            known |= _span_attributes(topology, service_name, service, name)
        for index, log in enumerate(logs):
            for name in PLACEHOLDER.findall(log.body):
                if name not in known and name not in log.attributes and "baggage." not in name:
                    message = f"nothing can fill {quoted('{' + name + '}')}; "
                    yield Mistake(
                        "unfilled-placeholder",
                        f"{message}it needs an attribute of that name",
                        path=(*path, index, "body"),
                        complete=True,
                    )


def _places(topology: Topology) -> Iterator[tuple[Iterable[Log], Path, str, str]]:
    """Yield each list of logs, its path, its service, and its operation or an empty text."""
    scopes: dict[str, tuple[str, str]] = {}
    for service_name, service in topology.services.items():
        path: Path = ("services", service_name)
        yield service.logs, (*path, "logs"), service_name, ""
        scopes.setdefault(service_name, (service_name, ""))
        for name, operation in service.operations.items():
            yield operation.logs, (*path, "operations", name, "logs"), service_name, name
            scopes[f"{service_name}.{name}"] = (service_name, name)
    for number, scenario in enumerate(topology.scenarios):
        for key, override in scenario.override.items():
            if override.logs is not None:
                path = ("scenarios", number, "override", key, "logs", "add")
                yield override.logs.add, path, *scopes[key]


def _span_attributes(
    topology: Topology, service_name: str, service: Service, name: str
) -> set[str]:
    operation: Operation = service.operations[name]
    known = {*service.attributes, *operation.attributes}
    if operation.variants:
        known.add("synth.variant")
    for variant in operation.variants.values():
        known |= set(variant.attributes)
    for scenario in topology.scenarios:
        override = scenario.override.get(f"{service_name}.{name}")
        if override is not None:
            known |= set(override.attributes)
            for change in override.variants.values():
                known |= set(change.attributes)
    return known
