"""What the kinds of scalar look like to an editor: fragments of JSON Schema.

The grammars are those of :mod:`motel_locust.topology.quantities` as regular expressions, in the
dialect that Python and JavaScript share. ``patternErrorMessage`` is what the YAML and JSON language
servers of editors show when a text does not match. YAML has been read before a schema is applied:
there ``0.05`` is a number and ``5%`` a text.
"""

from typing import Any, Final

from motel_locust.topology.percentiles import INNER, NAMES
from motel_locust.topology.quantities import (
    DURATION_FORM,
    NUMBER_FORM,
    RATE_FORM,
    RATE_UNITS_S,
    SHARE_FORM,
    UNITS_NS,
)

JsonSchema = dict[str, Any]

_UNIT: Final = "|".join(sorted(UNITS_NS, key=len, reverse=True))
_PARTS: Final = rf"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:{_UNIT}))+"
_NOT_NEGATIVE: Final = rf"\+?(?:0|{_PARTS})"
# A digit that is not 0 before anything else than digits and units.
_ABOVE_0: Final = rf"\+?(?=[0-9.a-zµμ]*[1-9]){_PARTS}"
_DIGITS: Final = "[0-9](?:_?[0-9])*"
_EXPONENT: Final = f"(?:[eE][+-]?{_DIGITS})"
_NUMBER: Final = rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS}){_EXPONENT}?"
_POSITIVE: Final = rf"\+?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS}){_EXPONENT}?"
# Of percentages with an exponent or underscores only the form is told.
_PERCENT: Final = (
    r"\+?0*(?:100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]*)?|\.[0-9]+)"
    rf"|(?=[^%]*[eE_]){_NUMBER}"
)
_PLUS_MINUS: Final = r"\s*(?:\+/-|±)\s*"


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


def _text(pattern: str, form: str, *examples: Any) -> JsonSchema:
    return {
        "type": "string",
        "pattern": f"^(?:{pattern})$",
        "patternErrorMessage": form,
        "examples": list(examples),
    }


def _or_number(schema: JsonSchema, **limits: float) -> JsonSchema:
    """Return *schema* for texts, and for numbers within *limits*, which texts are not held to."""
    return {**schema, "type": ["string", "number"], **limits}


TEXT: Final[JsonSchema] = {"type": ["string", "number", "boolean"]}
"""Any scalar: ``404`` and ``true`` are texts where a text belongs."""
TEXT_VALUE: Final[JsonSchema] = {"type": ["string", "number", "boolean", "null"]}
NAME: Final[JsonSchema] = {"type": "string", "minLength": 1}
REF: Final = _text(r".*\..*", "write service.operation", "database.query")
OFF: Final[list[Any]] = [None, False, "n", "N", "no", "No", "NO", "off", "Off", "OFF"]
FLAG: Final[JsonSchema] = {
    "type": ["boolean", "string"],
    "pattern": "^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$",
    "patternErrorMessage": "write true or false",
}
DURATION: Final = _or_number(
    _text(rf"[+-]?(?:0|{_PARTS})", DURATION_FORM, "30ms", "1m30s"), minimum=0, maximum=0
)
DELAY: Final = _or_number(
    _text(_NOT_NEGATIVE, DURATION_FORM, "30ms", "1m30s"), minimum=0, maximum=0
)
PERIOD: Final = _text(_ABOVE_0, f"must be above 0; {DURATION_FORM}", "30s", "1m30s")
OFFSET: Final = _or_number(
    _text(rf"\s*\+?{_NOT_NEGATIVE}\s*", DURATION_FORM, "+5m"), minimum=0, maximum=0
)
SHARE: Final = _or_number(
    _text(rf"\s*(?:(?:{_PERCENT})\s*%|{_POSITIVE})\s*", SHARE_FORM, "5%", 0.05),
    minimum=0,
    maximum=1,
)
RATE: Final = _text(
    r"\+?(?=[^/]*[1-9])(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)/"
    rf"(?:{'|'.join(map(_any_case, sorted(RATE_UNITS_S, key=len, reverse=True)))})",
    RATE_FORM,
    "10/s",
    "300/m",
)
DURATION_DISTRIBUTION: Final = _text(
    rf"\s*{_ABOVE_0}(?:{_PLUS_MINUS}{_NOT_NEGATIVE})?\s*",
    f"{DURATION_FORM}, and +/- for a deviation",
    "30ms +/- 10ms",
)
PERCENTILES: Final[JsonSchema] = {
    "type": "object",
    "properties": {
        name: {"anyOf": [DELAY if name == "p0" else PERIOD, {"type": "null"}]} for name in NAMES
    },
    "required": ["p50"],
    # One that is neither p0 nor p100.
    "anyOf": [{"required": [name], "properties": {name: PERIOD}} for name in list(INNER)[1:]],
    "additionalProperties": False,
}
NUMBER_DISTRIBUTION: Final = _or_number(
    _text(rf"\s*{_NUMBER}(?:{_PLUS_MINUS}{_POSITIVE})?\s*", NUMBER_FORM, "0.65 +/- 0.1")
)


def whole(least: int) -> JsonSchema:
    """Return the schema of a whole number of at least *least* that fits 64 bits."""
    return {"type": "integer", "minimum": least, "maximum": 2**63 - 1}


def any_case(*words: str) -> JsonSchema:
    """Return the schema of *words*, capitals that may be written in any case."""
    pattern = "|".join(_any_case(word.lower()) for word in words)
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^(?:{pattern})$"}]}


# --- rules between the keys of one mapping ---


def given(key: str, *unset: Any) -> JsonSchema:
    """Return what matches a mapping that sets *key*: to neither null nor one of *unset*."""
    return {"required": [key], "properties": {key: {"not": {"enum": [None, *unset]}}}}


def has(key: str, *values: Any) -> JsonSchema:
    """Return what matches a mapping whose *key* is one of *values*."""
    return {"required": [key], "properties": {key: {"enum": list(values)}}}


def rule(condition: JsonSchema, wanted: JsonSchema, message: str) -> JsonSchema:
    """Return the rule that a mapping which matches *condition* is *wanted*; else *message*."""
    return {"if": condition, "then": {**wanted, "errorMessage": message}}


def not_both(key: JsonSchema, other: JsonSchema, message: str) -> JsonSchema:
    """Return the rule that a mapping does not match both."""
    return {"not": {"allOf": [key, other]}, "errorMessage": message}
