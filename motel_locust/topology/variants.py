"""Variants: an operation that is not always the same, a version that fails or a region far away."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, Protocol, TypeVar

from pydantic import AfterValidator, Field

from motel_locust.topology.baggage import Baggage
from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.generators import Attributes
from motel_locust.topology.kinds import (
    DurationDistribution,
    Multiplier,
    Name,
    Share,
)
from motel_locust.topology.part import Part, entries_such_as


class VariantOverride(Part):
    """What a scenario changes in one variant of an operation."""

    title: ClassVar[str] = "variant's override"

    weight: Multiplier | None = None
    """In place of the variant's own; 0 counts."""
    duration: DurationDistribution | None = None
    """In place of the variant's own, or of what it takes from the operation."""
    error_rate: Share | None = None
    """In place of the variant's own, or of what it takes from the operation; 0 counts."""
    attributes: Attributes = Field(default_factory=dict)
    """Merged over the variant's, key by key."""


class Variant(Part):
    """One of the ways in which an operation may go; what it does not name is the operation's."""

    title: ClassVar[str] = "variant"

    weight: Multiplier = 1.0
    """How often it is chosen, relative to the others; 0: not before a scenario raises it."""
    when: Baggage = Field(default_factory=dict)
    """The baggage that a request must bring; where one fits, those without ``when`` stand back."""
    duration: DurationDistribution | None = None
    """In place of the operation's own, as a whole."""
    error_rate: Share | None = None
    """In place of the operation's own; 0 counts."""
    attributes: Attributes = Field(default_factory=dict)
    """Merged over the operation's, key by key."""
    baggage: Baggage = Field(default_factory=dict)
    """Baggage of its spans and all below; entries win over the operation's."""


def _some_weight(variants: dict[str, Variant]) -> dict[str, Variant]:
    if variants and not any(variant.weight for variant in variants.values()):
        raise Mistake("out-of-range", "have weights of 0 only; give one of them more")
    return variants


_NEVER: Final = {"required": ["weight"], "properties": {"weight": {"const": 0}}}

Variants = Annotated[
    dict[Name, Variant],
    entries_such_as("variants: {v127: {weight: 5, error_rate: 20%}}", "names to variants"),
    AfterValidator(_some_weight),
    Field(
        json_schema_extra={
            "not": {"type": "object", "minProperties": 1, "additionalProperties": _NEVER},
            "errorMessage": "give one of the variants a weight above 0",
        }
    ),
]
"""The variants of an operation by name."""


class Asking(Protocol):
    """What asks for baggage, or not."""

    @property
    def when(self) -> Mapping[str, str]:
        """The baggage that a request must bring."""


AskingT = TypeVar("AskingT", bound=Asking)


def fitting(variants: Iterable[AskingT], baggage: Mapping[str, str]) -> list[AskingT]:
    """Return those of *variants* that a request bringing *baggage* may meet.

    Those that ask for baggage and find it come before those that ask for none.
    """
    listed = list(variants)
    asking = [each for each in listed if each.when and each.when.items() <= baggage.items()]
    return asking or [each for each in listed if not each.when]
