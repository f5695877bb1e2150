"""The topology language: what may be written, and what it means.

The models are the reference of the language. Times are nanoseconds, ratios are from 0 to 1, and a
ref is ``service.operation``. Names and references between the parts are checked by
:mod:`motel_locust.topology.rules`, when a file is read.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from motel_locust.topology import kinds
from motel_locust.topology.diagnostics import Mistake
from motel_locust.topology.generators import (
    Attributes,
    Chance,
    Choice,
    Constant,
    Generator,
    Normal,
    Range,
    Rows,
    Sequence,
    Texts,
    Value,
)
from motel_locust.topology.instances import InstanceOverride, Instances
from motel_locust.topology.kinds import (
    EMPTY_IS_UNSET,
    Text,
    entries_of,
    items_of,
    one_of,
    text,
    unknown_word,
    whole_number,
)
from motel_locust.topology.part import Part
from motel_locust.topology.percentiles import PercentileDistribution
from motel_locust.topology.quantities import DurationDistribution, NumberDistribution, Rate
from motel_locust.topology.scenarios import Override, Scenario
from motel_locust.topology.services import (
    Backpressure,
    Call,
    CircuitBreaker,
    Operation,
    Service,
)
from motel_locust.topology.signals import (
    Event,
    Link,
    Log,
    LogOverride,
    Metric,
    MetricOverride,
)
from motel_locust.topology.tables import Table
from motel_locust.topology.traffic import Segment, Traffic
from motel_locust.topology.variants import Variant, VariantOverride

__all__ = [
    "Attributes",
    "Backpressure",
    "Call",
    "Chance",
    "Choice",
    "CircuitBreaker",
    "Constant",
    "DurationDistribution",
    "Event",
    "Generator",
    "InstanceOverride",
    "Instances",
    "Link",
    "Log",
    "LogOverride",
    "Metric",
    "MetricOverride",
    "Normal",
    "NumberDistribution",
    "Operation",
    "Override",
    "PercentileDistribution",
    "Range",
    "Rate",
    "Rows",
    "Scenario",
    "Segment",
    "Sequence",
    "Service",
    "Table",
    "Texts",
    "Topology",
    "Traffic",
    "Value",
    "Variant",
    "VariantOverride",
    "Version",
]


def _version(value: object) -> int:
    version = whole_number(value)
    if version != 1:
        raise Mistake("unsupported-version", f"{version} is not supported; write version: 1")
    return version


def _mode(value: object) -> str:
    written = text(value)
    if written != "replay":
        message = f"{unknown_word(written, ('replay',))}; leave it out to generate"
        raise Mistake("unknown-word", message)
    return written


Version = Annotated[int, BeforeValidator(_version)]
"""The version that a file is written in: 1."""

SpanStyle = Literal["single", "paired"]


class Topology(Part):
    """A distributed system and the traffic that arrives at it."""

    title: ClassVar[str] = "topology"
    examples: ClassVar = {"version": "version: 1"}

    version: Version
    """The version of the language, 1."""
    mode: Annotated[Literal["replay"] | None, BeforeValidator(_mode), EMPTY_IS_UNSET] = None
    """``replay`` sends recorded traces again; unset, traces are generated."""
    recording: Text | None = Field(default=None, validate_default=True)
    """The file of recorded traces, for ``replay``."""
    services: Annotated[dict[str, Service], BeforeValidator(entries_of)] = Field(
        default={}, validate_default=True
    )
    """The services by name."""
    traffic: Traffic | None = Field(default=None, validate_default=True)
    """How much traffic arrives; unset in a replay only."""
    scenarios: Annotated[tuple[Scenario, ...], BeforeValidator(items_of)] = ()
    """What changes for a while."""
    spans: Annotated[SpanStyle, one_of(SpanStyle), EMPTY_IS_UNSET] = "single"
    """Whether a call to another service is one span, or a pair of them, one on each side."""
    network: kinds.DurationDistribution | None = None
    """With paired spans, how long the network takes for a call, both ways together; unset, 1ms."""

    @classmethod
    def read_fields(cls, value: object) -> dict[str, Any]:
        """Return the fields without keys beginning ``x-``, a place for YAML anchors."""
        fields = super().read_fields(value)
        return {key: inner for key, inner in fields.items() if not key.startswith("x-")}

    @field_validator("recording")
    @classmethod
    def _replays_something(cls, recording: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("mode") == "replay" and recording is None:
            message = "is missing: a replay needs the path of one; write recording: traces.jsonl"
            raise Mistake("missing-key", message)
        return recording

    @field_validator("services")
    @classmethod
    def _some_service(
        cls, services: dict[str, Service], info: ValidationInfo
    ) -> dict[str, Service]:
        if not services and info.data.get("mode", "") is None:
            example = "services: {web: {operations: {get: {duration: 10ms}}}}"
            raise Mistake("missing-key", f"is missing, at least one is needed; write {example}")
        return services

    @field_validator("traffic")
    @classmethod
    def _some_traffic(cls, traffic: Traffic | None, info: ValidationInfo) -> Traffic | None:
        if traffic is None and info.data.get("mode", "") is None:
            raise Mistake("missing-key", "is missing; write traffic: {rate: 10/s}")
        return traffic
