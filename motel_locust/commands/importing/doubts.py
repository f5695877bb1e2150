"""What to distrust: findings about samples, trees and what the language cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing.draft import Finding
from motel_locust.commands.importing.durations import by_percentiles
from motel_locust.commands.importing.figures import MOST_VARIED, counted, decimal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.commands.importing.deciding import Findings
    from motel_locust.commands.importing.intake import Intake
    from motel_locust.commands.importing.trees import Growth

MIXED_STYLE: Final = 0.2
TAIL: Final = 0.5
"""More deviation for its mean than this is no normal distribution any more: it is cut off at 0."""
UNEVEN_COUNT: Final = 0.1
FORGIVEN: Final = 0.05
RATE_PARTS: Final = 20
RATE_VARIES: Final = 2.0
MANY_OPERATIONS: Final = 200
FEWEST_TRACES: Final = 2_000
"""With fewer, chance alone makes one of RATE_PARTS parts busier than another."""


def doubts(
    found: Findings, growth: Growth, intake: Intake, names: list[str], *, min_traces: int
) -> Iterator[Finding]:
    """Yield the findings: about the input, then operation by operation and call by call."""
    yield from _of_the_input(growth, intake)
    yield from _of_the_whole(found, growth, min_traces)
    for number in sorted(range(len(names)), key=names.__getitem__):
        if found.facts.spans[number]:
            yield from _of_an_operation(number, found, names[number], min_traces)
    for edge in range(found.edges.size):
        caller, target = found.edges.caller[edge], found.edges.target[edge]
        subject = f"{names[caller]} -> {names[target]}"
        yield from _of_a_call(edge, found, subject, min_traces)


def _of_the_input(growth: Growth, intake: Intake) -> Iterator[Finding]:
    if intake.unknown:
        unknown = counted(len(intake.unknown), "files")
        yield Finding("", f"{unknown} of no known format skipped, such as {intake.unknown[0]}")
    if intake.skipped:
        yield Finding("", f"lines or documents without spans, skipped: {intake.skipped:,}")
    if intake.backwards:
        yield Finding(
            "", f"spans that end before they begin, taken for 0 long: {intake.backwards:,}"
        )
    if growth.repeated:
        yield Finding("", f"spans that came again, dropped: {growth.repeated:,}")
    if growth.orphans:
        examples = "; ".join(growth.orphan_examples)
        yield Finding(
            "",
            f"spans whose parent is not there, taken for roots: {growth.orphans:,},"
            f" such as {examples}",
        )
    if growth.lost:
        yield Finding("", f"spans that are their own ancestors, left out: {growth.lost:,}")
    if growth.folded:
        yield Finding(
            "",
            f"spans below one of their own operation, taken for parts of it: {growth.folded:,}",
        )
    if growth.further_roots > growth.orphans:
        yield Finding("", f"further roots of their traces: {growth.further_roots:,}")


def _of_the_whole(found: Findings, growth: Growth, min_traces: int) -> Iterator[Finding]:
    arrivals = found.facts.arrivals
    if growth.traces < min_traces:
        yield Finding(
            "", f"{counted(growth.traces, 'traces')} instead of the {min_traces:,} asked for"
        )
    if growth.traces == 1:
        yield Finding("", "one trace alone: durations are single values, and the rate is a guess")
    elif not arrivals.per_s:
        yield Finding("", "all traces begin at once: the rate is a guess")
    operations = np.count_nonzero(found.facts.spans)
    once = np.count_nonzero(found.facts.spans == 1)
    if operations >= MANY_OPERATIONS and once > operations / 2:
        yield Finding(
            "", f"{once:,} of {operations:,} operations came once: do their names hold ids?"
        )
    rates = arrivals.rates(RATE_PARTS)
    if growth.traces >= FEWEST_TRACES and rates.size and rates.max() > RATE_VARIES * rates.min():
        yield Finding(
            "",
            f"the rate is not steady, {decimal(rates.min())} to {decimal(rates.max())} traces/s;"
            " only its mean is written",
        )


def _of_an_operation(number: int, found: Findings, name: str, min_traces: int) -> Iterator[Finding]:
    facts, votes, own = found.facts, found.votes, found.work.own
    spans, failed = int(facts.spans[number]), int(facts.failed[number])
    if spans < min_traces:
        errors = counted(failed, "errors")
        yield Finding(name, f"duration and error rate rest on {counted(spans, 'spans')} ({errors})")
    if spans > 1 and not by_percentiles(own, found.work.spectra, number):
        yield from _of_a_normal(name, own.means[number], own.deviations[number])
    parallel, sequential = int(votes.parallel[number]), int(votes.sequential[number])
    cast = parallel + sequential
    if cast and (
        (min_traces > 1 and cast < min_traces) or min(parallel, sequential) >= MIXED_STYLE * cast
    ):
        yield Finding(name, f"its calls were parallel {parallel:,} times, in a row {sequential:,}")
    if not found.errors.tried[number] and failed:
        yield Finding(name, "a call failed in every span: its own error rate is taken for 0")


def _of_a_normal(name: str, mean: float, deviation: float) -> Iterator[Finding]:
    """Yield what is to be known of a normal duration with much deviation."""
    if deviation > MOST_VARIED * mean > 0:
        yield Finding(
            name,
            f"its own time varies by {decimal(deviation / mean, 2)} times its mean, which is more"
            " than a normal distribution above 0 can; the mean is kept",
        )
    elif deviation > TAIL * mean > 0:
        yield Finding(
            name,
            f"its own time varies by {decimal(deviation / mean, 2)} times its mean;"
            " a part of what is generated is cut off at 0, so the mean written is a lower one",
        )


def _of_a_call(edge: int, found: Findings, subject: str, min_traces: int) -> Iterator[Finding]:
    facts, calls = found.facts, found.calls
    callers, invocations = facts.spans[found.edges.caller[edge]], int(facts.invocations[edge])
    if min_traces > 1 and invocations < min_traces and invocations < callers:
        yield Finding(
            subject,
            f"its probability rests on {counted(invocations, 'calls')} of {callers:,} spans",
        )
    mean = facts.spans_of[edge] / invocations
    if not calls.retries[edge] and abs(mean - np.round(mean)) > UNEVEN_COUNT:
        yield Finding(
            subject, f"{decimal(mean)} calls at a time on average: count is a whole number"
        )
    forgiven = int(facts.forgiven[edge])
    if not calls.detached[edge] and forgiven > FORGIVEN * max(invocations, 1):
        yield Finding(
            subject,
            f"{forgiven:,} callers succeeded though this call failed; what is generated will fail",
        )
