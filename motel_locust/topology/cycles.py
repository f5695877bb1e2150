"""Loops: calls that lead back to where they began, by themselves or while scenarios are active."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motel_locust.topology.diagnostics import Mistake, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from motel_locust.topology.outline import Outline, Reference, ScenarioOutline

Graph = dict[str, list["Reference"]]
"""The calls of every operation, by its ref."""


@dataclass(frozen=True, slots=True)
class _Added:
    """A call that a scenario adds."""

    caller: str
    call: Reference
    scenario: ScenarioOutline


def check_cycles(outline: Outline) -> Iterator[Mistake]:
    """Yield a mistake for every loop, at the call that closes it."""
    loops = list(_loops(outline.calls))
    for loop in loops:
        names = [caller for caller, _ in loop]
        message = f"calls form a cycle: {_drawn(names)}"
        yield Mistake("call-cycle", message, path=loop[-1][1].path, complete=True)
    if not loops:
        yield from _scenario_cycles(outline)


def _drawn(names: list[str]) -> str:
    return " -> ".join([*names, names[0]])


def _loops(calls: Graph) -> Iterator[list[tuple[str, Reference]]]:
    """Yield a loop for every call that leads back, found depth first from each operation.

    A loop is a list of callers, each with the call that it makes to the next.
    """
    done: set[str] = set()
    for start in calls:
        if start in done:
            continue
        trail: list[tuple[str, Reference]] = []
        position: dict[str, int] = {start: 0}
        waiting = [(start, iter(calls[start]))]
        while waiting:
            caller, rest = waiting[-1]
            call = next(rest, None)
            if call is None:
                waiting.pop()
                done.add(caller)
                del position[caller]
                if trail:
                    trail.pop()
            elif call.ref in position:
                yield [*trail[position[call.ref] :], (caller, call)]
            elif call.ref in calls and call.ref not in done:
                trail.append((caller, call))
                position[call.ref] = len(trail)
                waiting.append((call.ref, iter(calls[call.ref])))


def _scenario_cycles(outline: Outline) -> Iterator[Mistake]:
    found: set[frozenset[tuple[str, str]]] = set()
    for active in _active_sets(outline.scenarios):
        effective, added = _effective(outline.calls, active)
        for addition in added:
            loop = _shortest_loop(effective, addition)
            edges = frozenset(zip(loop, [*loop[1:], *loop[:1]], strict=True))
            if not loop or edges in found:
                continue
            found.add(edges)
            yield _scenario_cycle(loop, [each for each in added if _edge(each) in edges])


def _edge(added: _Added) -> tuple[str, str]:
    return added.caller, added.call.ref


def _scenario_cycle(loop: list[str], additions: list[_Added]) -> Mistake:
    """Return the mistake, at the last call of the file that closes the *loop*."""
    names: dict[int, str] = {}
    shown: dict[str, None] = {}
    for each in additions:
        scenario = each.scenario
        names[scenario.index] = quoted(scenario.name) if scenario.name else f"{scenario.index}"
        shown[f"{each.caller} -> {each.call.ref}"] = None
    noun = "scenario" if len(names) == 1 else "scenarios"
    together = "" if len(names) == 1 else " together"
    verb = "forms" if len(names) == 1 else "form"
    message = f"{noun} {listed(names.values(), 'and')}{together} {verb} a cycle: {_drawn(loop)} "
    message += f"(added: {', '.join(shown)})"
    last = max(additions, key=lambda each: each.scenario.index)
    return Mistake("scenario-cycle", message, path=last.call.path, complete=True)


def _active_sets(scenarios: Iterable[ScenarioOutline]) -> Iterator[tuple[ScenarioOutline, ...]]:
    """Yield every set of scenarios that is active at some time, each once."""
    changing = [
        (each.start_ns, each.end_ns, each)
        for each in scenarios
        if any(override.added or override.removed for override in each.overrides)
    ]
    windows = [
        (start, end, each)
        for start, end, each in changing
        if start is not None and end is not None and start < end
    ]
    starts = sorted(windows, key=lambda window: window[0])
    active: dict[int, tuple[int, ScenarioOutline]] = {}
    seen: set[tuple[int, ...]] = set()
    for now in sorted({edge for start, end, _ in windows for edge in (start, end)}):
        active = {index: window for index, window in active.items() if window[0] > now}
        while starts and starts[0][0] <= now:
            _, end, scenario = starts.pop(0)
            active[scenario.index] = (end, scenario)
        key = tuple(sorted(active))
        if active and key not in seen:
            seen.add(key)
            yield tuple(active[index][1] for index in key)


def _effective(
    calls: Mapping[str, list[Reference]], active: tuple[ScenarioOutline, ...]
) -> tuple[Graph, list[_Added]]:
    """Return the calls while *active*: own calls less all removals, then all additions."""
    effective: Graph = dict(calls)
    added = []
    for scenario in active:
        for override in scenario.overrides:
            removed = {reference.ref for reference in override.removed}
            effective[override.key] = [
                call for call in effective.get(override.key, []) if call.ref not in removed
            ]
            added += [_Added(override.key, call, scenario) for call in override.added]
    for each in added:
        effective[each.caller] = [*effective.get(each.caller, []), each.call]
    return effective, added


def _shortest_loop(calls: Graph, addition: _Added) -> list[str]:
    """Return the operations of the shortest loop through *addition*, or none."""
    start, goal = addition.call.ref, addition.caller
    came_from: dict[str, str] = {start: ""}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if here == goal:
            loop = [here]
            while loop[-1] != start:
                loop.append(came_from[loop[-1]])
            return [goal, *reversed(loop[1:])]
        for call in calls.get(here, []):
            if call.ref not in came_from:
                came_from[call.ref] = here
                waiting.append(call.ref)
    return []
