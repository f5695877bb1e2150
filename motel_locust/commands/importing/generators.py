"""Attributes as a topology makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.commands.importing.attributes import printed
from motel_locust.commands.importing.draft import Finding, Statement
from motel_locust.commands.importing.figures import decimal
from motel_locust.commands.importing.writing import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.commands.importing.attributes import Spread, Tally, Value
    from motel_locust.commands.importing.draft import DraftOperation, DraftService
    from motel_locust.commands.importing.intake import OperationIntake, ServiceIntake

RESERVED: Final = frozenset({"service.name", "motel.version"})
SHOWN: Final = 5
HALF: Final = 0.5
"""An attribute that fewer spans have is left out: a generated span has all or none."""
_INT64: Final = (-(2**63), 2**63 - 1)


def describe_service(
    service: ServiceIntake, draft: DraftService, *, everything: bool
) -> list[Finding]:
    """Fill in what the resources and spans of *service* have alike, and return what was left out.

    *everything*: attributes that vary become generators too.
    """
    draft.resource_attributes = {
        key: printed(value)
        for key, value in service.resources.constants().items()
        if key and key not in RESERVED and not key.startswith("telemetry.")
    }
    operations = {name: service.operations[name] for name in draft.operations}
    alike = _alike(operations)
    draft.attributes = {key: value for key, value in alike.items() if isinstance(value, str)}
    findings = []
    for name, operation in operations.items():
        # The attributes of a service are texts; other constants stand at each of its operations.
        own = {key: value for key, value in alike.items() if not isinstance(value, str)}
        spans = operation.attributes.owners
        found = draft.operations[name]
        found.attributes = {
            key: Statement(f"{{value: {_scalar(value)}}}", spans, "spans")
            for key, value in own.items()
        }
        if everything:
            findings += _describe_varied(operation, found, apart=alike)
    return findings


def _alike(operations: Mapping[str, OperationIntake]) -> dict[str, Value]:
    """Return the attributes that all spans of all operations have, with one value."""
    constants = [each.attributes.constants() for each in operations.values()]
    if not constants:
        return {}
    first, *others = constants
    return {
        key: value
        for key, value in first.items()
        if key
        and not key.startswith("telemetry.")
        and all(key in other and _same(other[key], value) for other in others)
    }


def _same(one: Value, other: Value) -> bool:
    return type(one) is type(other) and one == other


def _describe_varied(
    operation: OperationIntake, draft: DraftOperation, *, apart: Mapping[str, Value]
) -> list[Finding]:
    left_out = []
    spans = operation.attributes.owners
    for key, tally in sorted(operation.attributes.by_key.items()):
        if key in apart or not key:
            continue
        if tally.present < HALF * spans:
            left_out.append(f"{key} (on {tally.present:,} of {spans:,} spans)")
            continue
        generator = _generator(tally)
        if generator is None:
            left_out.append(f"{key} (too many values)")
            continue
        margin = f"on {tally.present / spans:.0%} of them" if tally.present < spans else ""
        draft.attributes[key] = Statement(generator, spans, "spans", margin)
    if not left_out:
        return []
    shown = ", ".join(left_out[:SHOWN]) + (", …" if len(left_out) > SHOWN else "")
    attributes = "attribute" if len(left_out) == 1 else "attributes"
    return [
        Finding(
            f"{operation.service}.{operation.name}",
            f"{len(left_out)} {attributes} left out: {shown}",
        )
    ]


def _generator(tally: Tally) -> str | None:
    """Return the generator of the values in *tally*, None if none makes such."""
    if tally.spread is not None:
        return _of_spread(tally.spread)
    if (constant := tally.constant) is not None:
        return f"{{value: {_scalar(constant)}}}"
    counts = {value: count for (_, value), count in tally.counts.items()}
    if all(kind is bool for kind, _ in tally.counts):
        return f"{{probability: {decimal(counts[True] / tally.present)}}}"
    choices = sorted((_scalar(value), count) for (_, value), count in tally.counts.items())
    return f"{{values: {{{', '.join(f'{choice}: {count}' for choice, count in choices)}}}}}"


def _of_spread(spread: Spread) -> str | None:
    if spread.texts and spread.numbers:
        return None
    if spread.texts:
        (pattern,) = spread.patterns if len(spread.patterns) == 1 else ("",)
        return f"{{sequence: {quoted(pattern)}}}" if "{n}" in pattern else None
    if spread.whole and _INT64[0] <= spread.low and spread.high <= _INT64[1]:
        return f"{{range: [{int(spread.low)}, {int(spread.high)}]}}"
    mean, deviation = decimal(spread.mean, 4), decimal(spread.deviation)
    return f"{{distribution: {{mean: {mean}, stddev: {deviation}}}}}"


def _scalar(value: Value) -> str:
    """Return *value* as YAML that keeps its type."""
    if isinstance(value, str):
        return quoted(value)
    return printed(value) if isinstance(value, (bool, int)) else repr(value)
