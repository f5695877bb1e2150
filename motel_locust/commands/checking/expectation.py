"""How many spans of each operation a trace has on average, and how many of them fail.

Everything below a span is drawn independently of everything else but the span's own error, which
conditions ask for. So with e the chance of an operation's own error, and for each of its calls p
the chance that it is made, n its count, r its retries and f the chance that one attempt fails:

    attempts of a repetition    a = 1 + f + f^2 + ... + f^r
    spans that the call brings  p n a; times e if it is made on-error, 1 - e if on-success
    the operation fails         1 - (1 - e) * product of (1 - p (1 - (1 - f^(r + 1))^n))

the product being over the calls that are awaited and not made on-error. Without a timeout, f is
the chance that the target fails. With one, f also holds its being late, which has a closed form
where the target waits for nobody, as its duration is known; elsewhere that part of f is sampled.

Each variant of an operation counts by itself, told apart by the baggage that decides further below;
where chance chooses one for each attempt, f is the mean over them.

The caller's side of a call, where there is one, is an operation between the two that may be late
itself, as the network takes its time too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from motel_locust.engine.choices import Choice
from motel_locust.engine.columns import Kind
from motel_locust.topology.percentiles import PercentileDistribution
from motel_locust.topology.quantities import DurationDistribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from motel_locust.commands.checking.sets import Wiring
    from motel_locust.engine.choices import Landing
    from motel_locust.engine.nodes import Node
    from motel_locust.engine.scenarios import Effective
    from motel_locust.topology.model import Call

Durations: TypeAlias = DurationDistribution | PercentileDistribution
LateShare: TypeAlias = Callable[[str, Mapping[str, str], int, Durations], float]

_NO_TIME: Final = DurationDistribution(0)

# Counts of counts grow beyond what a float holds; no trace has as many spans.
_GREATEST: Final = 1e100


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected value, and whether it was computed or rests on a sample."""

    value: float
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a trace is expected to hold.

    Attributes:
        spans: Spans of each operation in a trace; the caller's sides of calls are counted by who
            calls whom.
        errors: Share of those spans that have status ERROR, 0 to 1.
        calls: Spans in a trace that one operation (the first) makes of another.
    """

    spans: Mapping[str, Estimate]
    errors: Mapping[str, Estimate]
    calls: Mapping[tuple[str, str], Estimate]


def expect(wiring: Wiring, late_share: LateShare) -> Expectation:
    """Return what traces of *wiring* are expected to hold, as long as they reach no limit.

    *late_share* samples how many requests to an operation go well but take longer than so many ns,
    if they bring that baggage, and the network takes such times besides.
    """
    landings = {
        ref: wiring.plan.reach(ref, kind=Kind.SERVER, has_parent=False, baggage={})
        for ref in wiring.operations
    }
    nodes = _callees_first(landings.values(), wiring.callees_first)
    asked = {
        key
        for operation in wiring.operations.values()
        for variant in operation.variants
        for key in variant.when
    }
    errors: dict[Node, Estimate] = {}
    brought: dict[Node, list[tuple[Landing, Estimate]]] = {}
    for node in nodes:
        operation = node.operation.effective
        brings = {key: value for key, value in node.baggage.items() if key in asked}
        well, exact = 1 - operation.error_rate, True
        brought[node] = []
        for (_, call), landing in zip(operation.calls, node.callees, strict=True):
            waiting = _Waiting(brings, call.timeout)
            fails = _fails(landing, waiting, errors, late_share)
            brought[node].append((landing, _spans(operation, call, fails)))
            if not call.detached and call.condition != "on-error":
                lost = fails.value ** (call.retries + 1)
                well *= 1 - call.probability * (1 - (1 - lost) ** call.count)
                exact = exact and fails.exact
        errors[node] = Estimate(1 - well, exact)
        if operation.limit_ns is not None:
            [landing] = node.callees
            waiting = _Waiting(brings, operation.limit_ns, operation.duration)
            errors[node] = _fails(landing, waiting, errors, late_share)
    spans = dict.fromkeys(nodes, Estimate(0.0))
    for ref, weight in wiring.roots.items():
        for share, node in _spread(landings[ref]):
            spans[node] = _sum(spans[node], Estimate(weight * share))
    calls: defaultdict[tuple[str, str], Estimate] = defaultdict(lambda: Estimate(0.0))
    for node in reversed(nodes):
        for landing, each in brought[node]:
            count = min(spans[node].value * each.value, _GREATEST)
            made = Estimate(count, spans[node].exact and each.exact)
            for share, target in _spread(landing):
                spans[target] = _sum(spans[target], Estimate(made.value * share, made.exact))
            if landing.operation.client is None:
                client = node.operation.client
                caller = node.operation.ref if client is None else client.caller
                edge = caller, landing.operation.ref
                calls[edge] = _sum(calls[edge], made)
    counts, rates = _by_operation(landings, spans, errors)
    return Expectation(*_counted(wiring, counts, rates), dict(calls))


def _callees_first(landings: Iterable[Landing], refs: Sequence[str]) -> list[Node]:
    """Return all nodes that can be reached from *landings*, in the order of *refs*."""
    found: dict[Node, None] = {}
    waiting = list(landings)
    while waiting:
        landing = waiting.pop()
        if isinstance(landing, Choice):
            waiting += landing.options
        elif landing not in found:
            found[landing] = None
            waiting += landing.callees
    order = {ref: place for place, ref in enumerate(refs)}
    return sorted(found, key=lambda node: order[node.operation.ref])


def _spread(landing: Landing) -> Iterator[tuple[float, Node]]:
    """Yield the nodes that a request may reach, each with its chance."""
    if not isinstance(landing, Choice):
        yield 1.0, landing
        return
    for share, option in zip(landing.shares, landing.options, strict=True):
        for inner, node in _spread(option):
            yield share * inner, node


def _by_operation(
    landings: Mapping[str, Landing],
    spans: Mapping[Node, Estimate],
    errors: Mapping[Node, Estimate],
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Return the spans of each operation, and the errors: of one that has none, as of a root."""
    counts: dict[str, Estimate] = {}
    rates: dict[str, Estimate] = {}
    nodes: defaultdict[str, list[Node]] = defaultdict(list)
    for node in spans:
        nodes[node.operation.ref].append(node)
    for ref, landing in landings.items():
        counts[ref] = reduce(_sum, (spans[node] for node in nodes[ref]))
        parts = [(spans[node].value, node) for node in nodes[ref] if spans[node].value]
        rates[ref] = _mean(parts or _spread(landing), errors)
        if len(parts) > 1 and not all(spans[node].exact for _, node in parts):
            rates[ref] = Estimate(rates[ref].value, exact=False)
    return counts, rates


def _mean(parts: Iterable[tuple[float, Node]], of: Mapping[Node, Estimate]) -> Estimate:
    """Return the mean of *of* over *parts*, each a weight and a node."""
    (weight, first), *others = parts
    if not others:
        return of[first]
    total, value, exact = weight, weight * of[first].value, of[first].exact
    for weight, node in others:
        total += weight
        value += weight * of[node].value
        exact = exact and of[node].exact
    return Estimate(value / total, exact)


def _counted(
    wiring: Wiring, spans: Mapping[str, Estimate], errors: Mapping[str, Estimate]
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Return *spans* and *errors* by what they are counted under."""
    total: dict[str, Estimate] = {}
    rate: dict[str, Estimate] = {}
    for ref, each in spans.items():
        name = wiring.counted_as(ref)
        if name not in total:
            total[name], rate[name] = each, errors[ref]
            continue
        added = _sum(total[name], each)
        failing = total[name].value * rate[name].value + each.value * errors[ref].value
        if added.value:
            exact = rate[name].exact and errors[ref].exact and added.exact
            rate[name] = Estimate(failing / added.value, exact)
        total[name] = added
    return total, rate


class _Waiting(NamedTuple):
    """How somebody waits for a request: what it brings, how long, and what the network takes."""

    baggage: Mapping[str, str]
    timeout_ns: int | None
    network: Durations = _NO_TIME


def _fails(
    landing: Landing,
    waiting: _Waiting,
    errors: Mapping[Node, Estimate],
    late_share: LateShare,
) -> Estimate:
    """Return the chance that a request to *landing* fails, in the eyes of who waits for it."""
    baggage, timeout_ns, network = waiting
    failing = _mean(_spread(landing), errors)
    if timeout_ns is None:
        return failing
    steady = isinstance(network, DurationDistribution) and not network.deviation_ns
    calls = landing.operation.effective.calls
    if not steady or any(not each.detached for _, each in calls):
        late = late_share(landing.operation.ref, baggage, timeout_ns, network)
        return Estimate(failing.value + late, exact=False)
    value, left_ns = 0.0, timeout_ns - network.mean_ns
    for share, node in _spread(landing):
        target = node.operation.effective
        late = 1.0 if left_ns < 0 else target.duration.share_above(left_ns)
        value += share * (1 - (1 - target.error_rate) * (1 - late))
    return Estimate(value)


def _spans(caller: Effective, call: Call, fails: Estimate) -> Estimate:
    """Return how many spans *call* brings for one span of its caller."""
    made = call.probability
    if call.condition is not None:
        chance = caller.error_rate
        made *= chance if call.condition == "on-error" else 1 - chance
    tries, fail = 1.0 + call.retries, fails.value
    if fail < 1:
        tries = (1 - fail ** (call.retries + 1)) / (1 - fail)
    return Estimate(made * call.count * tries, fails.exact or not call.retries)


def _sum(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(one.value + other.value, one.exact and other.exact)
