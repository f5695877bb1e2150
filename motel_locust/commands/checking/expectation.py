"""How many spans of each operation a trace has on average, and how many of them fail.

Everything below a span is drawn independently of everything else but the span's own error, which
conditions ask for. So with e the chance of an operation's own error, and for each of its calls p
the chance that it is made, n its count, r its retries and f the chance that one attempt fails:

    attempts of a repetition    a = 1 + f + f^2 + ... + f^r
    spans that the call brings  p n a; times e if it is made on-error, 1 - e if on-success
    the operation fails         1 - (1 - e) * product of (1 - p (1 - (1 - f^(r + 1))^n))

the product being over the calls that are awaited and not made on-error. Without a timeout, f is
the chance that the target fails. With one, f also holds its being late, which has a closed form
where the target waits for nobody, as its duration is normal; elsewhere that part of f is sampled.
The caller's side of a call, where there is one, is an operation between the two that may be late
itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from motel_locust.topology.quantities import DurationDistribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.commands.checking.sets import Wiring
    from motel_locust.engine.scenarios import Effective
    from motel_locust.topology.model import Call
    from motel_locust.topology.percentiles import PercentileDistribution

    Durations: TypeAlias = DurationDistribution | PercentileDistribution

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


class LateShare(Protocol):
    """Samples how many requests to *ref* go well but take over *timeout_ns*, the network's too."""

    def __call__(self, ref: str, timeout_ns: int, network: Durations) -> float:
        """Return their share, 0 to 1."""


def expect(wiring: Wiring, late_share: LateShare) -> Expectation:
    """Return what traces of *wiring* are expected to hold, as long as they reach no limit."""
    errors: dict[str, Estimate] = {}
    brought: dict[str, list[tuple[str, Estimate]]] = {}
    for ref in wiring.callees_first:
        operation = wiring.operations[ref]
        well, exact = 1 - operation.error_rate, True
        brought[ref] = []
        for _, call in operation.calls:
            fails = errors[call.target]
            if call.timeout is not None:
                waiting = _Waiting(call.target, call.timeout)
                fails = _fails(wiring.operations[call.target], waiting, errors, late_share)
            brought[ref].append((call.target, _spans(operation, call, fails)))
            if not call.detached and call.condition != "on-error":
                lost = fails.value ** (call.retries + 1)
                well *= 1 - call.probability * (1 - (1 - lost) ** call.count)
                exact = exact and fails.exact
        errors[ref] = Estimate(1 - well, exact)
        if operation.limit_ns is not None:
            [(_, call)] = operation.calls
            waiting = _Waiting(call.target, operation.limit_ns, operation.duration)
            errors[ref] = _fails(wiring.operations[call.target], waiting, errors, late_share)
    spans: dict[str, Estimate] = dict.fromkeys(wiring.operations, Estimate(0.0))
    spans |= {ref: Estimate(weight) for ref, weight in wiring.roots.items()}
    calls: defaultdict[tuple[str, str], Estimate] = defaultdict(lambda: Estimate(0.0))
    for ref in reversed(wiring.callees_first):
        for target, each in brought[ref]:
            count = min(spans[ref].value * each.value, _GREATEST)
            made = Estimate(count, spans[ref].exact and each.exact)
            spans[target] = _sum(spans[target], made)
            if target not in wiring.clients:
                edge = wiring.clients[ref].caller if ref in wiring.clients else ref, target
                calls[edge] = _sum(calls[edge], made)
    return Expectation(*_counted(wiring, spans, errors), dict(calls))


def _counted(
    wiring: Wiring, spans: Mapping[str, Estimate], errors: Mapping[str, Estimate]
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Return *spans* and *errors* by what they are counted under."""
    total: dict[str, Estimate] = {}
    share: dict[str, Estimate] = {}
    for ref, each in spans.items():
        name = wiring.counted_as(ref)
        if name not in total:
            total[name], share[name] = each, errors[ref]
            continue
        added = _sum(total[name], each)
        failing = total[name].value * share[name].value + each.value * errors[ref].value
        exact = share[name].exact and errors[ref].exact and added.exact
        if added.value:
            share[name] = Estimate(failing / added.value, exact)
        total[name] = added
    return total, share


class _Waiting(NamedTuple):
    """For whom somebody waits, how long at most, and what the network takes of that."""

    ref: str
    timeout_ns: int
    network: Durations = _NO_TIME


def _fails(
    target: Effective,
    waiting: _Waiting,
    errors: Mapping[str, Estimate],
    late_share: LateShare,
) -> Estimate:
    """Return the chance that *target* fails, in the eyes of who waits for it."""
    ref, timeout_ns, network = waiting
    steady = isinstance(network, DurationDistribution) and not network.deviation_ns
    if not steady or any(not each.detached for _, each in target.calls):
        late = late_share(ref, timeout_ns, network)
        return Estimate(errors[ref].value + late, exact=False)
    left_ns = timeout_ns - network.mean_ns
    late = 1.0 if left_ns < 0 else target.duration.share_above(left_ns)
    return Estimate(1 - (1 - target.error_rate) * (1 - late))


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
