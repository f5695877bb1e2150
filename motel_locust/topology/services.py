"""Services, their operations, and the calls between them."""

from typing import Annotated, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from motel_locust.topology.baggage import Baggage
from motel_locust.topology.diagnostics import Mistake, Mistakes, quoted
from motel_locust.topology.generators import Attributes
from motel_locust.topology.instances import (
    INSTANCE_ID,
    InstanceAttributes,
    Instances,
    ResourceAttributes,
)
from motel_locust.topology.kinds import (
    EMPTY_IS_UNSET,
    Count,
    Delay,
    Duration,
    DurationDistribution,
    Flag,
    Multiplier,
    Name,
    Period,
    PositiveCount,
    Probability,
    Ref,
    Share,
    Text,
    TextValue,
    entries_of,
    items_of,
    one_of,
)
from motel_locust.topology.part import Part
from motel_locust.topology.patterns import given, has, not_both, rule, whole
from motel_locust.topology.signals import Events, Links, Logs, Metrics
from motel_locust.topology.variants import Variants

CallStyle = Literal["parallel", "sequential"]
CallCondition = Literal["on-error", "on-success"]


class Call(Part):
    """A call to another operation; a bare ref may stand for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                rule(
                    given("retry_backoff", ""),
                    {"required": ["retries"], "properties": {"retries": whole(1)}},
                    "retry_backoff needs retries of 1 or more",
                ),
                *(
                    not_both(has("async", True), other, f"async and {key} exclude each other")
                    for key, other in (
                        ("retries", given("retries", 0)),
                        ("timeout", given("timeout", "")),
                        ("producer", has("producer", True)),
                    )
                ),
            ]
        }
    )

    title: ClassVar[str] = "call"
    bare_key: ClassVar = "target"
    examples: ClassVar = {"target": "target: database.query"}

    target: Ref
    """The operation that is called."""
    probability: Probability = 1.0
    """How often the call is made at all; 0 counts as unset."""
    condition: Annotated[CallCondition | None, one_of(CallCondition), EMPTY_IS_UNSET] = None
    """Makes the call depend on the caller's own error."""
    count: Count = 1
    """How many calls are made at a time; 0 counts as unset."""
    timeout: Period | None = None
    """How long the caller waits."""
    retries: Count = 0
    """How many more attempts a failed call gets."""
    retry_backoff: Delay = 0
    """The pause before each retry."""
    detached: Flag = Field(default=False, alias="async")
    """Fire and forget: the caller does not wait, and does not fail."""
    producer: Flag = False
    """Makes the called span one of kind PRODUCER."""
    network: DurationDistribution | None = None
    """With paired spans, the time on the network, both ways together; unset, the topology's."""

    @field_validator("probability", "count")
    @classmethod
    def _zero_is_unset(cls, value: float) -> float:
        return value or 1

    @field_validator("retry_backoff")
    @classmethod
    def _backoff_needs_retries(cls, backoff: int, info: ValidationInfo) -> int:
        if info.data.get("retries", 1) < 1:
            raise Mistake("incomplete-keys", "needs retries of 1 or more")
        return backoff

    @field_validator("detached")
    @classmethod
    def _nobody_waits(cls, detached: bool, info: ValidationInfo) -> bool:
        mistakes = []
        if detached and info.data.get("retries", 0) > 0:
            message = "and retries exclude each other: a caller that does not wait cannot retry"
            mistakes.append(Mistake("conflicting-keys", message))
        if detached and info.data.get("timeout") is not None:
            message = "and timeout exclude each other: a caller that does not wait cannot time out"
            mistakes.append(Mistake("conflicting-keys", message))
        if mistakes:
            raise Mistakes(mistakes)
        return detached

    @field_validator("producer")
    @classmethod
    def _one_side_of_a_message(cls, producer: bool, info: ValidationInfo) -> bool:
        if producer and info.data.get("detached"):
            raise Mistake("conflicting-keys", "and async exclude each other: write one of them")
        return producer


Calls = Annotated[tuple[Call, ...], BeforeValidator(items_of)]


class Backpressure(Part):
    """How an operation slows down and fails more while its spans take too long."""

    title: ClassVar[str] = "backpressure"
    examples: ClassVar = {"latency_threshold": "latency_threshold: 200ms"}

    latency_threshold: Duration
    """The average span duration above which it acts; 0 or less switches it off."""
    duration_multiplier: Multiplier = 0.0
    """Multiplies the mean duration; from 0 to 1 nothing changes, above 10 it acts as 10."""
    error_rate_add: Share = 0.0
    """Added to the error rate."""


class CircuitBreaker(Part):
    """How an operation refuses requests after too many failures."""

    title: ClassVar[str] = "circuit_breaker"
    examples: ClassVar = {
        "failure_threshold": "failure_threshold: 5",
        "window": "window: 30s",
        "cooldown": "cooldown: 10s",
    }

    failure_threshold: PositiveCount
    """How many failures open it."""
    window: Duration
    """Within what time; 0 or less: failures never expire."""
    cooldown: Duration
    """How long it stays open; 0 or less: the next request is a probe."""


class Operation(Part):
    """One thing that a service does; every run of it is a span."""

    title: ClassVar[str] = "operation"
    examples: ClassVar = {"duration": "duration: 30ms +/- 10ms"}

    duration: DurationDistribution
    """The operation's own work, without its calls."""
    error_rate: Share = 0.0
    """The chance of an error of its own."""
    call_style: Annotated[CallStyle, one_of(CallStyle), EMPTY_IS_UNSET] = "parallel"
    """Whether calls start together or one after the other."""
    calls: Calls = ()
    """What it calls."""
    domain: Text | None = Field(default=None, examples=["http", "db", "messaging.kafka"])
    """The group of the semantic conventions that its spans take attributes from; its own win."""
    attributes: Attributes = Field(default_factory=dict)
    """Attributes of its spans."""
    events: Events = ()
    """What happens on each of its spans."""
    links: Links = ()
    """To which operations' spans its spans link."""
    baggage: Baggage = Field(default_factory=dict)
    """Baggage of its spans and all below; entries win over the service's."""
    baggage_as_attributes: Flag | None = None
    """Whether spans show the baggage they see; unset, as the service says."""
    variants: Variants = Field(default_factory=dict)
    """In which ways it goes, one chosen for each span."""
    metrics: Metrics = ()
    """Instruments that its spans feed."""
    logs: Logs = ()
    """Log records of its spans."""
    queue_depth: Count = 0
    """How many requests may be in progress; one more is rejected. 0 is unlimited."""
    backpressure: Backpressure | None = None
    """How it slows down under load."""
    circuit_breaker: CircuitBreaker | None = None
    """How it refuses requests after failures."""


class Service(Part):
    """A service: the resource of its telemetry, and what it can do."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                rule(
                    given("instance_attributes", {}),
                    given("instances"),
                    "instance_attributes needs instances",
                ),
                not_both(
                    given("instances"),
                    {
                        "required": ["resource_attributes"],
                        "properties": {"resource_attributes": {"required": [INSTANCE_ID]}},
                    },
                    f"every instance has a {INSTANCE_ID} of its own",
                ),
            ]
        }
    )

    title: ClassVar[str] = "service"
    examples: ClassVar = {"operations": "operations: {work: {duration: 10ms}}"}

    operations: Annotated[dict[str, Operation], BeforeValidator(entries_of)] = Field(
        json_schema_extra={"minProperties": 1}
    )
    """What it can do; a name becomes the name of the spans."""
    resource_attributes: ResourceAttributes = Field(default_factory=dict)
    """Attributes of its resource, besides ``service.name``; fixed texts."""
    instances: Instances | None = None
    """The processes that run it, each a resource; unset, it has one resource."""
    instance_attributes: InstanceAttributes = Field(default_factory=dict)
    """Attributes of its instances' resources; ``{n}`` stands for the number of each one."""
    attributes: Annotated[dict[Name, TextValue], BeforeValidator(entries_of)] = Field(
        default_factory=dict
    )
    """Attributes of all its spans; fixed texts."""
    baggage: Baggage = Field(default_factory=dict)
    """Baggage of all its spans and whatever lies below them."""
    baggage_as_attributes: Flag | None = None
    """Whether its spans show the baggage they see."""
    metrics: Metrics = ()
    """Instruments that all its spans feed."""
    logs: Logs = ()
    """Log records of all its spans."""

    @field_validator("operations")
    @classmethod
    def _does_something(cls, operations: dict[str, Operation]) -> dict[str, Operation]:
        if not operations:
            raise Mistake(
                "missing-key",
                f"is empty, a service needs at least one; write {cls.examples['operations']}",
            )
        return operations

    @field_validator("instances")
    @classmethod
    def _have_ids_of_their_own(
        cls, instances: Instances | None, info: ValidationInfo
    ) -> Instances | None:
        if instances is not None and INSTANCE_ID in info.data.get("resource_attributes", ()):
            message = f"and resource attribute {quoted(INSTANCE_ID)} exclude each other: every "
            message += "instance has one of its own; write it under instance_attributes, with {n}"
            raise Mistake("conflicting-keys", message)
        return instances

    @field_validator("instance_attributes")
    @classmethod
    def _belong_to_instances(
        cls, attributes: dict[str, str], info: ValidationInfo
    ) -> dict[str, str]:
        if attributes and info.data.get("instances", 1) is None:
            raise Mistake("incomplete-keys", "needs instances; write for example instances: 3")
        return attributes
