"""Reading a topology: from a file, URL or standard input to checked models.

Five passes look at one document, and all that they find is reported together, in file order: the
YAML itself, its keys, the files that it names, every field (by the models), and the references
between the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from motel_locust.topology import cycles, explaining, meeting, naming, rules, warnings
from motel_locust.topology.composing import compose
from motel_locust.topology.conventions import PUBLISHED, plain
from motel_locust.topology.diagnostics import Diagnostic, Mistake, TopologyError
from motel_locust.topology.document import Entries, PlacedMistake, Scalar
from motel_locust.topology.domains import Domains
from motel_locust.topology.model import Topology
from motel_locust.topology.outline import outline
from motel_locust.topology.pages import Page, in_file_order
from motel_locust.topology.part import Part
from motel_locust.topology.row_files import RowFiles
from motel_locust.topology.sources import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.topology.conventions import Conventions
    from motel_locust.topology.document import Node
    from motel_locust.topology.tables import Table

__all__ = ["Reading", "Source", "parse_part", "parse_topology", "read_source", "read_topology"]

PartT = TypeVar("PartT", bound=Part)

_FORM: Final = frozenset({"wrong-type", "unknown-key", "duplicate-name"})
_UNUSED_IN_REPLAY: Final = {
    "services": _FORM
    | {"invalid-duration", "invalid-share", "invalid-number", "generator-form"}
    | {"unknown-operation", "ambiguous-reference", "call-cycle"},
    "traffic": _FORM,
    "scenarios": _FORM,
}
"""The sections that a replay ignores, and what must be right about them all the same."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A topology that can be used, the source it was read from, and what is odd about it."""

    source: Source
    """With what its domains bring and its files: to read it again, nothing else is needed."""
    topology: Topology
    warnings: tuple[Diagnostic, ...]


def read_topology(text: str, conventions: Conventions = PUBLISHED) -> Reading:
    """Return the topology that *text* names: a path, an ``http(s)://`` URL, or ``-``.

    Raises:
        TopologyError: with every problem, in file order.
    """
    return parse_topology(read_source(text), conventions)


def parse_topology(source: Source, conventions: Conventions = PUBLISHED) -> Reading:
    """Return the topology that *source* holds; its operations have the attributes of their domains.

    Raises:
        TopologyError: with every problem, in file order.
    """
    page, root, problems = _compose(source)
    replays = _is_replay(root)
    used = _as_replay(root) if replays else root
    files = RowFiles(used, source)
    topology, mistakes = _read_models(root, Topology, files.tables)
    mistakes += [*problems, *files.mistakes]
    spelled = outline(root)
    mistakes += rules.check_references(spelled)
    mistakes += cycles.check_cycles(spelled)
    domains = Domains(spelled, source, conventions)
    mistakes += domains.unknown()
    if replays:
        topology, _ = _read_models(used, Topology)
        mistakes = [mistake for mistake in mistakes if _kept_in_replay(mistake)]
    unmet: list[Mistake] = []
    if topology is not None and not mistakes:
        mistakes, unmet = meeting.check_variants(topology)
    if mistakes or files.problems or topology is None:
        raise TopologyError([*in_file_order(page.place(root, mistakes)), *files.problems])
    joined = domains.join(topology)
    odd = [*warnings.check(root, joined), *naming.check_names(topology, conventions)]
    odd += [*domains.empty(), *unmet]
    if domains.found:
        source = replace(source, domains=plain(domains.found))
    if files.contents:
        source = replace(source, files=files.contents)
    placed = page.place(root, odd, severity="warning")
    return Reading(source, joined, tuple(in_file_order(placed)))


def parse_part(source: Source, part: type[PartT]) -> PartT:
    """Return the *part* that *source* holds: another file than a topology, read by the same rules.

    Raises:
        TopologyError: with every problem, in file order.
    """
    page, root, problems = _compose(source)
    found, mistakes = _read_models(root, part)
    mistakes += problems
    if mistakes or found is None:
        raise TopologyError(in_file_order(page.place(root, mistakes)))
    return found


def _compose(source: Source) -> tuple[Page, Node, list[Mistake]]:
    """Return the lines of *source*, its document, and what is wrong with that one's keys."""
    page = Page.of(source)
    try:
        root, problems = compose(page.text)
    except PlacedMistake as problem:
        raise TopologyError([page.diagnostic(problem, problem.mark)]) from None
    return page, root, [*problems, *rules.check_keys(root)]


def _read_models(
    root: Node, part: type[PartT], tables: Mapping[str, Table] | None = None
) -> tuple[PartT | None, list[Mistake]]:
    try:
        return part.model_validate(root, context=tables), []
    except ValidationError as error:
        return None, list(explaining.explain(error))


def _is_replay(root: Node) -> bool:
    mode = root.named.get("mode") if isinstance(root, Entries) else None
    return isinstance(mode, Scalar) and mode.text == "replay"


def _as_replay(root: Node) -> Node:
    """Return a replay's document without what a replay does not use."""
    assert isinstance(root, Entries), "no mapping has no mode"
    kept = tuple(pair for pair in root.entries if pair[0].text not in _UNUSED_IN_REPLAY)
    return Entries(kept, root.mark, root.size)


def _kept_in_replay(found: Mistake) -> bool:
    section = found.path[0] if found.path else ""
    return section not in _UNUSED_IN_REPLAY or found.code in _UNUSED_IN_REPLAY[str(section)]
