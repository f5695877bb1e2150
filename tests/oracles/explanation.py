"""Could the rules of an operation have made this span with these children?

The calls are played through in the order of the file. Wherever chance decides (a probability, an
error of the operation's own, which of several like children answers which request) all ways are
tried. A way that uses every child, gives the span its end and its status, is an explanation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.topology.model import Call
    from tests.oracles.rules import Rules

STEPS = 200_000
"""No span of an example needs more than some hundred; one that nothing explains may."""


@dataclass
class Child:
    """A request that was made, as far as its caller is concerned."""

    ref: str
    start_ns: int
    end_ns: int
    failed: bool


@dataclass(frozen=True)
class Attempt:
    """A child, the call that it answers, and what the caller saw."""

    child: Child
    call: Call
    timed_out: bool
    retry: bool


@dataclass(frozen=True)
class Explanation:
    """How a span came about."""

    attempts: tuple[Attempt, ...]
    own_ns: int
    """The operation's own duration."""
    own_error: bool


@dataclass(frozen=True)
class _State:
    """What has happened up to some call: all values, so that every way has its own."""

    unused: tuple[Child, ...]
    cursor_ns: int
    failed: bool = False
    attempts: tuple[Attempt, ...] = ()


@dataclass
class _Search:
    rules: Rules
    begin_ns: int
    own_error: bool
    steps: int = field(default=0)

    def calls(self, calls: tuple[Call, ...], state: _State) -> Iterator[_State]:
        if not calls:
            if not state.unused:
                yield state
            return
        call, *rest = calls
        possible = call.condition is None or (call.condition == "on-error") == self.own_error
        if possible:
            for after in self._repetitions(call, call.count, state):
                yield from self.calls(tuple(rest), after)
        if not possible or call.probability < 1:
            yield from self.calls(tuple(rest), state)

    def _repetitions(self, call: Call, left: int, state: _State) -> Iterator[_State]:
        if not left:
            yield state
            return
        at_ns = self.begin_ns if self.rules.parallel else state.cursor_ns
        for after in self._attempts(call, 1 + call.retries, state, at_ns, retry=False):
            yield from self._repetitions(call, left - 1, after)

    def _attempts(
        self, call: Call, left: int, state: _State, at_ns: int, *, retry: bool
    ) -> Iterator[_State]:
        """Yield the states after a request at *at_ns* with up to *left* attempts."""
        tried = set()
        for index, child in enumerate(state.unused):
            self.steps += 1
            like = child.end_ns, child.failed
            if child.ref != call.target or child.start_ns != at_ns or like in tried:
                continue
            if self.steps > STEPS:
                return
            tried.add(like)
            timed_out = call.timeout is not None and child.end_ns - at_ns > call.timeout
            end_ns = at_ns + call.timeout if timed_out else child.end_ns
            bad = child.failed or timed_out
            unused = (*state.unused[:index], *state.unused[index + 1 :])
            attempts = (*state.attempts, Attempt(child, call, timed_out, retry))
            if bad and left > 1:
                between = _State(unused, state.cursor_ns, state.failed, attempts)
                again_ns = end_ns + call.retry_backoff
                yield from self._attempts(call, left - 1, between, again_ns, retry=True)
            elif call.detached:
                yield _State(unused, state.cursor_ns, state.failed, attempts)
            else:
                cursor_ns = max(state.cursor_ns, end_ns)
                yield _State(unused, cursor_ns, state.failed or bad, attempts)


def explain(
    rules: Rules, start_ns: int, end_ns: int, children: list[Child], *, failed: bool
) -> Explanation | None:
    """Return how a span from *start_ns* to *end_ns* came about, None if it cannot have."""
    begin_ns = min((child.start_ns for child in children), default=start_ns)
    unused = tuple(sorted(children, key=lambda child: (child.start_ns, child.end_ns)))
    for own_error in (False, True):
        if (own_error and not rules.may_fail) or (not own_error and rules.error_rate >= 1):
            continue
        search = _Search(rules, begin_ns, own_error)
        for state in search.calls(rules.calls, _State(unused, begin_ns)):
            own_ns = _own_ns(start_ns, begin_ns, end_ns, state)
            if own_ns is not None and failed == (own_error or state.failed):
                return Explanation(state.attempts, own_ns, own_error)
    return None


def _own_ns(start_ns: int, begin_ns: int, end_ns: int, state: _State) -> int | None:
    """Return the operation's own time, the waits apart; None if its halves do not fit."""
    if not state.attempts:
        return end_ns - start_ns
    before_ns, after_ns = begin_ns - start_ns, end_ns - state.cursor_ns
    return before_ns + after_ns if after_ns - before_ns in (0, 1) else None
