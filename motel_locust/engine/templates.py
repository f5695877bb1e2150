"""Logs of the language, compiled for the spans of one shape.

A body's placeholder shows the record's own attribute of that name, else the span's as the span
carries it, else the name of the service or operation; what nothing fills stays as it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from motel_locust.engine import columns, draws
from motel_locust.engine.records import Elapsed, LogShape, Severity
from motel_locust.engine.values import Drawing, compile_constant, compile_generator
from motel_locust.topology.placeholders import PLACEHOLDER
from motel_locust.topology.scalars import print_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Attribute, Columns, Shape, ValueColumn
    from motel_locust.engine.records import Shown
    from motel_locust.topology.model import Log
    from motel_locust.topology.signals import Edge, Outcome

OPERATION: Final = "operation.name"

SECOND_NS: Final = 1_000_000_000


class Origin(Enum):
    """Whose column a part of a body shows."""

    RECORD = "one of the record's own attributes"
    SPAN = "one of the span's attributes"
    DURATION = "the span's duration"


Place: TypeAlias = tuple[Origin, int]
"""Whose, and the index of the attribute there."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One log, for the spans of one shape.

    ``below`` is what a word drawn for ``purpose`` must lie below, None where every span that meets
    the condition has the record; ``places`` says where the columns of the body come from.
    """

    shape: LogShape
    condition: Outcome | None
    purpose: np.uint64
    below: np.uint64 | None
    at: Edge
    delay_ns: int
    drawing: Drawing
    places: tuple[Place, ...]

    def rows(self, spans: Columns, *, slow_ns: int) -> NDArray[np.int64] | slice:
        """Return the rows of *spans* that have the record, ascending; a slice of all if all do.

        Slow are those that last longer than *slow_ns*.
        """
        match self.condition:
            case None:
                chosen: NDArray[np.int64] | None = None
            case "error":
                chosen = spans.failed.nonzero()[0]
            case "success":
                chosen = (~spans.failed).nonzero()[0]
            case "slow":
                chosen = (spans.end_ns - spans.start_ns > slow_ns).nonzero()[0]
        if self.below is not None:
            span_id = spans.span_id if chosen is None else spans.span_id[chosen]
            drawn = (draws.draw_words(span_id, self.purpose) < self.below).nonzero()[0]
            chosen = drawn if chosen is None else chosen[drawn]
        return slice(None) if chosen is None else chosen

    def time_ns(self, spans: Columns, rows: NDArray[np.int64] | slice) -> NDArray[np.int64]:
        """Return when the records of *rows* of *spans* are made, Unix time: int64[rows]."""
        edge_ns = spans.start_ns if self.at == "start" else spans.end_ns
        return edge_ns[rows] + self.delay_ns

    def values(
        self, spans: Columns, rows: NDArray[np.int64] | slice
    ) -> tuple[tuple[ValueColumn, ...], tuple[ValueColumn, ...]]:
        """Return the columns of the attributes and those of the body, over *rows* of *spans*."""
        number = None if spans.number is None else spans.number[rows]
        own = self.drawing.draw(spans.span_id[rows], number)
        shown: list[ValueColumn] = []
        for origin, index in self.places:
            match origin:
                case Origin.RECORD:
                    shown.append(own[index])
                case Origin.SPAN:
                    column = spans.values[index]
                    assert column is not None, "a constant has no column"
                    shown.append(column[rows])
                case Origin.DURATION:
                    shown.append(spans.end_ns[rows] - spans.start_ns[rows])
        return own, tuple(shown)


def compile_log(shape: Shape, log: Log, *, key: int) -> Template:
    """Return *log* for the spans of *shape*; *key* is that of all it draws."""
    definitions = {OPERATION: compile_constant(OPERATION, shape.name)}
    definitions |= {
        name: compile_generator(name, generator, purpose=draws.key(key, "attribute", name))
        for name, generator in log.attributes.items()
    }
    drawing = Drawing(list(definitions.values()))
    body, places = _filled(log.body, _known(shape, drawing.attributes, own=log.attributes))
    return Template(
        shape=LogShape(shape.service, Severity[log.severity], body, drawing.attributes),
        condition=log.condition,
        purpose=np.uint64(draws.key(key, "probability")),
        below=None if log.probability == 1 else draws.threshold(log.probability),
        at=log.at,
        delay_ns=log.delay,
        drawing=drawing,
        places=places,
    )


def derived(shape: Shape, *, slow_ns: int) -> Iterator[Template]:
    """Yield the logs that the spans of *shape* have where their service defines none."""
    place = f"{shape.service} {shape.name}"
    yield _derived(shape, "error", Severity.ERROR, (f"error in {place}",))
    if slow_ns:
        threshold = print_duration(slow_ns)
        body = (f"slow operation {place}: ", Elapsed(), f" (threshold {threshold})")
        yield _derived(shape, "slow", Severity.WARN, body)


def print_duration(duration_ns: int) -> str:
    """Return *duration_ns*, not negative, in Go's print form: 1.5s, 1m0s, 20ms, 3µs."""
    for unit, unit_ns, digits in (("ns", 1, 0), ("µs", 1_000, 3), ("ms", 1_000_000, 6)):
        if 0 < duration_ns < 1_000 * unit_ns:
            return f"{_decimal(duration_ns, digits)}{unit}"
    minutes, rest_ns = divmod(duration_ns, 60 * SECOND_NS)
    hours, rest = divmod(minutes, 60)
    text = f"{_decimal(rest_ns, 9)}s"
    return f"{hours}h{rest}m{text}" if hours else f"{rest}m{text}" if rest else text


def _decimal(value: int, digits: int) -> str:
    whole, fraction = divmod(value, 10**digits)
    return f"{whole}.{fraction:0{digits}}".rstrip("0") if fraction else str(whole)


def _derived(
    shape: Shape, condition: Outcome, severity: Severity, body: tuple[str | Shown, ...]
) -> Template:
    drawing = Drawing([compile_constant(OPERATION, shape.name)])
    return Template(
        shape=LogShape(shape.service, severity, body, drawing.attributes),
        condition=condition,
        purpose=np.uint64(0),
        below=None,
        at="start",
        delay_ns=0,
        drawing=drawing,
        places=((Origin.DURATION, 0),) if len(body) > 1 else (),
    )


def _known(
    shape: Shape, attributes: Sequence[Attribute], *, own: Collection[str]
) -> dict[str, tuple[Attribute, Place]]:
    """Return what placeholders may name; of *attributes* the record's *own* come first."""
    known: dict[str, tuple[Attribute, Place]] = {
        key: (columns.Constant(key, value), (Origin.RECORD, 0))
        for key, value in (("service.name", shape.service), (OPERATION, shape.name))
    }
    known |= {
        each.key: (each, (Origin.SPAN, index))
        for index, each in enumerate(shape.attributes)
        if not isinstance(each, columns.Recorded) and not _synthetic(each, shape)
    }
    known |= {
        each.key: (each, (Origin.RECORD, index))
        for index, each in enumerate(attributes)
        if each.key in own
    }
    return known


def _synthetic(attribute: Attribute, shape: Shape) -> bool:
    """Return whether *attribute* is one that every span of *shape* carries by itself."""
    match attribute:
        case columns.Constant("synth.service", value):
            return value == shape.service
        case columns.Constant("synth.operation", value):
            return value == shape.name
        case columns.Constant("synth.scenarios", tuple()):
            return True
    return False


def _filled(
    text: str, known: Mapping[str, tuple[Attribute, Place]]
) -> tuple[tuple[str | Shown, ...], tuple[Place, ...]]:
    """Return the parts of the body *text*, and where the columns of its varying ones come from."""
    parts: list[str | Shown] = []
    places: list[Place] = []
    words = ""
    # A pattern with one group: what it finds stands at every second place.
    for index, piece in enumerate(PLACEHOLDER.split(text)):
        match known.get(piece) if index % 2 else piece:
            case str():
                words += piece
            case None:
                words += f"{{{piece}}}"
            case columns.Constant(_, value), _:
                words += print_value(value)
            case attribute, place:
                parts += [words, attribute]
                places.append(place)
                words = ""
    return tuple(part for part in (*parts, words) if part != ""), tuple(places)
