"""The semantic conventions, as far as a topology uses them: domains, names, enumerations.

What a person's own registry says comes before what is published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from motel_locust.topology import examples, published
from motel_locust.topology.diagnostics import suggestion
from motel_locust.topology.generators import Chance, Choice, Constant, Normal, Range
from motel_locust.topology.registry import NOTHING, Registry, read_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from motel_locust.topology.generators import Attributes, Generator
    from motel_locust.topology.published import Attribute, Metric

__all__ = ["PUBLISHED", "Conventions", "from_plain", "plain", "read_conventions"]

_REGISTRY: Final = "registry."


class Conventions:
    """What is known of names: a *registry* first, then the published conventions.

    Nothing is read before it is asked for.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def domain(self, name: str) -> Attributes | None:
        """Return how the attributes of domain *name* are made; None if there is no such domain.

        That is the group with this id, else the one called ``registry.`` and *name*, else the
        namespace: all names below it that do not belong to a domain of their own.
        """
        names = self._members(name)
        if names is None:
            return None
        made = {each: self._generator(each) for each in names}
        return {each: generator for each, generator in made.items() if generator is not None}

    def near(self, name: str) -> str:
        """Return ``; did you mean …?`` with the domains that are called nearly so, or nothing."""
        own = {group.removeprefix(_REGISTRY) for group in self._registry.groups}
        known = own | published.namespaces() | examples.examples().apart
        return suggestion(name.lower().removeprefix(_REGISTRY), sorted(known))

    def attribute(self, name: str) -> Attribute | None:
        """Return what is known of the attribute *name*, which may be one of a template."""
        found = self._attribute(name)
        above = name.rpartition(".")[0]
        while found is None and above:
            template = self._attribute(above)
            found = template if template is not None and template.template else None
            above = above.rpartition(".")[0]
        return found

    def metric(self, name: str) -> Metric | None:
        """Return what is known of the metric *name*."""
        return self._registry.metrics.get(name) or published.metrics(_first(name)).get(name)

    def namespaces(self) -> set[str]:
        """Return the first parts of all names of attributes."""
        return {*published.namespaces(), *map(_first, self._registry.attributes)}

    def names(self, namespace: str) -> set[str]:
        """Return the attributes below *namespace* that are not deprecated."""
        found = {**published.attributes(namespace), **self._registry.attributes}
        return {
            name
            for name, each in found.items()
            if not each.deprecated and _first(name) == namespace
        }

    def _members(self, domain: str) -> Iterable[str] | None:
        for group in (domain, f"{_REGISTRY}{domain}"):
            if group in self._registry.groups:
                return self._registry.groups[group]
        above = f"{domain.removeprefix(_REGISTRY)}."
        known = [*published.attributes(_first(above)), *self._registry.loose]
        below = [name for name in dict.fromkeys(known) if name.startswith(above)]
        apart = tuple(f"{each}." for each in examples.examples().apart if f"{each}." != above)
        inner = tuple(each for each in apart if each.startswith(above))
        return [name for name in below if not name.startswith(inner)] if below else None

    def _attribute(self, name: str) -> Attribute | None:
        return self._registry.attributes.get(name) or published.attributes(_first(name)).get(name)

    def _generator(self, name: str) -> Generator | None:
        if name in self._registry.attributes:
            return self._registry.generators.get(name)
        found = published.attributes(_first(name)).get(name)
        return None if found is None else examples.generator(found)

    def is_open(self, attribute: Attribute) -> bool:
        """Return whether everybody may add to the values of an enumeration."""
        own = attribute.name in self._registry.attributes
        return attribute.open or (not own and attribute.name in examples.examples().open)


PUBLISHED: Final = Conventions(NOTHING)
"""The published conventions alone."""


def read_conventions(directory: str | None) -> Conventions:
    """Return the published conventions, and before them the registry in *directory*, if any.

    Raises:
        TopologyError: with every problem of the registry.
    """
    return Conventions(read_registry(directory)) if directory else PUBLISHED


def _first(name: str) -> str:
    return name.partition(".")[0]


_FORMS: Final[dict[str, type[Constant | Choice | Range | Chance | Normal]]] = {
    "value": Constant,
    "values": Choice,
    "low": Range,
    "probability": Chance,
    "mean": Normal,
}


def plain(domains: Mapping[str, Attributes]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return *domains* as messages carry them."""
    return {
        domain: {name: generator.model_dump() for name, generator in attributes.items()}
        for domain, attributes in domains.items()
    }


def from_plain(message: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Attributes]:
    """Return the domains in a *message*, in which tuples have become lists."""
    return {
        domain: {name: _generator(fields) for name, fields in attributes.items()}
        for domain, attributes in message.items()
    }


def _generator(fields: Mapping[str, Any]) -> Generator:
    form = next(form for key, form in _FORMS.items() if key in fields)
    if form is Choice:
        return Choice(values=tuple((value, weight) for value, weight in fields["values"]))
    return form.model_validate(dict(fields))
