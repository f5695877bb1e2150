"""What every mapping of the language has in common."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from motel_locust.topology.diagnostics import Mistake, Step, quoted, suggestion, with_article
from motel_locust.topology.document import Entries, Scalar, is_null
from motel_locust.topology.kinds import (
    UnsetText,
    described,
    entries_of,
    unset_text,
    wrong_type,
)


class Written(dict[str, Any]):
    """The keys of one mapping that are set, and the part of the language they are written for."""

    def __init__(self, part: type["Part"], fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.part = part


class Unknown:
    """The value of a key that the language does not have; knows what was possible instead."""

    def __init__(self, part: type["Part"]) -> None:
        self.part = part


class Part(BaseModel):
    """A mapping of the topology language: its fields are the allowed keys, and there are no others.

    A key that is null, or empty where a text belongs, counts as missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: ClassVar[str] = "topology"
    """What messages call such a mapping."""
    bare_key: ClassVar[str | None] = None
    """The key that a scalar in place of the mapping stands for."""
    examples: ClassVar[Mapping[str, str]] = {}
    """What to write for a required key that is missing."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the keys that may be written."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def read_fields(cls, value: object) -> dict[str, Any]:
        """Return what is written for each key, before anything is left out."""
        if isinstance(value, Entries):
            return dict(value.named)
        if isinstance(value, Mapping):
            return dict(value)
        if is_null(value):
            return {}
        if cls.bare_key is not None and isinstance(value, str | int | Scalar):
            return {cls.bare_key: value}
        bare = f"a {cls.bare_key} or " if cls.bare_key else ""
        wanted = f"{bare}a mapping that describes {with_article(cls.title)}"
        raise Mistake("wrong-type", f"must be {wanted}, found {described(value)}")

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        keys, marks = cls.keys(), _unset_texts(cls)
        fields: dict[str, Any] = {}
        for key, inner in cls.read_fields(value).items():
            if key not in keys:
                fields[key] = Unknown(cls)
            elif not is_null(inner) and not (key in marks and marks[key].matches(inner)):
                fields[key] = inner
        return Written(cls, fields)


def entries_such_as(example: str, kinds: str) -> BeforeValidator:
    """Return a validator that reads a mapping of *kinds*, names to what; wrong ones see *example*.

    The example is a whole line, as it would be written.
    """

    def read(value: object) -> Any:
        if not isinstance(value, Entries | Mapping):
            wrong = wrong_type(value, f"a mapping of {kinds}")
            raise Mistake(wrong.code, f"{wrong}; write {example}")
        return entries_of(value)

    return BeforeValidator(read)


def unknown_key(
    key: str, allowed: tuple[str, ...], title: str, *, path: tuple[Step, ...] = ()
) -> Mistake:
    """Return the mistake that *title* has no such *key*."""
    near = suggestion(key, allowed) or ";"
    message = f"unknown key {quoted(key)} in {title}{near} allowed: {', '.join(sorted(allowed))}"
    return Mistake("unknown-key", message, path=(*path, key), at_key=True, complete=True)


@cache
def _unset_texts(part: type[Part]) -> dict[str, UnsetText]:
    """Return the keys of *part* for which certain texts count as missing."""
    marks = {
        field.alias or name: unset_text(field.metadata, field.annotation)
        for name, field in part.model_fields.items()
    }
    return {key: mark for key, mark in marks.items() if mark is not None}
