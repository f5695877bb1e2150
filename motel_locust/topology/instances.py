"""The resources of a service: what they have in common, and the instances that they stand for."""

from typing import Annotated, ClassVar, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from motel_locust.topology.diagnostics import Mistake, Mistakes, quoted
from motel_locust.topology.kinds import (
    DurationDistribution,
    Name,
    Period,
    PositiveCount,
    Share,
    TextValue,
    entries_of,
    text,
)
from motel_locust.topology.part import Part, entries_such_as
from motel_locust.topology.patterns import TEXT_VALUE, whole
from motel_locust.topology.placeholders import PLACEHOLDER
from motel_locust.topology.quantities import format_duration
from motel_locust.topology.traffic import Weight

RESERVED_RESOURCE_ATTRIBUTES: Final = ("service.name", "motel.version")
INSTANCE_ID: Final = "service.instance.id"
PLACEHOLDERS: Final = ("n", "id", "restart")
"""What instance attributes may show: the instance's number, from 1; the first eight digits of its
id; how often it has restarted."""

MOST: Final = 10_000
"""So many instances a service may have."""
_SHORTEST_NS: Final = 1_000_000_000


def _resource_key(key: str) -> str:
    if key in RESERVED_RESOURCE_ATTRIBUTES:
        raise Mistake("reserved-key", "is set automatically; leave it out", at_key=True)
    return key


ResourceKey = Annotated[
    Name,
    AfterValidator(_resource_key),
    WithJsonSchema({"type": "string", "not": {"enum": ["", *RESERVED_RESOURCE_ATTRIBUTES]}}),
]
ResourceAttributes = Annotated[dict[ResourceKey, TextValue], BeforeValidator(entries_of)]


def instance_number(value: object) -> int:
    """Return the number of an instance, which are counted from 1."""
    written = text(value)
    if not (written.isascii() and written.isdecimal()) or written.startswith("0"):
        message = f"{quoted(written)} is no number of an instance; they count from 1"
        raise Mistake("invalid-number", message, at_key=True, complete=True)
    return int(written)


InstanceNumber = Annotated[
    int,
    BeforeValidator(instance_number),
    WithJsonSchema({"type": "string", "allOf": [{"pattern": "^[1-9][0-9]*$"}]}),
]


def no_such(number: str, count: int) -> str:
    """Return the words that a service of *count* instances has none of this *number*."""
    among = f"a number from 1 to {count}" if count > 1 else "1"
    return f"there is no instance {number}, the last one is {count}; write {among}"


def _not_too_many(count: int) -> int:
    if count > MOST:
        raise Mistake("out-of-range", f"{count} is above {MOST}, the most")
    return count


def _not_too_often(period_ns: int) -> int:
    if period_ns < _SHORTEST_NS:
        message = f"{format_duration(period_ns)} is below 1s; write 1s or more"
        raise Mistake("out-of-range", message)
    return period_ns


class Instances(Part):
    """The processes that run a service; a count alone may stand for it."""

    title: ClassVar[str] = "service's instances"
    bare_key: ClassVar = "count"
    examples: ClassVar = {"count": "count: 3"}

    count: Annotated[
        PositiveCount, AfterValidator(_not_too_many), WithJsonSchema({**whole(1), "maximum": MOST})
    ]
    """How many there are; each is a resource with a ``service.instance.id`` of its own."""
    weights: Annotated[
        dict[InstanceNumber, Weight], entries_such_as("weights: {3: 10}", "numbers to weights")
    ] = Field(default_factory=dict)
    """How many requests some of them get, by their numbers from 1; the others have weight 1."""
    restart_every: Annotated[Period, AfterValidator(_not_too_often)] | None = None
    """How long each lives before another one takes its place; they restart one by one."""

    @field_validator("weights")
    @classmethod
    def _of_some_instance(cls, weights: dict[int, float], info: ValidationInfo) -> dict[int, float]:
        count = info.data.get("count", MOST)
        mistakes = [
            Mistake(
                "unknown-instance",
                no_such(str(number), count),
                path=(str(number),),
                at_key=True,
                complete=True,
            )
            for number in weights
            if number > count
        ]
        if mistakes:
            raise Mistakes(mistakes)
        return weights


class InstanceOverride(Part):
    """What a scenario changes on one instance."""

    title: ClassVar[str] = "instance's override"

    duration: DurationDistribution | None = None
    """In place of the operation's and its variants', as a whole."""
    error_rate: Share | None = None
    """In place of the operation's and its variants'; 0 counts."""


def _known_placeholders(written: str) -> str:
    unknown = [name for name in PLACEHOLDER.findall(written) if name not in PLACEHOLDERS]
    if unknown:
        allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        message = f"has an unknown placeholder {quoted('{' + unknown[0] + '}')}; allowed: {allowed}"
        raise Mistake("unknown-word", message)
    return written


_UNKNOWN: Final = rf"\{{(?!(?:{'|'.join(PLACEHOLDERS)})\}})[^{{}}]+\}}"

InstanceText = Annotated[
    TextValue,
    AfterValidator(_known_placeholders),
    WithJsonSchema({**TEXT_VALUE, "not": {"type": "string", "pattern": _UNKNOWN}}),
]
"""A text that may differ from instance to instance: ``cart-{n}``."""
InstanceAttributes = Annotated[dict[ResourceKey, InstanceText], BeforeValidator(entries_of)]
