"""The walk, one trace and one span at a time: what the columnar walk must agree with.

It follows the language's rules as a person would read them, with plain loops over calls,
repetitions and attempts. It shares with the engine only the draws themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from motel_locust.engine import draws, scenarios
from motel_locust.topology import linking, model
from tests.oracles.spelling import rank, spelled

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology

REJECTION_NS = 1_000_000


@dataclass
class ScalarSpan:
    trace: int
    ref: str
    kind: str
    span_id: int
    parent_id: int
    start: int
    end: int = 0
    failed: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    links: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    resource: int | None = None


@dataclass
class ScalarCounts:
    timeouts: int = 0
    retries: int = 0
    bounded: int = 0
    failed_traces: int = 0


class ScalarWalk:
    """Walks traces in order of arrival; links remember the latest spans."""

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        name: str = "",
        limit: int = 10_000,
        origin_ns: int = 0,
    ) -> None:
        self.topology, self.limit, self.origin_ns = topology, limit, origin_ns
        self.seed = draws.key(seed, name)
        self.ids = draws.TraceIds(self.seed)
        self.places = linking.operations(topology)
        self.servers = set(linking.roots(topology))
        self.targets = {
            link.ref
            for service in topology.services.values()
            for operation in service.operations.values()
            for link in operation.links
        }
        self.latest: dict[str, tuple[int, int]] = {}
        self.spans: list[ScalarSpan] = []
        self.counts = ScalarCounts()

    def trace(self, number: int, arrival_ns: int, active: tuple[int, ...] = ()) -> None:
        self.key = int(self.ids.keys(np.array([number]))[0])
        self.number, self.active, self.used = number, active, 0
        self.since_ns = arrival_ns - self.origin_ns
        weights = scenarios.roots(self.topology, active)
        roots = list(weights)
        at = draws.bounds(list(weights.values()))
        choice = int(draws.draw_choices(_word(draws.key(self.seed, "root"), self.key), at)[0])
        root = roots[choice]
        key = draws.key(self.seed, *self.places[root], "root")
        span_id = int(draws.draw_ids(np.array([key], np.uint64), np.uint64(self.key))[0])
        _, failed = self._visit(root, span_id, "SERVER", arrival_ns, 0, {}, span_id)
        self.counts.failed_traces += failed
        self.counts.bounded += self.used >= self.limit

    def _visit(
        self,
        ref: str,
        span_id: int,
        kind: str,
        start: int,
        parent: int,
        baggage: dict[str, str],
        entered: int,
    ) -> tuple[int, bool]:
        if self.used >= self.limit:
            return start, False
        self.used += 1
        service, name = self.places[ref]
        owner = self.topology.services[service]
        own = owner.operations[name]
        effective = scenarios.effective(self.topology, ref, self.active)
        span = ScalarSpan(self.number, ref, kind, span_id, parent, start)
        span.resource = self._resource(service, entered)
        place = (self.seed, service, name)

        visible = {**baggage, **owner.baggage, **own.baggage}
        variant = self._variant(effective, baggage, span_id, *place)
        if variant is not None:
            effective = variant.effective
            visible |= variant.baggage
        instances = owner.instances
        if instances is not None and span.resource is not None:
            index = span.resource % instances.count
            effective = effective.on_instances.get(index, effective)
        shows = own.baggage_as_attributes
        if shows is None:
            shows = owner.baggage_as_attributes
        span.attributes = {"synth.service": service, "synth.operation": name}
        if variant is not None:
            span.attributes["synth.variant"] = variant.name
        span.attributes |= owner.attributes
        for key, (where, generator) in effective.attributes.items():
            span.attributes[key] = drawn_value(
                key, generator, span_id, *place, "attribute", key, where
            )
        if shows:
            span.attributes |= {f"baggage.{key}": value for key, value in visible.items()}
        for index, event in enumerate(own.events):
            drawn = {
                key: drawn_value(key, generator, span_id, *place, "event", index, key)
                for key, generator in event.attributes.items()
            }
            span.events.append((event.name, start + event.delay, drawn))
        for link in own.links:
            if link.ref in self.latest:
                drawn = {
                    key: drawn_value(key, generator, span_id, *place, "link", link.ref, key)
                    for key, generator in link.attributes.items()
                }
                span.links.append((*self.latest[link.ref], drawn))
        if ref in self.targets:
            self.latest[ref] = (self.key, span_id)

        duration = _duration(effective.duration, _word(draws.key(*place, "duration"), span_id))
        rate = effective.error_rate
        broken = rate >= 1 or (
            rate > 0 and _word(draws.key(*place, "error"), span_id)[0] < draws.threshold(rate)
        )
        failed = bool(broken)
        begin = cursor = start + duration // 2
        for identity, call in effective.calls:
            if call.condition is not None and (call.condition == "on-error") != broken:
                continue
            if call.probability < 1:
                gate = _word(draws.key(*place, "call", identity), span_id)[0]
                if gate >= draws.threshold(call.probability):
                    continue
            target = self.places[call.target][0]
            message = call.producer or call.detached
            paired = self.topology.spans == "paired" and (target != service or message)
            if self.topology.spans == "paired":
                child_kind = "PRODUCER" if message else "CLIENT" if paired else "INTERNAL"
            elif call.target in self.servers:
                child_kind = "SERVER"
            elif call.producer:
                child_kind = "PRODUCER"
            elif call.detached:
                child_kind = "CONSUMER"
            else:
                child_kind = "INTERNAL" if target == service else "CLIENT"
            at = begin if own.call_style == "parallel" else cursor
            for repeat in range(call.count):
                when = at
                for attempt in range(1 + call.retries):
                    self.counts.retries += attempt > 0
                    place_among = repeat * (1 + call.retries) + attempt
                    key = draws.nth(draws.key(*place, "callee", identity), place_among)
                    child = int(draws.draw_ids(np.array([key], np.uint64), np.uint64(span_id))[0])
                    inside = entered if target == service else child
                    if paired:
                        one = ScalarSpan(self.number, "", child_kind, child, span_id, when)
                        one.resource = span.resource
                        end, bad = self._client(
                            one, ref, f"{identity}.peer", call, attempt, visible, entered
                        )
                    else:
                        end, bad = self._visit(
                            call.target, child, child_kind, when, span_id, visible, inside
                        )
                    if not paired and call.timeout is not None and end - when > call.timeout:
                        end, bad = when + call.timeout, True
                        self.counts.timeouts += 1
                    if not bad:
                        break
                    when = end + call.retry_backoff
                if not call.detached:
                    cursor = max(cursor, end)
                    failed = failed or bad
                    if own.call_style == "sequential":
                        at = cursor
        span.end = cursor + duration - duration // 2
        span.failed = failed
        self.spans.append(span)
        return span.end, failed

    def _client(
        self,
        span: ScalarSpan,
        caller: str,
        identity: str,
        call: model.Call,
        attempt: int,
        visible: dict[str, str],
        entered: int,
    ) -> tuple[int, bool]:
        """Make the caller's side of an attempt, and what it calls."""
        if self.used >= self.limit:
            return span.start, False
        self.used += 1
        place = (self.seed, *self.places[caller])
        peer_service, peer_name = self.places[call.target]
        service, name = self.places[caller]
        owner = self.topology.services[service]
        span.ref = f"{service}.{peer_name}"
        span.attributes = {"synth.service": service, "synth.operation": name, **owner.attributes}
        span.attributes["service.peer.name"] = peer_service
        if span.kind == "CLIENT":
            span.attributes["server.address"] = peer_service
        if attempt:
            effective = scenarios.effective(self.topology, call.target, self.active)
            http = "http.request.method" in effective.attributes
            key = "http.request.resend_count" if http else "synth.resend_count"
            span.attributes[key] = attempt
        shows = owner.operations[name].baggage_as_attributes
        if owner.baggage_as_attributes if shows is None else shows:
            span.attributes |= {f"baggage.{key}": value for key, value in visible.items()}

        network = call.network or self.topology.network
        word = _word(draws.key(*place, "duration"), span.span_id)
        duration = 1_000_000 if network is None else _duration(network, word)
        key = draws.nth(draws.key(*place, "callee", identity), 0)
        arriving = int(draws.draw_ids(np.array([key], np.uint64), np.uint64(span.span_id))[0])
        kind = "SERVER" if span.kind == "CLIENT" else "CONSUMER"
        begin = span.start + duration // 2
        inside = entered if peer_service == service else arriving
        end, failed = self._visit(call.target, arriving, kind, begin, span.span_id, visible, inside)
        if call.detached:
            end, failed = begin, False
        span.end, span.failed = max(begin, end) + duration - duration // 2, failed
        if call.timeout is not None and span.end - span.start > call.timeout:
            span.end, span.failed = span.start + call.timeout, True
            self.counts.timeouts += 1
        self.spans.append(span)
        return span.end, span.failed

    def _resource(self, service: str, entered: int) -> int | None:
        """Which resource serves what *entered* so: as many per life as there are instances."""
        instances = self.topology.services[service].instances
        if instances is None:
            return None
        count = instances.count
        word = _word(draws.key(self.seed, service, "instance"), entered)
        index = int(draws.draw_integers(word, 0, count - 1)[0])
        if instances.weights:
            weights = [instances.weights.get(number, 1) for number in range(1, count + 1)]
            index = int(draws.draw_choices(word, draws.bounds(weights))[0])
        if instances.restart_every is None:
            return index
        first_restart_ns = (
            instances.restart_every - instances.restart_every * (count - 1 - index) // count
        )
        restarts = 0
        while self.since_ns >= first_restart_ns + restarts * instances.restart_every:
            restarts += 1
        return restarts * count + index

    def _variant(
        self,
        effective: scenarios.Effective,
        baggage: dict[str, str],
        span_id: int,
        *place: object,
    ) -> scenarios.Variation | None:
        """Return the variant that a span with *span_id* is, if it is any."""
        possible = [
            each
            for each in effective.variants
            if each.when and all(baggage.get(key) == value for key, value in each.when.items())
        ]
        possible = possible or [each for each in effective.variants if not each.when]
        if not possible:
            return None
        at = draws.bounds([each.weight for each in possible])
        word = _word(draws.key(*place, "variant"), span_id)
        return possible[int(draws.draw_choices(word, at)[0])]


def drawn_value(attribute: str, generator: model.Generator, span_id: int, *purpose: object) -> Any:
    """The value that *generator* makes for a span; numbered texts keep their ``{n}``."""
    word = _word(draws.key(*purpose), span_id)
    match generator:
        case model.Constant(value=value):
            return value
        case model.Choice(values=values):
            at = draws.bounds([weight for _, weight in values])
            return values[int(draws.draw_choices(word, at)[0])][0]
        case model.Chance(probability=probability):
            return bool(word[0] < draws.threshold(probability)) or probability == 1
        case model.Range(low=low, high=high):
            return int(draws.draw_integers(word, low, high)[0])
        case model.Normal(mean=mean, stddev=deviation):
            return float(draws.draw_normals(word)[0] * deviation + mean)
        case model.Sequence(sequence=pattern):
            return pattern
        case model.Texts(text=made):
            number = rank(made.distinct, made.skew, int(word[0]))
            return spelled(attribute, number, made.length)
        case model.Rows(rows=cell, table=table):
            values = table.columns[cell.column].values
            weights = table.weights or [1] * len(values)
            at = draws.bounds(weights)
            row = _word(draws.key("rows", table.name), span_id)
            return values[int(draws.draw_choices(row, at)[0])]
    raise AssertionError(generator)


@cache
def _curve(duration: model.PercentileDistribution) -> np.ndarray:
    return draws.curve(duration.at)


def _duration(duration: Any, word: np.ndarray) -> int:
    if isinstance(duration, model.PercentileDistribution):
        return int(draws.draw_quantiles(word, _curve(duration), 0)[0])
    if not duration.deviation_ns:
        return int(duration.mean_ns)
    return int(max(draws.draw_normals(word)[0] * duration.deviation_ns + duration.mean_ns, 0))


def _word(key: int, of: int) -> np.ndarray:
    return draws.draw_words(np.array([key], np.uint64), np.uint64(of))
