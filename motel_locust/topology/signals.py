"""What an operation tells besides its span: events, links, metrics and logs."""

import re
from typing import Annotated, ClassVar, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from motel_locust.topology.diagnostics import Mistake, Mistakes, quoted, with_article
from motel_locust.topology.generators import Attributes, Constant
from motel_locust.topology.kinds import (
    EMPTY_IS_UNSET,
    BucketLimit,
    BucketScale,
    Delay,
    Flag,
    Number,
    NumberDistribution,
    Period,
    Probability,
    Ref,
    Text,
    items_of,
    one_of,
)
from motel_locust.topology.part import Part
from motel_locust.topology.patterns import OFF, any_case, given, has, not_both, rule

MetricType = Literal["counter", "updowncounter", "histogram", "exponential_histogram", "gauge"]
Severity = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
Outcome = Literal["error", "success", "slow"]
Edge = Literal["start", "end"]

# OpenTelemetry's rule for instrument names, metrics API specification, "Instrument name syntax".
_INSTRUMENT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,254}")


class Event(Part):
    """Something that happens once on every span of the operation."""

    title: ClassVar[str] = "event"
    examples: ClassVar = {"name": "name: cache.miss"}

    name: Text
    """What happened."""
    delay: Delay = 0
    """When, after the span's start; it may lie beyond the span's end."""
    attributes: Attributes = Field(default_factory=dict)
    """Attributes of the event."""


class Link(Part):
    """A link to the latest span of another operation; a bare ref may stand for it."""

    title: ClassVar[str] = "link"
    bare_key: ClassVar = "ref"
    examples: ClassVar = {"ref": "ref: orders.publish"}

    ref: Ref
    """The other operation."""
    attributes: Attributes = Field(default_factory=dict)
    """Attributes of the link."""


def _instrument_name(name: str) -> str:
    if not _INSTRUMENT_NAME.fullmatch(name):
        raise Mistake(
            "invalid-name",
            f"{quoted(name)} is no instrument name; write a letter, then letters, digits, "
            "_ . - or /, at most 255 characters",
        )
    return name


class Metric(Part):
    """An instrument, fed by the spans of its service or operation, or by values of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                rule(has("type", "gauge"), given("value", ""), "a gauge needs value"),
                not_both(has("type", "gauge"), given("interval", ""), "a gauge has no interval"),
                rule(given("interval", ""), given("value", ""), "interval needs value"),
                *(
                    rule(given(key, ""), has("type", "gauge"), f"{key} fits a gauge only")
                    for key in ("walk", "min", "max")
                ),
                *(
                    rule(
                        given(key, ""),
                        has("type", "exponential_histogram"),
                        f"{key} fits an exponential_histogram only",
                    )
                    for key in ("max_size", "max_scale")
                ),
                rule(
                    has("errors_only", True),
                    has("type", "counter"),
                    "errors_only fits a counter only",
                ),
                rule(
                    {"allOf": [has("type", "updowncounter"), {"not": given("value", "")}]},
                    {
                        "properties": {
                            "attributes": {"additionalProperties": {"required": ["value"]}}
                        }
                    },
                    "start and end of a span must count on the same series: attributes by value",
                ),
                not_both(
                    has("errors_only", True),
                    given("interval", ""),
                    "errors_only and interval exclude each other",
                ),
            ]
        }
    )

    title: ClassVar[str] = "metric"
    examples: ClassVar = {
        "name": "name: orders.placed",
        "type": "type: counter (or updowncounter, histogram, exponential_histogram, gauge)",
    }

    name: Annotated[
        Text,
        AfterValidator(_instrument_name),
        WithJsonSchema({"type": "string", "pattern": f"^{_INSTRUMENT_NAME.pattern}$"}),
    ]
    """The instrument's name, unique within the service."""
    type: Annotated[MetricType, one_of(MetricType), EMPTY_IS_UNSET]
    """The kind of instrument."""
    unit: Text = ""
    """The unit, free; histograms of spans know ``s``, ``us``, ``ns``, else milliseconds."""
    value: NumberDistribution | None = Field(default=None, validate_default=True)
    """The values recorded; unset, the metric measures the spans themselves."""
    interval: Period | None = None
    """Records by time, once per so much, in place of once per span."""
    walk: Period | None = None
    """Makes a gauge a mean-reverting random walk with this time scale."""
    min: Number | None = None
    """The least value of a gauge."""
    max: Number | None = None
    """The greatest value of a gauge."""
    max_size: BucketLimit = 160
    """The most buckets of either sign that a point of an exponential histogram has."""
    max_scale: BucketScale = 20
    """The finest scale of an exponential histogram: 2 to its power buckets for each octave."""
    errors_only: Flag = False
    """Counts only spans that are errors."""
    attributes: Attributes = Field(default_factory=dict)
    """Attributes of every measurement."""

    @field_validator("value")
    @classmethod
    def _gauges_have_values(
        cls, value: NumberDistribution | None, info: ValidationInfo
    ) -> NumberDistribution | None:
        if value is None and info.data.get("type") == "gauge":
            message = "is missing: a gauge cannot come from spans; write for example value: 0.65"
            raise Mistake("missing-key", message)
        return value

    @field_validator("interval")
    @classmethod
    def _intervals_have_values(cls, interval: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("type") == "gauge":
            message = "does not fit a gauge, which is sampled at each collection"
            raise Mistake("conflicting-keys", message)
        if info.data.get("value", interval) is None:
            message = "needs value: a metric without value follows the spans"
            raise Mistake("incomplete-keys", message)
        return interval

    @field_validator("walk", "min", "max")
    @classmethod
    def _only_gauges(cls, value: float, info: ValidationInfo) -> float:
        metric_type = info.data.get("type", "gauge")
        if metric_type != "gauge":
            message = f"fits a gauge only, not {with_article(metric_type)}"
            raise Mistake("conflicting-keys", message)
        least = info.data.get("min")
        if info.field_name == "max" and least is not None and not least < value:
            raise Mistake("out-of-range", f"{value:g} is not above min {least:g}")
        return value

    @field_validator("max_size", "max_scale")
    @classmethod
    def _only_exponential_histograms(cls, value: int, info: ValidationInfo) -> int:
        metric_type = info.data.get("type", "exponential_histogram")
        if metric_type != "exponential_histogram":
            message = f"fits an exponential_histogram only, not {with_article(metric_type)}"
            raise Mistake("conflicting-keys", message)
        return value

    @field_validator("errors_only")
    @classmethod
    def _only_counters(cls, errors_only: bool, info: ValidationInfo) -> bool:
        metric_type = info.data.get("type", "counter")
        if errors_only and metric_type != "counter":
            message = f"fits a counter only, not {with_article(metric_type)}"
            raise Mistake("conflicting-keys", message)
        if errors_only and info.data.get("interval") is not None:
            raise Mistake("conflicting-keys", "and interval exclude each other")
        return errors_only

    @field_validator("attributes")
    @classmethod
    def _start_and_end_agree(cls, attributes: Attributes, info: ValidationInfo) -> Attributes:
        derived = info.data.get("value", 0) is None
        if derived and info.data.get("type") == "updowncounter":
            drawn = [key for key, made in attributes.items() if not isinstance(made, Constant)]
            message = "must be made by value: start and end of a span must count on the same series"
            if drawn:
                raise Mistakes(Mistake("conflicting-keys", message, path=(key,)) for key in drawn)
        return attributes


class Log(Part):
    """A log record for the spans of its service or operation."""

    title: ClassVar[str] = "log"
    examples: ClassVar = {
        "severity": "severity: INFO (or TRACE, DEBUG, WARN, ERROR, FATAL)",
        "body": 'body: "order {order.id} placed"',
    }

    severity: Annotated[
        Severity,
        one_of(Severity, any_case=True),
        EMPTY_IS_UNSET,
        WithJsonSchema(any_case(*get_args(Severity))),
    ]
    """The severity; any case is read, capitals are kept."""
    body: Text
    """The text; ``{name}`` is replaced by the attribute of that name."""
    condition: Annotated[Outcome | None, one_of(Outcome), EMPTY_IS_UNSET] = None
    """Which spans have the record; unset, all of them."""
    probability: Probability = 1.0
    """How many of those spans; 0 is none."""
    at: Annotated[Edge, one_of(Edge), EMPTY_IS_UNSET] = "start"
    """The end of the span at which the record is made."""
    delay: Delay = 0
    """How much later."""
    attributes: Attributes = Field(default_factory=dict)
    """Attributes of the record."""


class MetricOverride(Part):
    """The values that a metric records while a scenario is active."""

    title: ClassVar[str] = "metric override"
    examples: ClassVar = {"value": "value: 0.9 +/- 0.05"}

    value: NumberDistribution
    """In place of the metric's own value."""


class LogOverride(Part):
    """What a scenario does to the logs of a service or operation while it is active."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["add"], "properties": {"add": {"type": "array", "minItems": 1}}},
                {"required": ["disable"], "properties": {"disable": {"not": {"enum": OFF}}}},
            ],
            "errorMessage": "needs add, or disable: true",
        }
    )

    title: ClassVar[str] = "log override"

    add: Annotated[tuple[Log, ...], BeforeValidator(items_of)] = ()
    """Further records."""
    disable: Flag = False
    """Mutes the other records, derived ones included."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.add and not self.disable:
            raise Mistake("incomplete-keys", "needs add, or disable: true")
        return self


Events = Annotated[tuple[Event, ...], BeforeValidator(items_of)]
Links = Annotated[tuple[Link, ...], BeforeValidator(items_of)]
Metrics = Annotated[tuple[Metric, ...], BeforeValidator(items_of)]
Logs = Annotated[tuple[Log, ...], BeforeValidator(items_of)]
