"""Baggage: what a span hands on to all spans below it."""

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from motel_locust.topology.diagnostics import Mistake, quoted
from motel_locust.topology.kinds import Name, TextValue, entries_of

# RFC 7230, 3.2.6: token = 1*tchar. Baggage keys are tokens.
_MARKS: Final = "!#$%&'*+-.^_`|~"
_KEY: Final = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


def _key(key: str) -> str:
    wrong = next(
        (
            letter
            for letter in key
            if not (letter.isascii() and letter.isalnum()) and letter not in _MARKS
        ),
        None,
    )
    if wrong is not None:
        message = f"may not have {quoted(wrong)} in its name; allowed are ASCII letters, digits "
        raise Mistake("invalid-name", f"{message}and {' '.join(_MARKS)}", at_key=True)
    return key


Baggage = Annotated[
    dict[
        Annotated[
            Name,
            AfterValidator(_key),
            WithJsonSchema({"type": "string", "allOf": [{"pattern": _KEY}]}),
        ],
        TextValue,
    ],
    BeforeValidator(entries_of),
]
"""Baggage entries: keys are tokens, values fixed texts."""
