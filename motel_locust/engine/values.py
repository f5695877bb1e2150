"""Attribute values: a generator of the language as an attribute, and the way to its column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import columns, draws, spelling
from motel_locust.engine.ranks import ranking
from motel_locust.topology import model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Attribute, ValueColumn

    Decode = Callable[[NDArray[np.uint64]], ValueColumn]


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One attribute: its shape, and how a word becomes a value of its column.

    ``decode`` is None where no word is drawn: a constant has no column, a numbered text takes the
    number of its span.
    """

    attribute: Attribute
    purpose: int
    decode: Decode | None = None


def compile_constant(key: str, value: columns.Value | tuple[str, ...]) -> Definition:
    """Return the definition of an attribute that always has *value*."""
    return Definition(columns.Constant(key, value), 0)


def compile_generator(key: str, generator: model.Generator, *, purpose: int) -> Definition:
    """Return the definition of attribute *key*; *purpose* is its key, see :func:`draws.key`."""
    match generator:
        case model.Constant(value=value):
            return compile_constant(key, value)
        case model.Choice(values=((value, _),)):
            return compile_constant(key, value)
        case model.Choice(values=values):
            options = tuple(value for value, _ in values)
            at = draws.bounds([weight for _, weight in values])
            return Definition(columns.Choice(key, options), purpose, _chooser(at))
        case model.Chance(probability=probability) if probability in (0, 1):
            return compile_constant(key, probability == 1)
        case model.Chance(probability=probability):
            at = draws.bounds([probability, 1 - probability])
            return Definition(columns.Choice(key, (True, False)), purpose, _chooser(at))
        case model.Range(low=low, high=high) if low == high:
            return compile_constant(key, low)
        case model.Range(low=low, high=high):
            decode = partial(draws.draw_integers, low=low, high=high)
            return Definition(columns.Integer(key, low, high), purpose, decode)
        case model.Normal(mean=mean, stddev=0):
            return compile_constant(key, float(mean))
        case model.Normal(mean=mean, stddev=deviation):
            return Definition(columns.Double(key), purpose, _normal(mean, deviation))
        case model.Sequence(sequence=pattern) if "{n}" not in pattern:
            return compile_constant(key, pattern)
        case model.Sequence(sequence=pattern):
            return Definition(columns.Numbered(key, tuple(pattern.split("{n}"))), purpose)
        case model.Texts(text=made):
            attribute = columns.Spelled(key, made.length, made.distinct)
            if made.distinct == 1:
                return compile_constant(key, spelling.text(attribute, 0))
            return Definition(attribute, purpose, ranking(made.distinct, made.skew))
        case model.Rows(rows=cell, table=table):
            return _compile_cell(key, cell.column, table)


def _chooser(at: NDArray[np.uint64]) -> Decode:
    return partial(draws.draw_choices, at=at)


def _compile_cell(key: str, column: str, table: model.Table) -> Definition:
    """Return the definition of attribute *key*, which has the value in *column* of a row."""
    found = table.columns[column]
    if len(found.options) == 1:
        return compile_constant(key, found.options[0])
    draw_rows = _drawing_rows(len(found.rows), table.weights)
    option = np.array(found.rows)
    # Wherever on a span, its signals included, the same word: so all that it takes is of one row.
    purpose = draws.key("rows", table.name)
    return Definition(
        columns.Choice(key, found.options), purpose, lambda words: option[draw_rows(words)]
    )


@lru_cache(maxsize=64)
def _drawing_rows(
    rows: int, weights: tuple[float, ...] | None
) -> Callable[[NDArray[np.uint64]], NDArray[np.int64]]:
    if weights is None or rows == 1:
        return partial(draws.draw_integers, low=0, high=rows - 1)
    return partial(draws.draw_choices, at=draws.bounds(weights))


def _normal(mean: float, deviation: float) -> Decode:
    return lambda words: draws.draw_normals(words) * deviation + mean


class Drawing:
    """Attributes that are drawn together: one hash for all their words."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.attributes = tuple(definition.attribute for definition in definitions)
        self.numbered = any(isinstance(each, columns.Numbered) for each in self.attributes)
        self._decodes = tuple(definition.decode for definition in definitions)
        drawn = [definition.purpose for definition in definitions if definition.decode]
        self._keys = np.array(drawn, np.uint64)[:, np.newaxis]

    def draw(
        self, span_id: NDArray[np.uint64], number: NDArray[np.int64] | None
    ) -> tuple[ValueColumn, ...]:
        """Return one column per attribute, over the spans *span_id*: uint64[rows].

        *number*, int64[rows], is what numbered texts carry; only they need it.
        """
        words = iter(draws.draw_words(self._keys, span_id) if self._keys.size else ())
        return tuple(
            decode(next(words))
            if decode
            else (number if isinstance(attribute, columns.Numbered) else None)
            for attribute, decode in zip(self.attributes, self._decodes, strict=True)
        )
