"""What changes for a while: scenarios and what they override."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from motel_locust.topology.generators import Attributes
from motel_locust.topology.instances import InstanceNumber, InstanceOverride
from motel_locust.topology.kinds import (
    DurationDistribution,
    Offset,
    Period,
    Ref,
    Share,
    Text,
    WholeNumber,
    entries_of,
    items_of,
)
from motel_locust.topology.part import Part, entries_such_as
from motel_locust.topology.services import Calls
from motel_locust.topology.signals import LogOverride, MetricOverride
from motel_locust.topology.traffic import Traffic
from motel_locust.topology.variants import VariantOverride


class Removal(Part):
    """A call that a scenario takes out; a bare ref may stand for it."""

    title: ClassVar[str] = "removed call"
    bare_key: ClassVar = "target"
    examples: ClassVar = {"target": "target: database.query"}

    target: Ref
    """The operation that is called no more."""


def _removed(value: object) -> str:
    return Removal.model_validate(value).target


class Override(Part):
    """What a scenario changes in one operation, or in the metrics and logs of one service."""

    title: ClassVar[str] = "override"

    duration: DurationDistribution | None = None
    """In place of the operation's own, as a whole."""
    error_rate: Share | None = None
    """In place of the operation's own; 0 counts."""
    attributes: Attributes = Field(default_factory=dict)
    """Merged over the operation's, key by key."""
    variants: Annotated[
        dict[str, VariantOverride],
        entries_such_as("variants: {v127: {weight: 50}}", "names to what changes"),
    ] = Field(default_factory=dict)
    """What changes in the operation's variants, by their names."""
    add_calls: Calls = ()
    """Further calls, after the operation's own."""
    remove_calls: Annotated[
        tuple[Annotated[str, BeforeValidator(_removed)], ...], BeforeValidator(items_of)
    ] = ()
    """The targets that the operation does not call meanwhile."""
    instances: Annotated[
        dict[InstanceNumber, InstanceOverride],
        entries_such_as("instances: {3: {error_rate: 50%}}", "numbers to what changes"),
    ] = Field(default_factory=dict)
    """What differs on some of the service's instances, by their numbers from 1."""
    metrics: Annotated[dict[str, MetricOverride], BeforeValidator(entries_of)] = Field(
        default_factory=dict
    )
    """New values for metrics that are defined at this very place."""
    logs: LogOverride | None = None
    """Further or fewer log records."""


class Scenario(Part):
    """A change of the system for a while."""

    title: ClassVar[str] = "scenario"
    examples: ClassVar = {"at": "at: +5m", "duration": "duration: 10m"}

    name: Text = ""
    """What people call it."""
    at: Offset
    """Its start, since the start of the run."""
    duration: Period
    """How long it lasts."""
    priority: WholeNumber = 0
    """Which of several active scenarios wins: the highest, of equals the last in the file."""
    override: Annotated[dict[str, Override], BeforeValidator(entries_of)] = Field(
        default_factory=dict
    )
    """What changes, by the ref of an operation or the name of a service."""
    traffic: Traffic | None = None
    """In place of the file's traffic, as a whole."""
