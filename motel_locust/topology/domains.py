"""Domains of operations: groups of the semantic conventions whose attributes their spans have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motel_locust.topology.conventions import from_plain
from motel_locust.topology.diagnostics import Mistake, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.topology.conventions import Conventions
    from motel_locust.topology.generators import Attributes
    from motel_locust.topology.model import Operation, Service, Topology
    from motel_locust.topology.outline import Outline, Reference
    from motel_locust.topology.sources import Source


class Domains:
    """What the domains of one topology bring, each looked up once."""

    def __init__(self, outline: Outline, source: Source, conventions: Conventions) -> None:
        self._conventions = conventions
        self._references = [each.domain for each in outline.operations if each.domain is not None]
        names = sorted({reference.ref for reference in self._references})
        self.found: Mapping[str, Attributes]
        if source.domains is not None:
            self.found = from_plain(source.domains)
        else:
            looked_up = {name: conventions.domain(name) for name in names}
            self.found = {name: made for name, made in looked_up.items() if made is not None}

    def unknown(self) -> Iterator[Mistake]:
        """Yield a mistake for each domain that the conventions do not have."""
        for reference in self._references:
            if reference.ref not in self.found:
                near = self._conventions.near(reference.ref)
                hint = near or "; write a namespace such as http, db or messaging, or give a "
                hint += "" if near else "registry that has it (--semconv DIR)"
                message = f"the semantic conventions have no domain {quoted(reference.ref)}{hint}"
                yield _mistake("unknown-domain", message, reference)

    def empty(self) -> Iterator[Mistake]:
        """Yield a warning for each domain that brings nothing."""
        for reference in self._references:
            if not self.found[reference.ref]:
                message = f"domain {quoted(reference.ref)} brings nothing: its attributes are "
                message += "deprecated, no plain values, or in domains of their own"
                yield _mistake("without-effect", message, reference)

    def join(self, topology: Topology) -> Topology:
        """Return *topology* with the attributes of the domains; an operation's own ones win."""
        if not self.found:
            return topology
        services = {name: self._service(each) for name, each in topology.services.items()}
        return topology.model_copy(update={"services": services})

    def _service(self, service: Service) -> Service:
        operations = {name: self._operation(each) for name, each in service.operations.items()}
        return service.model_copy(update={"operations": operations})

    def _operation(self, operation: Operation) -> Operation:
        if operation.domain is None:
            return operation
        attributes = {**self.found[operation.domain], **operation.attributes}
        return operation.model_copy(update={"attributes": attributes})


def _mistake(code: str, message: str, reference: Reference) -> Mistake:
    return Mistake(code, message, path=reference.path, complete=True)
