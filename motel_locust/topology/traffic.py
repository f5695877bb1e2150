"""How much traffic arrives, and where."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from motel_locust.topology.diagnostics import Mistake, Mistakes
from motel_locust.topology.document import Items
from motel_locust.topology.kinds import (
    EMPTY_IS_UNSET,
    Duration,
    Multiplier,
    Period,
    Rate,
    entries_of,
    items_of,
    number,
    one_of,
    typed,
)
from motel_locust.topology.part import Part
from motel_locust.topology.patterns import given, has, not_both, rule
from motel_locust.topology.quantities import format_duration

Pattern = Literal["uniform", "diurnal", "bursty", "custom"]
Arrivals = Literal["paced", "poisson"]

_PATTERN_OF: Final = {
    "burst_multiplier": "bursty",
    "burst_interval": "bursty",
    "burst_duration": "bursty",
    "peak_multiplier": "diurnal",
    "trough_multiplier": "diurnal",
    "period": "diurnal",
    "segments": "custom",
}
_DEFAULTS: Final[dict[str, Any]] = {
    "burst_multiplier": 5.0,
    "burst_interval": "5m",
    "burst_duration": "30s",
    "peak_multiplier": 1.5,
    "trough_multiplier": 0.5,
    "period": "24h",
    "segments": (),
}


class Segment(Part):
    """A stretch of a custom pattern."""

    title: ClassVar[str] = "segment"
    examples: ClassVar = {"until": "until: 5m", "rate": "rate: 10/s"}

    until: Duration
    """Its end, since the start of the run."""
    rate: Rate
    """The rate itself, not a factor."""


def _weight(value: object) -> float:
    weight = 0.0 if value is None or getattr(value, "null", False) else number(value)
    if weight <= 0:
        raise Mistake("out-of-range", f"weight {weight:g} is not above 0")
    return weight


Weight = Annotated[
    float, BeforeValidator(_weight), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
]


def _unset() -> Any:
    # The default is filled in by Traffic._belongs_to_its_pattern, which must see what was written.
    return Field(default=None, validate_default=True)


class Traffic(Part):
    """The rate at which traces begin, as a function of the time since the start of the run."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                *(
                    rule(
                        given(key, "", 0, []), has("pattern", pattern), f"needs pattern: {pattern}"
                    )
                    for key, pattern in _PATTERN_OF.items()
                ),
                rule(
                    has("pattern", "custom"),
                    given("segments", []),
                    "pattern custom needs at least one of segments",
                ),
                not_both(
                    given("overlay"),
                    {"properties": {"overlay": given("overlay")}},
                    "one level of overlay is allowed",
                ),
            ]
        }
    )

    title: ClassVar[str] = "traffic"
    examples: ClassVar = {"rate": "rate: 10/s"}

    rate: Rate
    """The base rate; with ``custom``, the rate after the last segment."""
    pattern: Annotated[Pattern, one_of(Pattern), EMPTY_IS_UNSET] = "uniform"
    """How the rate changes with time."""
    burst_multiplier: Multiplier = _unset()
    """``bursty``: the factor inside a burst, 5 unless set."""
    burst_interval: Period = _unset()
    """``bursty``: from one burst's start to the next, 5 m unless set."""
    burst_duration: Period = _unset()
    """``bursty``: how long a burst lasts, 30 s unless set."""
    peak_multiplier: Multiplier = _unset()
    """``diurnal``: the greatest factor, 1.5 unless set."""
    trough_multiplier: Multiplier = _unset()
    """``diurnal``: the least factor, 0.5 unless set."""
    period: Period = _unset()
    """``diurnal``: from trough to trough, 24 h unless set."""
    segments: Annotated[tuple[Segment, ...], BeforeValidator(items_of)] = _unset()
    """``custom``: the rates until given times, sorted by their ends."""
    overlay: "Traffic | None" = None
    """A second traffic whose rate, as a multiple of its own base, scales this one."""
    roots: Annotated[
        dict[str, Weight] | None,
        BeforeValidator(entries_of),
    ] = Field(default=None, json_schema_extra={"minProperties": 1})
    """The operations at which traces begin, with weights; unset: every uncalled one, equally."""
    arrivals: Annotated[Arrivals | None, one_of(Arrivals), EMPTY_IS_UNSET] = None
    """Evenly spaced (``paced``, the default) or a Poisson process."""

    @field_validator(*_PATTERN_OF, mode="before")
    @classmethod
    def _belongs_to_its_pattern(cls, value: Any, info: ValidationInfo) -> Any:
        field = str(info.field_name)
        if _is_unset(field, value):
            return _DEFAULTS[field]
        wanted = _PATTERN_OF[field]
        # A wrong pattern is a mistake of its own, and not in the data.
        if info.data.get("pattern", wanted) != wanted:
            raise Mistake("conflicting-keys", f"needs pattern: {wanted}")
        return value

    @field_validator("burst_duration")
    @classmethod
    def _bursts_end(cls, duration: int, info: ValidationInfo) -> int:
        interval = info.data.get("burst_interval")
        if info.data.get("pattern") == "bursty" and interval is not None and duration >= interval:
            shown = (
                _named(format_duration(duration), "30s"),
                _named(format_duration(interval), "5m"),
            )
            raise Mistake("out-of-range", f"{shown[0]} is not below burst_interval {shown[1]}")
        return duration

    @field_validator("trough_multiplier")
    @classmethod
    def _peak_above_trough(cls, trough: float, info: ValidationInfo) -> float:
        peak = info.data.get("peak_multiplier", trough)
        if info.data.get("pattern") == "diurnal" and peak < trough:
            shown = _named(f"{trough:g}", "0.5"), _named(f"{peak:g}", "1.5")
            raise Mistake("out-of-range", f"{shown[0]} is above peak_multiplier {shown[1]}")
        return trough

    @field_validator("segments")
    @classmethod
    def _in_order(cls, segments: tuple[Segment, ...], info: ValidationInfo) -> tuple[Segment, ...]:
        if info.data.get("pattern") == "custom" and not segments:
            message = "is missing: pattern custom needs at least one; "
            raise Mistake("missing-key", f"{message}write [{{until: 5m, rate: 10/s}}]")
        ends: dict[int, int] = {}
        mistakes = []
        for index, segment in enumerate(segments):
            first = ends.setdefault(segment.until, index)
            if first != index:
                message = f"{format_duration(segment.until)} is the end of segment {first} already"
                mistakes.append(Mistake("duplicate-name", message, path=(index, "until")))
        if mistakes:
            raise Mistakes(mistakes)
        return tuple(sorted(segments, key=lambda segment: segment.until))

    @field_validator("overlay")
    @classmethod
    def _one_level(cls, overlay: "Traffic | None") -> "Traffic | None":
        if overlay is not None and overlay.overlay is not None:
            message = "is inside an overlay; one level is allowed"
            raise Mistake("conflicting-keys", message, path=("overlay",), at_key=True)
        return overlay

    @field_validator("roots")
    @classmethod
    def _some_root(cls, roots: dict[str, float] | None) -> dict[str, float] | None:
        if roots == {}:
            raise Mistake("missing-key", "is empty; write {service.operation: 1} or leave it out")
        return roots


def _is_unset(field: str, value: Any) -> bool:
    if value is None:
        return True
    if field == "segments":
        return not (value.present if isinstance(value, Items) else value)
    plain = typed(value)
    return field.endswith("_multiplier") and not isinstance(plain, bool) and plain == 0


def _named(shown: str, default: str) -> str:
    return f"{shown} (the default)" if shown == default else shown
