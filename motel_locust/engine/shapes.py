"""Shapes: what all spans of an operation, reached in one way, have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from motel_locust.engine import draws
from motel_locust.engine.columns import EventShape, Kind, LinkShape, Shape
from motel_locust.engine.numbering import numbered_signals
from motel_locust.engine.values import (
    Definition,
    Drawing,
    compile_constant,
    compile_generator,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.engine.columns import Value
    from motel_locust.engine.pairs import Client
    from motel_locust.engine.scenarios import Effective
    from motel_locust.topology.model import Generator, Operation, Service, Topology

CIRCUIT_OPEN = "circuit_open"
QUEUE_FULL = "queue_full"


@dataclass(frozen=True, slots=True, eq=False)
class ShapePlan:
    """A shape, and how the columns of its values are drawn.

    ``drawing`` covers the shape's attributes, then those of its events, in order; ``links`` has the
    operation linked to and a drawing per link. ``signals_numbered`` says whether metrics or logs of
    its spans carry their numbers.
    """

    shape: Shape
    drawing: Drawing
    links: tuple[tuple[str, Drawing], ...] = ()
    rejection: str | None = None
    signals_numbered: bool = False

    @property
    def numbered(self) -> bool:
        """Whether any value carries the number of its span."""
        return (
            self.signals_numbered
            or self.drawing.numbered
            or any(drawing.numbered for _, drawing in self.links)
        )


class Reached(NamedTuple):
    """An operation, and the way requests come to it."""

    service: str
    operation: str
    kind: Kind
    has_parent: bool
    labels: tuple[str, ...] | None
    """Names of the active scenarios; None where spans do not carry them."""


class Shapes:
    """The shapes of one topology; equal ones are made once, whatever scenarios are active."""

    def __init__(self, topology: Topology, *, seed: int) -> None:
        self._topology, self._seed = topology, seed
        self._signals_numbered = numbered_signals(topology)
        self._made: dict[tuple[object, ...], ShapePlan] = {}

    def declared_baggage(self, service: str, operation: str) -> dict[str, str]:
        """Return what *operation* adds to the baggage that it and its callees see."""
        owner, own = self._models(service, operation)
        return {**owner.baggage, **own.baggage}

    def shows_baggage(self, service: str, operation: str) -> bool:
        """Return whether the spans of *operation* carry the baggage they see as attributes."""
        owner, own = self._models(service, operation)
        shows = own.baggage_as_attributes
        return bool(owner.baggage_as_attributes if shows is None else shows)

    def admitted(
        self, reached: Reached, effective: Effective, *, baggage: Mapping[str, str]
    ) -> ShapePlan:
        """Return the shape of an admitted request; *baggage* is what the span sees."""
        shown = baggage if self.shows_baggage(reached.service, reached.operation) else {}
        definitions = tuple((name, where) for name, (where, _) in effective.attributes.items())
        made = (reached, effective.variant, tuple(shown.items()), definitions)
        if made not in self._made:
            self._made[made] = self._admitted(reached, effective, shown)
        return self._made[made]

    def rejected(self, reached: Reached, *, reason: str) -> ShapePlan:
        """Return the shape of a request that a breaker or a queue refused for *reason*."""
        made = (reached, reason)
        if made not in self._made:
            rejection = [
                compile_constant("synth.rejected", value=True),
                compile_constant("synth.rejection_reason", reason),
            ]
            drawing = Drawing([*_synthetic(reached), *rejection])
            shape = Shape(
                reached.service,
                reached.operation,
                reached.kind,
                reached.has_parent,
                drawing.attributes,
                message=reason,
                exception_message=f"rejected: {reason}",
            )
            self._made[made] = ShapePlan(
                shape,
                drawing,
                rejection=reason,
                signals_numbered=self._numbered_of(reached),
            )
        return self._made[made]

    def calling(
        self, reached: Reached, client: Client, *, attempt: int, baggage: Mapping[str, str]
    ) -> ShapePlan:
        """Return the shape of the caller's side of a call; attempts count from 0.

        *reached* and *baggage* are the calling operation's, but for the kind.
        """
        shown = baggage if self.shows_baggage(reached.service, reached.operation) else {}
        made = (reached, client.edge, client.resend_count, attempt, tuple(shown.items()))
        if made not in self._made:
            self._made[made] = self._calling(reached, client, attempt, shown)
        return self._made[made]

    def _calling(
        self, reached: Reached, client: Client, attempt: int, shown: Mapping[str, str]
    ) -> ShapePlan:
        owner, _ = self._models(reached.service, reached.operation)
        service, name = client.peer
        merged = {each.attribute.key: each for each in _synthetic(reached)}
        constants: dict[str, Value] = {**owner.attributes, "service.peer.name": service}
        if reached.kind is Kind.CLIENT:
            constants["server.address"] = service
        if attempt:
            constants[client.resend_count] = attempt
        constants |= {f"baggage.{key}": value for key, value in shown.items()}
        merged |= {key: compile_constant(key, value) for key, value in constants.items()}
        drawing = Drawing(list(merged.values()))
        shape = Shape(
            reached.service,
            name,
            reached.kind,
            reached.has_parent,
            drawing.attributes,
            edge=client.edge,
        )
        return ShapePlan(shape, drawing)

    def _models(self, service: str, operation: str) -> tuple[Service, Operation]:
        owner = self._topology.services[service]
        return owner, owner.operations[operation]

    def _admitted(
        self, reached: Reached, effective: Effective, shown: Mapping[str, str]
    ) -> ShapePlan:
        owner, own = self._models(reached.service, reached.operation)
        place = (self._seed, reached.service, reached.operation)
        # What loses is never drawn; later wins.
        synthetic = _synthetic(reached)
        if effective.variant is not None:
            synthetic.append(compile_constant("synth.variant", effective.variant))
        merged = {each.attribute.key: each for each in synthetic}
        merged |= {key: compile_constant(key, value) for key, value in owner.attributes.items()}
        merged |= {
            key: compile_generator(
                key, generator, purpose=draws.key(*place, "attribute", key, where)
            )
            for key, (where, generator) in effective.attributes.items()
        }
        merged |= {f"baggage.{k}": compile_constant(f"baggage.{k}", v) for k, v in shown.items()}
        definitions = list(merged.values())
        count = len(definitions)
        events = []
        for index, event in enumerate(own.events):
            found = _compile(event.attributes, *place, "event", index)
            definitions += found
            attributes = tuple(each.attribute for each in found)
            events.append(EventShape(event.name, event.delay, attributes))
        links = tuple(
            (link.ref, Drawing(_compile(link.attributes, *place, "link", link.ref)))
            for link in own.links
        )
        drawing = Drawing(definitions)
        shape = Shape(
            reached.service,
            reached.operation,
            reached.kind,
            reached.has_parent,
            drawing.attributes[:count],
            events=tuple(events),
            links=tuple(LinkShape(drawing.attributes) for _, drawing in links),
        )
        return ShapePlan(shape, drawing, links, signals_numbered=self._numbered_of(reached))

    def _numbered_of(self, reached: Reached) -> bool:
        return f"{reached.service}.{reached.operation}" in self._signals_numbered


def _compile(attributes: Mapping[str, Generator], *place: object) -> list[Definition]:
    return [
        compile_generator(key, generator, purpose=draws.key(*place, key))
        for key, generator in attributes.items()
    ]


def _synthetic(reached: Reached) -> list[Definition]:
    """Return what every span carries, rejected ones too."""
    found = [
        compile_constant("synth.service", reached.service),
        compile_constant("synth.operation", reached.operation),
    ]
    if reached.labels is not None:
        found.append(compile_constant("synth.scenarios", reached.labels))
    return found
