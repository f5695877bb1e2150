"""How the value of an attribute is made: eight forms, told apart by their key."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from motel_locust.topology.diagnostics import Mistake, Mistakes, listed
from motel_locust.topology.document import Entries, Items, is_null
from motel_locust.topology.kinds import (
    Multiplier,
    Name,
    Number,
    PositiveCount,
    Probability,
    Text,
    WholeNumber,
    any_value,
    entries_of,
    items_of,
    pairs_of,
    whole_number,
)
from motel_locust.topology.part import Part, unknown_key
from motel_locust.topology.patterns import whole
from motel_locust.topology.scalars import print_value
from motel_locust.topology.spellings import (
    GREATEST_SKEW,
    LONGEST,
    MOST_DISTINCT,
    least_length,
)
from motel_locust.topology.tables import Table, name_of

Value = str | bool | int | float
"""An attribute's value; lists, mappings and timestamps have become text in Go's print form."""

_MAX_WEIGHTS: Final = 2**63 - 1


def _at_most(most: int) -> AfterValidator:
    def check(value: float) -> float:
        if value > most:
            raise Mistake("out-of-range", f"{value:,} is above {most:,}; write {most} or less")
        return value

    return AfterValidator(check)


class Form(Part):
    """One way to make an attribute's value."""

    title: ClassVar[str] = "attribute"


class Constant(Form):
    """Always the same value: ``{value: GET}``."""

    value: Annotated[Value, BeforeValidator(any_value), WithJsonSchema({"not": {"type": "null"}})]
    """Any YAML value, typed as it is written: ``200`` is a number, ``"200"`` a text."""


def _pair(pair: tuple[Any, Any]) -> tuple[Value, int]:
    """Return a value and its weight; a null weight counts as 0."""
    value = any_value(pair[0])
    try:
        weight = 0 if is_null(pair[1]) else whole_number(pair[1])
    except Mistake as mistake:
        message = f"weight of {print_value(value)}: {mistake}"
        raise Mistake(mistake.code, message, path=(1,), complete=True) from None
    if weight <= 0:
        message = f"weight {weight} of {print_value(value)} is not above 0"
        raise Mistake("out-of-range", message, path=(1,), complete=True)
    return value, weight


def _sum_fits(pairs: tuple[tuple[Value, int], ...]) -> tuple[tuple[Value, int], ...]:
    if sum(weight for _, weight in pairs) > _MAX_WEIGHTS:
        raise Mistake("out-of-range", "must have weights that add up to at most 2^63 - 1")
    return pairs


class Choice(Form):
    """One of several values, each with a weight: ``{values: {200: 97, 404: 2, 503: 1}}``."""

    values: Annotated[
        tuple[Annotated[tuple[Value, int], BeforeValidator(_pair)], ...],
        BeforeValidator(pairs_of),
        AfterValidator(_sum_fits),
        WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": whole(1)}),
    ]
    """Values and weights; a value is drawn with probability weight / sum of weights."""


class Sequence(Form):
    """A text with a running number: ``{sequence: "req-{n}"}``."""

    sequence: Text
    """Every ``{n}`` is replaced by the number."""


class Chance(Form):
    """True with a probability, else false: ``{probability: 0.7}``."""

    probability: Probability
    """From 0, never, to 1, always."""


class Range(Form):
    """A whole number, each equally likely: ``{range: [200, 9000]}``."""

    low: WholeNumber = Field(validation_alias=AliasChoices("low", AliasPath("range", 0)))
    """The least number, included."""
    high: WholeNumber = Field(validation_alias=AliasChoices("high", AliasPath("range", 1)))
    """The greatest number, included."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the key for both ends, beside the ends themselves."""
        return ("range", *super().keys())

    @classmethod
    def read_fields(cls, value: object) -> dict[str, Any]:
        """Return the two ends as a list."""
        fields = super().read_fields(value)
        if "range" in fields:
            ends = items_of(fields["range"], path=("range",))
            if len(ends) != 2:
                message = f"must be two numbers, least and greatest; found {len(ends)}"
                raise Mistake("out-of-range", message, path=("range",))
            fields["range"] = ends
        return fields

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            message = f"begins at {self.low}, above its end {self.high}"
            raise Mistake("out-of-range", message, path=("range",))
        return self


class Normal(Form):
    """A number, normally distributed: ``{distribution: {mean: 0.8, stddev: 0.1}}``."""

    mean: Number = Field(
        default=0.0, validation_alias=AliasChoices("mean", AliasPath("distribution", "mean"))
    )
    """The middle; what is drawn is neither rounded nor bounded."""
    stddev: Multiplier = Field(
        default=0.0, validation_alias=AliasChoices("stddev", AliasPath("distribution", "stddev"))
    )
    """The standard deviation."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the key for both parameters, beside the parameters themselves."""
        return ("distribution", *super().keys())

    @classmethod
    def read_fields(cls, value: object) -> dict[str, Any]:
        """Return the parameters as a mapping without nulls."""
        fields = super().read_fields(value)
        if "distribution" in fields:
            parameters = entries_of(fields["distribution"], path=("distribution",))
            unknown = [key for key in parameters if key not in ("mean", "stddev")]
            if unknown:
                raise Mistakes(
                    unknown_key(key, ("mean", "stddev"), "distribution", path=("distribution",))
                    for key in unknown
                )
            given = {key: inner for key, inner in parameters.items() if not is_null(inner)}
            del fields["distribution"]
            fields |= {"distribution": given} if given else {}
        return fields


class TextSet(Part):
    """Different texts of one length."""

    title: ClassVar[str] = "text"
    examples: ClassVar = {"length": "length: 40", "distinct": "distinct: 5000"}

    length: Annotated[
        PositiveCount,
        _at_most(LONGEST),
        WithJsonSchema(whole(1) | {"maximum": LONGEST}),
    ]
    """How many characters each of them has, at most 65,536."""
    distinct: Annotated[
        PositiveCount,
        _at_most(MOST_DISTINCT),
        WithJsonSchema(whole(1) | {"maximum": MOST_DISTINCT}),
    ]
    """How many there are, at most 10^12."""
    skew: Annotated[
        Multiplier,
        _at_most(GREATEST_SKEW),
        WithJsonSchema({"type": "number", "minimum": 0, "maximum": GREATEST_SKEW}),
    ] = 0.0
    """The exponent of Zipf's law: the k-th most frequent has the weight k^-skew; 0, all equal."""

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        least = least_length(self.distinct)
        if self.length < least:
            message = f"{self.length} is too short for {self.distinct:,} different texts; "
            message += f"write {least} or more"
            raise Mistake("out-of-range", message, path=("length",))
        return self


class Texts(Form):
    """One of many texts of one length: ``{text: {length: 40, distinct: 5000, skew: 1.1}}``."""

    text: TextSet
    """How long they are, how many there are, and how unevenly they come."""


class Cell(Part):
    """A column of a file of rows."""

    title: ClassVar[str] = "file of rows"
    examples: ClassVar = {"file": "file: customers.csv", "column": "column: name"}

    file: Text
    """A CSV file with a header, its path from the folder of the topology."""
    column: Text
    """The column that has the values."""
    weight: Text | None = None
    """The column that has the weights of the rows, one for all attributes from this file."""


class Rows(Form):
    """A row of a file: ``{rows: {file: customers.csv, column: name, weight: share}}``."""

    rows: Cell
    """The file and its columns; whatever a span takes from one file is of one row."""
    _table: Table | None = PrivateAttr(default=None)

    @property
    def table(self) -> Table:
        """The file's content."""
        assert self._table is not None, "rows need the topology's source"
        return self._table

    def filled(self, tables: Mapping[str, Table] | None) -> Self:
        """Return it with its table among *tables*, where they are known."""
        self._table = (tables or {}).get(name_of(self.rows.file))
        return self


_FORMS: Final[dict[str, type[Form]]] = {
    "value": Constant,
    "values": Choice,
    "sequence": Sequence,
    "probability": Chance,
    "range": Range,
    "distribution": Normal,
    "text": Texts,
    "rows": Rows,
}


def _generator(value: object, info: ValidationInfo) -> Form:
    """Return the form that *value* is written in, read."""
    if isinstance(value, Form):
        return value
    fields = Form.read_fields(value)
    unknown = [key for key in fields if key not in _FORMS]
    if unknown:
        raise Mistakes(unknown_key(key, tuple(_FORMS), Form.title) for key in unknown)
    given = [key for key, inner in fields.items() if not _unset(key, inner)]
    if len(given) != 1:
        found = f"found {listed(given, 'and')}" if given else "found none"
        raise Mistake("generator-form", f"needs exactly one of {listed(_FORMS)}; {found}")
    form = _FORMS[given[0]].model_validate({given[0]: fields[given[0]]})
    return form.filled(info.context) if isinstance(form, Rows) else form


def _unset(key: str, value: object) -> bool:
    if is_null(value):
        return True
    if key == "sequence":
        return getattr(value, "text", value) == ""
    if key in ("values", "range"):
        inner = value.present if isinstance(value, Items) else value
        return not (inner.entries if isinstance(inner, Entries) else inner)
    return False


Generator = Constant | Choice | Sequence | Chance | Range | Normal | Texts | Rows
"""How an attribute's value is made: exactly one of the eight forms."""

Attributes = Annotated[
    dict[Name, Annotated[Generator, BeforeValidator(_generator)]], BeforeValidator(entries_of)
]
"""A mapping of attribute names to generators."""
