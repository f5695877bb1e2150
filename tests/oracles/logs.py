"""Log records, one span and one log at a time: what the columnar way must agree with.

It reads finished spans as an endpoint would, and shares with the engine only the draws.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from motel_locust.engine import draws
from motel_locust.engine.columns import Choice, Constant, Numbered, Spelled
from motel_locust.engine.values import Drawing, compile_generator
from motel_locust.otlp.attributes import key_values
from motel_locust.topology.scalars import print_value
from tests.oracles.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from motel_locust.topology.model import Log, Topology

SECOND_NS = 1_000_000_000


class Scene(NamedTuple):
    """What the records of a span depend on besides the span."""

    topology: Topology
    active: tuple[int, ...]
    key: int
    slow_ns: int
    offset_ns: int = 0


def records(scene: Scene, service: str, span: Span, number: int | None) -> Iterator[LogRecord]:
    """Yield the records of *span*; *number* is what its sequences carry."""
    owner = scene.topology.services[service]
    ref = f"{service}.{span.name}"
    scopes = {service, *(f"{service}.{name}" for name in owner.operations)}
    added, muted = [], False
    for key in sorted(scopes):
        for index in scene.active:
            override = scene.topology.scenarios[index].override.get(key)
            if override is not None and override.logs is not None:
                muted = muted or (override.logs.disable and key in (service, ref))
                added += [(key, f"s{index}", n, log) for n, log in enumerate(override.logs.add)]
    own = [(service, "o", n, log) for n, log in enumerate(owner.logs)]
    own += [(ref, "o", n, log) for n, log in enumerate(owner.operations[span.name].logs)]
    nowhere = not owner.logs and not any(each.logs for each in owner.operations.values())
    if not muted and nowhere and not added:
        yield from derived(scene, service, span)
    for key, where, n, log in [*([] if muted else own), *added]:
        if key in (service, ref):
            place = draws.key(scene.key, key, where, n)
            if fires(scene, span, log, place):
                yield made(scene, service, span, log, place, number)


def derived(scene: Scene, service: str, span: Span) -> Iterator[LogRecord]:
    taken_ns = span.end_time_unix_nano - span.start_time_unix_nano
    own = {"operation.name": span.name}
    if span.status.code == span.status.STATUS_CODE_ERROR:
        text = f"error in {service} {span.name}"
        yield record(scene, span, "ERROR", span.start_time_unix_nano, text, own)
    if scene.slow_ns and taken_ns > scene.slow_ns:
        text = f"slow operation {service} {span.name}: {go_duration(taken_ns)}"
        text += f" (threshold {go_duration(scene.slow_ns)})"
        yield record(scene, span, "WARN", span.start_time_unix_nano, text, own)


def fires(scene: Scene, span: Span, log: Log, place: int) -> bool:
    failed = span.status.code == span.status.STATUS_CODE_ERROR
    taken_ns = span.end_time_unix_nano - span.start_time_unix_nano
    met = {
        None: True,
        "error": failed,
        "success": not failed,
        "slow": scene.slow_ns > 0 and taken_ns > scene.slow_ns,
    }[log.condition]
    if not met or log.probability in (0, 1):
        return met and log.probability == 1
    word = draws.draw_words(ids_of(span), np.uint64(draws.key(place, "probability")))[0]
    return bool(word < draws.threshold(log.probability))


def made(
    scene: Scene, service: str, span: Span, log: Log, place: int, number: int | None
) -> LogRecord:
    generated = {
        name: drawn(name, generator, draws.key(place, "attribute", name), span, number)
        for name, generator in log.attributes.items()
    }
    carried = {
        each.key: getattr(each.value, each.value.WhichOneof("value"))
        for each in span.attributes
        if each.key not in ("synth.service", "synth.operation", "synth.scenarios")
    }
    known = {"service.name": service, "operation.name": span.name} | carried | generated
    text = re.sub(
        r"\{([^{}]+)\}",
        lambda found: print_value(known[found[1]]) if found[1] in known else found[0],
        log.body,
    )
    edge_ns = span.end_time_unix_nano if log.at == "end" else span.start_time_unix_nano
    own = {"operation.name": span.name} | generated
    return record(scene, span, log.severity, edge_ns + log.delay, text, own)


def record(
    scene: Scene, span: Span, severity: str, time_ns: int, text: str, attributes: dict[str, Any]
) -> LogRecord:
    numbers = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
    found = LogRecord(
        time_unix_nano=time_ns,
        observed_time_unix_nano=time_ns - scene.offset_ns,
        severity_number=SeverityNumber.ValueType(numbers[severity]),
        severity_text=severity,
        attributes=key_values(attributes),
        flags=1,
        trace_id=span.trace_id,
        span_id=span.span_id,
    )
    found.body.string_value = text
    return found


def drawn(name: str, generator: Any, purpose: int, span: Span, number: int | None) -> Any:
    drawing = Drawing([compile_generator(name, generator, purpose=purpose)])
    numbers = None if number is None else np.array([number])
    ((attribute,), (column,)) = drawing.attributes, drawing.draw(ids_of(span), numbers)
    if isinstance(attribute, Constant):
        return attribute.value
    assert column is not None
    value = column[0].item()
    if isinstance(attribute, Choice):
        return attribute.options[value]
    if isinstance(attribute, Spelled):
        return spelled(name, value, attribute.length)
    return str(value).join(attribute.parts) if isinstance(attribute, Numbered) else value


def ids_of(span: Span) -> np.ndarray:
    return np.frombuffer(span.span_id, "<u8")


def go_duration(duration_ns: int) -> str:
    """Return what Go's ``Duration.String`` says of a duration, not negative."""
    if duration_ns < SECOND_NS:
        for unit, unit_ns in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if duration_ns >= unit_ns:
                return f"{decimal(duration_ns, unit_ns)}{unit}"
        return "0s"
    hours, rest = divmod(duration_ns, 3600 * SECOND_NS)
    minutes, rest = divmod(rest, 60 * SECOND_NS)
    text = f"{decimal(rest, SECOND_NS)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}}".rstrip("0") if rest else str(whole)
