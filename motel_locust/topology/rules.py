"""Rules over a whole document: no key twice, every reference leads somewhere, no loops of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from motel_locust.topology.diagnostics import Mistake, listed, quoted, suggestion
from motel_locust.topology.document import Entries, Node, PlacedMistake, walk
from motel_locust.topology.instances import no_such

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from motel_locust.topology.outline import Outline, OverrideOutline, Reference

_MAX_LISTED: Final = 12
"""So many names are listed in a message."""
_MAX_HINTS: Final = 100
"""How many misspelt references of a file are compared with the known ones."""
_OPERATION_FIELDS: Final = (
    "duration",
    "error_rate",
    "attributes",
    "add_calls",
    "remove_calls",
    "variants",
)


def check_keys(root: Node) -> Iterator[Mistake]:
    """Yield a mistake for every key that is given twice in one mapping."""
    for path, node in walk(root):
        if not isinstance(node, Entries):
            continue
        above = path[-1] if path else ""
        noun = {"services": "service", "operations": "operation"}.get(str(above), "key")
        for again, first in node.duplicates:
            message = f"{noun} {quoted(again.text)} is defined twice; first at line"
            yield PlacedMistake(
                "duplicate-name",
                f"{message} {first.mark.line}",
                again.mark,
                path=(*path, again.text),
            )


def check_references(outline: Outline) -> Iterator[Mistake]:
    """Yield a mistake for every name that is given twice or leads nowhere."""
    yield from _ambiguous(outline)
    yield from _metrics_twice(outline)
    yield from _unknown_operations(outline)
    yield from _unknown_baggage(outline)
    for operation in outline.operations:
        yield from _links(operation.ref, operation.links)
    for scenario in outline.scenarios:
        for override in scenario.overrides:
            yield from _override(override, outline)


def _ambiguous(outline: Outline) -> Iterator[Mistake]:
    first: dict[str, tuple[str, str]] = {}
    for operation in outline.operations:
        service, name = first.setdefault(operation.ref, (operation.service, operation.name))
        if (service, name) != (operation.service, operation.name):
            message = f"operation {quoted(operation.name)} of service {quoted(operation.service)} "
            message += f"and operation {quoted(name)} of service {quoted(service)} are both called "
            message += f"{quoted(operation.ref)}; rename one of them"
            yield _complete("ambiguous-reference", message, operation.path, at_key=True)


def _metrics_twice(outline: Outline) -> Iterator[Mistake]:
    first: dict[tuple[str, str], str] = {}
    for metric in outline.metrics:
        key = (metric.service, metric.name)
        if key in first:
            message = f"metric {quoted(metric.name)} is defined twice in service "
            message += f"{quoted(metric.service)}; first in the metrics of {quoted(first[key])}"
            yield _complete("duplicate-name", message, metric.path)
        first.setdefault(key, metric.scope)


def _unknown_operations(outline: Outline) -> Iterator[Mistake]:
    hints: dict[str, str] = {}
    for reference in _references(outline):
        ref = reference.ref
        if ref in outline.calls:
            continue
        if ref not in hints:
            # Comparing takes time: a file that spells thousands of names wrong waits for no more.
            hints[ref] = suggestion(ref, outline.calls) if len(hints) < _MAX_HINTS else ""
        at_key = reference in outline.roots
        message = f"no operation {quoted(ref)}{hints[ref]}"
        yield _complete("unknown-operation", message, reference.path, at_key=at_key)


def _unknown_baggage(outline: Outline) -> Iterator[Mistake]:
    """Yield a mistake for everything that variants ask for and nothing sets."""
    values: dict[str, list[str]] = {}
    for entry in outline.baggage:
        values.setdefault(entry.key, []).append(entry.value)
    for asked in outline.asked:
        if asked.key not in values:
            near = suggestion(asked.key, values) or _only(values)
            message = f"no baggage {quoted(asked.key)} is set anywhere{near}"
            yield _complete("unknown-baggage", message, asked.path, at_key=True)
        elif asked.value not in values[asked.key]:
            known = list(dict.fromkeys(values[asked.key]))
            near = suggestion(asked.value, known) or _only(known)
            message = f"baggage {quoted(asked.key)} is nowhere set to {quoted(asked.value)}{near}"
            yield _complete("unknown-baggage", message, asked.path)


def _only(names: Collection[str]) -> str:
    if not names or len(names) > _MAX_LISTED:
        return ""
    return f"; known: {', '.join(map(quoted, names))}"


def _references(outline: Outline) -> Iterator[Reference]:
    for operation in outline.operations:
        yield from operation.calls
        yield from operation.links
    yield from outline.roots
    for scenario in outline.scenarios:
        for override in scenario.overrides:
            yield from override.added
            yield from override.removed


def _links(ref: str, links: Iterable[Reference]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for link in links:
        if link.ref == ref:
            message = f"operation {quoted(ref)} links to itself; link to another one"
            yield _complete("self-link", message, link.path)
        elif link.ref in seen:
            yield _complete(
                "duplicate-name", f"link to {quoted(link.ref)} is given twice", link.path
            )
        seen.add(link.ref)


def _override(override: OverrideOutline, outline: Outline) -> Iterator[Mistake]:
    if override.key in outline.calls:
        yield from _not_called(override, outline)
        yield from _unknown_variants(override, outline)
    elif override.key in outline.services:
        for field in override.fields:
            if field in _OPERATION_FIELDS:
                message = f"{field} does not fit service {quoted(override.key)}, which takes "
                message += (
                    "metrics, logs and instances only; name an operation as service.operation"
                )
                path = (*override.path, field)
                yield _complete("misplaced-override", message, path, at_key=True)
    else:
        known = [*outline.calls, *outline.services]
        message = f"no operation or service {quoted(override.key)}{suggestion(override.key, known)}"
        yield _complete("unknown-override", message, override.path, at_key=True)
        return
    yield from _overridden_metrics(override, outline)
    yield from _unknown_instances(override, outline)


def _not_called(override: OverrideOutline, outline: Outline) -> Iterator[Mistake]:
    called = {call.ref for call in outline.calls[override.key]}
    for removed in override.removed:
        if removed.ref in outline.calls and removed.ref not in called:
            calls = listed(sorted(map(quoted, called)), "and") if called else "nothing"
            message = f"operation {quoted(override.key)} does not call {quoted(removed.ref)}; "
            yield _complete("not-called", f"{message}it calls {calls}", removed.path)


def _unknown_variants(override: OverrideOutline, outline: Outline) -> Iterator[Mistake]:
    known = outline.variants[override.key]
    for reference in override.variants:
        if reference.ref not in known:
            near = suggestion(reference.ref, known) or (_only(known) if known else "; it has none")
            message = f"operation {quoted(override.key)} has no variant {quoted(reference.ref)}"
            yield _complete("unknown-variant", message + near, reference.path, at_key=True)


def _unknown_instances(override: OverrideOutline, outline: Outline) -> Iterator[Mistake]:
    services = [each.service for each in outline.operations if each.ref == override.key]
    service = services[0] if services else override.key
    written = outline.instances[service]
    if override.instances and not written:
        message = f"service {quoted(service)} has no instances to override; write instances: 3 "
        path = (*override.path, "instances")
        yield _complete("unknown-instance", f"{message}there, or as many as it has", path)
    if not written.isdecimal() or int(written) == 0:
        return  # which the models tell
    for reference in override.instances:
        number = reference.ref
        if number.isascii() and number.isdecimal() and int(number) > int(written):
            message = no_such(number, int(written))
            yield _complete("unknown-instance", message, reference.path, at_key=True)


def _overridden_metrics(override: OverrideOutline, outline: Outline) -> Iterator[Mistake]:
    for reference in override.metrics:
        named = outline.metrics_named.get(reference.ref, [])
        here = [metric for metric in named if metric.scope == override.key]
        if here and not here[0].valued:
            message = f"metric {quoted(reference.ref)} is derived from spans and has no value to "
            yield _complete("fixed-metric", f"{message}override", reference.path, at_key=True)
        elif not here:
            elsewhere = sorted({quoted(metric.scope) for metric in named})
            hint = f"; it is defined at {listed(elsewhere, 'and')}" if elsewhere else ""
            if not hint:
                names = [m.name for m in outline.metrics if m.scope == override.key]
                hint = suggestion(reference.ref, names)
            message = f"no metric {quoted(reference.ref)} at {quoted(override.key)}{hint}"
            yield _complete("unknown-metric", message, reference.path, at_key=True)


def _complete(
    code: str, message: str, path: tuple[str | int, ...], *, at_key: bool = False
) -> Mistake:
    return Mistake(code, message, path=path, at_key=at_key, complete=True)
