"""The published semantic conventions: the package opentelemetry-semantic-conventions, by name.

What is deprecated, and a metric's instrument and unit, stand in the strings below the package's
constants. They are gone once a module is imported, so the source is parsed: some milliseconds for
each namespace that is asked for, and nothing is imported.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from motel_locust.topology.generators import Value

# What moved is as good as before, there are only other people who look after it.
_MOVED: Final = "Moved to "
_DEPRECATED: Final = "Deprecated: "
_LINK: Final = re.compile(r"\[([^]]*)\]\([^)]*\)")
_WITHOUT: Final = "other"
"""The module of a name that has no namespace."""
_TEMPLATE: Final = "_TEMPLATE"


@dataclass(frozen=True, slots=True)
class Attribute:
    """What the conventions say of one attribute."""

    name: str
    members: tuple[Value, ...] = ()
    """The values of an enumeration, deprecated ones too."""
    current: tuple[Value, ...] = ()
    """Those that are not deprecated."""
    deprecated: str = ""
    """What to do instead, in lower case; empty if it is not deprecated."""
    template: bool = False
    """Whether it is the beginning of names, such as ``http.request.header``."""
    open: bool = False
    """Whether everybody may add to the values of the enumeration."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What the conventions say of one metric."""

    name: str
    instrument: str
    """``counter``, ``updowncounter``, ``histogram`` or ``gauge``."""
    unit: str
    deprecated: str = ""


@cache
def namespaces() -> frozenset[str]:
    """Return the first parts of all names of attributes."""
    files = (_folder() / "_incubating" / "attributes").glob("*_attributes.py")
    return frozenset(file.stem.removesuffix("_attributes") for file in files) - {_WITHOUT}


@cache
def attributes(namespace: str) -> Mapping[str, Attribute]:
    """Return the attributes whose names begin with *namespace*, by name, in their order there."""
    found: dict[str, Attribute] = {}
    # The incubating modules have everything; the stable ones come second all the same.
    for part in ("_incubating/attributes", "attributes"):
        constants, enumerations = _declarations(_folder() / part / f"{namespace}_attributes.py")
        for constant, (name, text) in constants.items():
            if name in found or not name.startswith(f"{namespace}."):
                continue
            members = enumerations.get(constant.replace("_", "").lower(), ())
            current = [value for value, about in members if not _deprecation(about)]
            found[name] = Attribute(
                name=name,
                members=tuple(dict.fromkeys(value for value, _ in members)),
                current=tuple(dict.fromkeys(current)),
                deprecated=_deprecation(text),
                # Of messaging.destination.template, an ordinary text, the constant ends so too.
                template=constant == f"{_spelling(name)}{_TEMPLATE}",
            )
    return found


@cache
def metrics(namespace: str) -> Mapping[str, Metric]:
    """Return the metrics whose names begin with *namespace*, by name."""
    found: dict[str, Metric] = {}
    # Of a stable metric, the incubating module says no more than that it is stable.
    for part in ("_incubating/metrics", "metrics"):
        constants, _ = _declarations(_folder() / part / f"{namespace}_metrics.py")
        for name, text in constants.values():
            told = dict(re.findall(r"^(Instrument|Unit): (.*)$", text, re.MULTILINE))
            if "Instrument" in told:
                unit = told.get("Unit", "")
                found[name] = Metric(name, told["Instrument"], unit, _deprecation(text))
    return found


@cache
def _folder() -> Path:
    spec = find_spec("opentelemetry.semconv")
    assert spec is not None  # one of our dependencies
    assert spec.origin is not None
    return Path(spec.origin).parent


_Constants = dict[str, tuple[str, str]]
"""Name and text below, by constant."""
_Enumerations = dict[str, tuple[tuple["Value", str], ...]]
"""Values and texts below, by class: in lower case, without what all of them end in."""


def _declarations(file: Path) -> tuple[_Constants, _Enumerations]:
    constants: _Constants = {}
    enumerations: _Enumerations = {}
    if file.is_file():
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for name, value, text in _assignments(body):
            constants[name] = (str(value), text)
        for node in body:
            if isinstance(node, ast.ClassDef):
                key = node.name.removesuffix("Values").lower()
                enumerations[key] = tuple((v, text) for _, v, text in _assignments(node.body))
    return constants, enumerations


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, Value, str]]:
    """Yield the name and value of each constant, and the text below it."""
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            target: ast.expr = node.target
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
        else:
            continue
        value = node.value.value if isinstance(node.value, ast.Constant) else None
        if isinstance(target, ast.Name) and isinstance(value, str | int | float):
            yield target.id, value, _text(below)


def _text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value).strip()
    return ""


def _deprecation(text: str) -> str:
    """Return what is said of a deprecated thing: ``replaced by http.request.method``."""
    first = text.splitlines()[0] if text else ""
    said = first.removeprefix(_DEPRECATED)
    if said == first or said.startswith(_MOVED):
        return ""
    said = _LINK.sub(r"\1", said).replace("`", "").removeprefix("Deprecated, ").rstrip(".")
    return said[:1].lower() + said[1:]


def _spelling(name: str) -> str:
    return name.replace(".", "_").upper()
