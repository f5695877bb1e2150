"""The kinds of scalar that fields of a topology hold, as annotated types.

A value is a :class:`Scalar` of a YAML file, or a plain Python value where a program builds a
topology. Whatever does not fit raises :class:`Mistake`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from motel_locust.topology import patterns, quantities, scalars
from motel_locust.topology.diagnostics import Mistake, Step, listed, quoted
from motel_locust.topology.document import Entries, Items, Scalar, is_null
from motel_locust.topology.percentiles import PercentileDistribution, percentile_distribution

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_YES: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_NO: Final = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})


@dataclass(frozen=True, slots=True)
class UnsetText:
    """Marks a field for which a certain text counts as a missing key."""

    blanks: bool
    """Whether blanks alone do so too, not only the empty text."""

    def matches(self, value: object) -> bool:
        """Return whether *value* is such a text."""
        written = value.text if isinstance(value, Scalar) else value
        return isinstance(written, str) and (written.strip() if self.blanks else written) == ""


EMPTY_IS_UNSET: Final = UnsetText(blanks=False)
BLANK_IS_UNSET: Final = UnsetText(blanks=True)


def unset_text(metadata: Iterable[Any], annotation: Any) -> UnsetText | None:
    """Return the mark of a field with this *metadata* and *annotation*, if it has one."""
    for item in metadata:
        if isinstance(item, UnsetText):
            return item
    for option in get_args(annotation):  # a field that may be None
        for item in getattr(option, "__metadata__", ()):
            if isinstance(item, UnsetText):
                return item
    return None


def described(value: object) -> str:
    """Return what *value* is, in the words of the language."""
    if isinstance(value, Entries | Mapping):
        return "a mapping"
    if isinstance(value, Items | list | tuple):
        return "a list"
    plain = typed(value)
    if plain is None:
        return "nothing"
    if isinstance(plain, bool):
        return f"the flag {str(plain).lower()}"
    if isinstance(plain, int | float):
        return f"the number {value.text if isinstance(value, Scalar) else plain}"
    return f"the text {quoted(value.text if isinstance(value, Scalar) else str(plain))}"


def typed(value: Any) -> Any:
    """Return *value* as its form says what it is; lists and mappings as they are."""
    return scalars.resolve(value) if isinstance(value, Scalar) else value


def wrong_type(value: object, wanted: str, path: tuple[Step, ...] = ()) -> Mistake:
    """Return the mistake that *value* is of another kind than *wanted*."""
    return Mistake("wrong-type", f"must be {wanted}, found {described(value)}", path=path)


def text(value: object) -> str:
    """Return a scalar as it is written."""
    if isinstance(value, Scalar):
        return "" if value.null else value.text
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Entries | Mapping):
        message = "must be a text, found a mapping; quote a text that begins with {"
        raise Mistake("wrong-type", message)
    raise wrong_type(value, "a text")


def number(value: object) -> float:
    """Return a finite number."""
    return float(_finite(value, "a number such as 0.5"))


def whole_number(value: object) -> int:
    """Return a whole number that fits 64 bits signed."""
    plain = _finite(value, "a whole number")
    if plain != int(plain):
        raise Mistake("invalid-number", f"{text(value)} is not a whole number")
    if not _INT64_MIN <= plain <= _INT64_MAX:
        raise Mistake("out-of-range", f"{text(value)} does not fit 64 bits")
    return int(plain)


def _finite(value: object, wanted: str) -> int | float:
    plain = typed(value)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        message = f"must be {wanted}, found {described(value)}{_unquoted(plain)}"
        raise Mistake("wrong-type", message)
    if not math.isfinite(plain):
        raise Mistake("invalid-number", f"{text(value)} is not a finite number")
    return plain


def _unquoted(plain: object) -> str:
    if not isinstance(plain, str):
        return ""
    try:
        share = quantities.parse_share(plain)
    except Mistake:
        return ""
    written = f"{share:g}" if plain.endswith("%") else plain.strip()
    return f"; write {written} without quotes" if written == plain else f"; write {written}"


def flag(value: object) -> bool:
    """Return true or false, from any of YAML's words for them."""
    plain = typed(value)
    if isinstance(plain, bool):
        return plain
    if plain in _YES:
        return True
    if plain in _NO:
        return False
    raise wrong_type(value, "true or false")


def any_value(value: object) -> str | bool | int | float:
    """Return an attribute's value: what OTLP has no type for becomes text in Go's print form."""
    if isinstance(value, Entries | Items):
        return scalars.printed(value)
    plain = typed(value)
    if isinstance(plain, bool | str):
        return plain
    if isinstance(plain, int):
        return plain if _INT64_MIN <= plain <= _INT64_MAX else str(plain)
    if isinstance(plain, float):
        return number(value)
    if plain is None or isinstance(plain, datetime):
        return scalars.print_value(plain)
    raise wrong_type(value, "a text, number or flag")


def one_of(words: Any, *, any_case: bool = False) -> BeforeValidator:
    """Return a validator for the texts of the ``Literal`` *words*, exactly as they are spelled.

    With *any_case*, the words are capitals and may be written in any case.
    """
    allowed = get_args(words)

    def word(value: object) -> str:
        written = text(value)
        found = written.upper() if any_case else written
        if found not in allowed:
            raise unknown_word(written, allowed)
        return found

    return BeforeValidator(word)


def unknown_word(written: str, allowed: tuple[str, ...]) -> Mistake:
    """Return the mistake that *written* is none of the *allowed* words."""
    near = next((word for word in allowed if word.lower() == written.strip().lower()), None)
    meant = f"; did you mean {near}?" if near else ""
    return Mistake("unknown-word", f"must be {listed(allowed)}, found {quoted(written)}{meant}")


def items_of(value: object, path: tuple[Step, ...] = ()) -> Any:
    """Return the items of a list, without those that are null."""
    if isinstance(value, Items):
        return value.present
    if isinstance(value, list | tuple):
        return [item for item in value if item is not None]
    raise wrong_type(value, "a list", path)


def entries_of(value: object, path: tuple[Step, ...] = ()) -> Any:
    """Return the entries of a mapping by name, without null keys."""
    if isinstance(value, Entries):
        return value.named
    if isinstance(value, Mapping):
        return dict(value)
    raise wrong_type(value, "a mapping", path)


def pairs_of(value: object) -> Any:
    """Return the entries of a mapping whose keys are values themselves, as pairs."""
    if isinstance(value, Entries):
        return value.entries
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, tuple):
        return value
    raise wrong_type(value, "a mapping of values to weights, such as {GET: 3, POST: 1}")


def parsed(parse: Callable[[str], Any], instances: type | tuple[()] = ()) -> BeforeValidator:
    """Return a validator that reads a text with *parse*; *instances* of its result may stay."""

    def read(value: object) -> Any:
        return value if isinstance(value, instances) else parse(text(value))

    return BeforeValidator(read)


def _at_least(least: int) -> AfterValidator:
    def check(value: int) -> int:
        if value < least:
            raise Mistake("out-of-range", f"{value} is below {least}; write {least} or more")
        return value

    return AfterValidator(check)


def _within(least: int, greatest: int) -> AfterValidator:
    def check(value: int) -> int:
        if not least <= value <= greatest:
            raise Mistake("out-of-range", f"{value} is not from {least} to {greatest}")
        return value

    return AfterValidator(check)


def _not_negative(value: float) -> float:
    if value < 0:
        raise Mistake("out-of-range", f"{value:g} is negative; write 0 or more")
    return value


def _chance(value: float) -> float:
    if not 0 <= value <= 1:
        raise Mistake("out-of-range", f"{value:g} is not from 0 to 1")
    return value


def _delay(value: str) -> int:
    value_ns = quantities.parse_duration(value)
    if value_ns < 0:
        raise Mistake("out-of-range", f"{quoted(value)} is negative; write 0 or more")
    return value_ns


def _above_zero(value: str) -> int:
    value_ns = quantities.parse_duration(value)
    if value_ns <= 0:
        raise Mistake("out-of-range", f"{quoted(value)} is not above 0; write for example 30s")
    return value_ns


def _offset(value: str) -> int:
    return _delay(value.strip().removeprefix("+"))


def _with_dot(value: str) -> str:
    if "." not in value:
        message = f"{quoted(value)} is not of the form service.operation"
        raise Mistake("invalid-reference", message)
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise Mistake("empty-key", "needs a name", at_key=True)
    return value


def _plain(value: object, name: str) -> str:
    if isinstance(value, Entries | Mapping | Items | list | tuple):
        raise wrong_type(value, "a duration", path=(name,))
    return text(value)


def _duration_distribution(
    value: object,
) -> quantities.DurationDistribution | PercentileDistribution:
    if isinstance(value, quantities.DurationDistribution | PercentileDistribution):
        return value
    if isinstance(value, Entries | Mapping):
        entries: Mapping[str, object] = entries_of(value)
        return percentile_distribution(
            {name: _plain(inner, name) for name, inner in entries.items() if not is_null(inner)}
        )
    if isinstance(value, Items | list | tuple):
        raise wrong_type(value, "a text or a mapping of percentiles")
    return quantities.parse_duration_distribution(text(value))


Text = Annotated[str, BeforeValidator(text), EMPTY_IS_UNSET, WithJsonSchema(patterns.TEXT)]
"""A scalar as it is written: ``1.10`` stays ``1.10``."""
Name = Annotated[
    str, BeforeValidator(text), AfterValidator(_not_empty), WithJsonSchema(patterns.NAME)
]
"""The key of an attribute."""
Ref = Annotated[
    str,
    BeforeValidator(text),
    AfterValidator(_with_dot),
    EMPTY_IS_UNSET,
    WithJsonSchema(patterns.REF),
]
"""The name of an operation: ``service.operation``."""
TextValue = Annotated[str, BeforeValidator(text), WithJsonSchema(patterns.TEXT_VALUE)]
"""A value of a mapping of texts; it may be empty."""
Flag = Annotated[bool, BeforeValidator(flag), WithJsonSchema(patterns.FLAG)]
Number = Annotated[float, BeforeValidator(number)]
Multiplier = Annotated[
    float,
    BeforeValidator(number),
    AfterValidator(_not_negative),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Probability = Annotated[
    float,
    BeforeValidator(number),
    AfterValidator(_chance),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
"""A number from 0 to 1, never a text: ``0.5``, not ``50%``."""
WholeNumber = Annotated[
    int, BeforeValidator(whole_number), WithJsonSchema(patterns.whole(_INT64_MIN))
]
Count = Annotated[
    int, BeforeValidator(whole_number), _at_least(0), WithJsonSchema(patterns.whole(0))
]
PositiveCount = Annotated[
    int, BeforeValidator(whole_number), _at_least(1), WithJsonSchema(patterns.whole(1))
]
BucketLimit = Annotated[
    int,
    BeforeValidator(whole_number),
    _within(2, 1024),
    WithJsonSchema({"type": "integer", "minimum": 2, "maximum": 1024}),
]
"""A number of buckets: two can hold everything, and very many take much memory."""
BucketScale = Annotated[
    int,
    BeforeValidator(whole_number),
    _within(-10, 20),
    WithJsonSchema({"type": "integer", "minimum": -10, "maximum": 20}),
]
"""A scale of an exponential histogram, from two buckets in all to 2**20 for each octave."""

Duration = Annotated[
    int, parsed(quantities.parse_duration), EMPTY_IS_UNSET, WithJsonSchema(patterns.DURATION)
]
"""Nanoseconds of either sign, written ``1m30s``."""
Delay = Annotated[int, parsed(_delay), EMPTY_IS_UNSET, WithJsonSchema(patterns.DELAY)]
"""Nanoseconds, 0 or more."""
Period = Annotated[int, parsed(_above_zero), EMPTY_IS_UNSET, WithJsonSchema(patterns.PERIOD)]
"""Nanoseconds, above 0."""
Offset = Annotated[int, parsed(_offset), BLANK_IS_UNSET, WithJsonSchema(patterns.OFFSET)]
"""Nanoseconds since the start of the run, written ``+5m``."""
Share = Annotated[
    float,
    parsed(quantities.parse_share),
    EMPTY_IS_UNSET,
    WithJsonSchema(patterns.SHARE),
]
"""A ratio from 0 to 1, written ``5%`` or ``0.05``."""
Rate = Annotated[
    quantities.Rate,
    parsed(quantities.parse_rate, quantities.Rate),
    EMPTY_IS_UNSET,
    WithJsonSchema(patterns.RATE),
]
"""How many traces a second, minute or hour, written ``10/s``."""
DurationDistribution = Annotated[
    quantities.DurationDistribution | PercentileDistribution,
    BeforeValidator(_duration_distribution),
    BLANK_IS_UNSET,
    WithJsonSchema({"anyOf": [patterns.DURATION_DISTRIBUTION, patterns.PERCENTILES]}),
]
"""Durations: normally distributed, written ``30ms +/- 10ms``, or by percentiles, written
``{p50: 20ms, p99: 400ms}``."""
NumberDistribution = Annotated[
    quantities.NumberDistribution,
    parsed(quantities.parse_number_distribution, quantities.NumberDistribution),
    EMPTY_IS_UNSET,
    WithJsonSchema(patterns.NUMBER_DISTRIBUTION),
]
"""Normally distributed numbers, written ``0.65 +/- 0.1``."""
