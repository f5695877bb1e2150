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
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.commands.checking.sets import Wiring
    from motel_locust.engine.scenarios import Effective
    from motel_locust.topology.model import Call

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
        spans: Spans of each operation in a trace.
        errors: Share of an operation's spans that have status ERROR, 0 to 1.
        calls: Spans in a trace that one operation (the first) makes of another.
    """

    spans: Mapping[str, Estimate]
    errors: Mapping[str, Estimate]
    calls: Mapping[tuple[str, str], Estimate]


def expect(wiring: Wiring, late_share: Callable[[str, int], float]) -> Expectation:
    """Return what traces of *wiring* are expected to hold, as long as they reach no limit.

    *late_share* samples how many requests to an operation go well but take longer than so many ns.
    """
    errors: dict[str, Estimate] = {}
    brought: dict[str, list[tuple[str, Estimate]]] = {}
    for ref in wiring.callees_first:
        operation = wiring.operations[ref]
        well, exact = 1 - operation.error_rate, True
        brought[ref] = []
        for _, call in operation.calls:
            fails = _attempt_fails(wiring.operations[call.target], call, errors, late_share)
            brought[ref].append((call.target, _spans(operation, call, fails)))
            if not call.detached and call.condition != "on-error":
                lost = fails.value ** (call.retries + 1)
                well *= 1 - call.probability * (1 - (1 - lost) ** call.count)
                exact = exact and fails.exact
        errors[ref] = Estimate(1 - well, exact)
    spans: dict[str, Estimate] = dict.fromkeys(wiring.operations, Estimate(0.0))
    spans |= {ref: Estimate(weight) for ref, weight in wiring.roots.items()}
    calls: defaultdict[tuple[str, str], Estimate] = defaultdict(lambda: Estimate(0.0))
    for ref in reversed(wiring.callees_first):
        for target, each in brought[ref]:
            count = min(spans[ref].value * each.value, _GREATEST)
            made = Estimate(count, spans[ref].exact and each.exact)
            spans[target] = _sum(spans[target], made)
            calls[ref, target] = _sum(calls[ref, target], made)
    return Expectation(spans, errors, dict(calls))


def _attempt_fails(
    target: Effective,
    call: Call,
    errors: Mapping[str, Estimate],
    late_share: Callable[[str, int], float],
) -> Estimate:
    """Return the chance that an attempt of *call* fails, in the eyes of its caller."""
    if call.timeout is None:
        return errors[call.target]
    if any(not each.detached for _, each in target.calls):
        late = late_share(call.target, call.timeout)
        return Estimate(errors[call.target].value + late, exact=False)
    late = target.duration.share_above(call.timeout)
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
