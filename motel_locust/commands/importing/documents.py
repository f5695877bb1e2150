"""JSON values out of a stream: one on each line, or one after another in whatever layout.

Memory is bounded by the largest value: a line, or, in a document of several lines, one element of
the lists that hold spans.
"""

from __future__ import annotations

import codecs
import json
from typing import IO, TYPE_CHECKING, Any, Final

from motel_locust.commands.importing.sources import push_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.commands.importing.faults import ImportFault, Place

LINE_BYTES: Final = 64 << 20
"""A longer first line is no line but a document, and read piece by piece."""

LISTS: Final = frozenset({"resourceSpans", "batches", "data"})
"""Lists of a document that are handed out element by element."""

_PIECE_BYTES: Final = 1 << 20
_BYTE_ORDER_MARK: Final = codecs.BOM_UTF8
_TAIL: Final = 16
"""An error so near to the end of what was read may only mean that more must be read."""


def documents(stream: IO[bytes], place: Place) -> Iterator[dict[str, Any]]:
    """Yield the objects of *stream*; *place* tells the line of each.

    Raises:
        ImportFault: at a line that is not JSON.
    """
    line = stream.readline(LINE_BYTES)
    while line and not line.strip(b"\r\n\t " + _BYTE_ORDER_MARK):
        place.number += 1
        line = stream.readline(LINE_BYTES)
    if not line:
        return
    try:
        first = json.loads(line.removeprefix(_BYTE_ORDER_MARK))
    except ValueError:
        # UTF-8 that is cut in two at the limit is such an error too.
        yield from _Text(push_back(line, stream), place).objects()
        return
    place.number += 1
    yield from _objects(first, place)
    del first
    yield from _lines(stream, place)


def _lines(stream: IO[bytes], place: Place) -> Iterator[dict[str, Any]]:
    for line in stream:
        place.number += 1
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise _not_json(place, error) from None
        yield from _objects(value, place)


def _objects(value: Any, place: Place) -> Iterator[dict[str, Any]]:
    for each in value if isinstance(value, list) else (value,):
        if not isinstance(each, dict):
            raise place.fault(f"a JSON object was expected, but found {_kind(each)}")
        yield each


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return "a list"


def _not_json(place: Place, error: ValueError) -> ImportFault:
    if isinstance(error, json.JSONDecodeError):
        return place.fault(f"not JSON: {error.msg.lower()} at column {error.colno}")
    return place.fault(f"not JSON: {error}")


class _Text:
    """JSON values without regard to lines, of which only a window is held in memory."""

    def __init__(self, stream: IO[bytes], place: Place) -> None:
        self._stream = stream
        self._place = place
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._raw_decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._counted = 0
        self._ended = False
        self._first_line = place.number

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield all objects; one that holds spans in a list, in one object for each element."""
        while (letter := self._next()) != "":
            if letter == "[":
                for _ in self._elements():
                    yield from self._pieces()
            else:
                yield from self._pieces()

    def _pieces(self) -> Iterator[dict[str, Any]]:
        """Yield the value at hand: an object in pieces."""
        if self._next() != "{":
            yield from _objects(self._value(), self._place)
            return
        rest: dict[str, Any] = {}
        found = False
        for _ in self._elements("}"):
            key = self._value()
            if not isinstance(key, str) or self._next() != ":":
                raise self._fault("a JSON object needs texts as keys, and a colon after each")
            self._at += 1
            if key in LISTS and self._next() == "[":
                for _ in self._elements():
                    found = True
                    yield {key: [self._value()]}
            else:
                rest[key] = self._value()
        if not found:
            yield rest

    def _elements(self, end: str = "]") -> Iterator[None]:
        """Step into a list or object; yield where an element begins, which must then be read."""
        self._at += 1
        if self._next() == end:
            self._at += 1
            return
        while True:
            yield
            letter = self._next()
            if letter not in (",", end) or not letter:
                raise self._fault(f'"," or "{end}" was expected')
            self._at += 1
            if letter == end:
                return

    def _next(self) -> str:
        """Return the letter at hand, past blanks; an empty text at the end."""
        while True:
            rest = self._text[self._at : self._at + _TAIL]
            if shorter := rest.lstrip(" \t\r\n"):
                self._at += len(rest) - len(shorter)
                self._tell()
                return shorter[0]
            self._at += len(rest)
            if self._at >= len(self._text) and not self._fill():
                return ""

    def _value(self) -> Any:
        if not self._next():
            raise self._fault("the document is cut off")
        while True:
            try:
                value, end = self._raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                could_go_on = error.msg.startswith("Unterminated") or (
                    error.pos >= len(self._text) - _TAIL
                )
                if could_go_on and self._fill():
                    continue
                self._at = min(error.pos, len(self._text))
                reason = "the document is cut off" if could_go_on else error.msg.lower()
                raise self._fault(reason) from None
            # A number may go on beyond the window.
            if end < len(self._text) or not self._fill():
                self._at = end
                return value

    def _fill(self) -> bool:
        """Read more, as much again as there is; return whether anything came."""
        if self._ended:
            return False
        self._tell()
        self._text = self._text[self._at :]
        self._at = self._counted = 0
        content = self._stream.read(max(_PIECE_BYTES, len(self._text)))
        self._ended = not content
        try:
            self._text += self._decode(content, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._place.fault(f"not UTF-8: {error.reason}") from None
        return not self._ended

    def _tell(self) -> None:
        self._first_line += self._text.count("\n", self._counted, self._at)
        self._counted = max(self._at, self._counted)
        self._place.number = self._first_line + 1

    def _fault(self, message: str) -> ImportFault:
        self._tell()
        return self._place.fault(f"not JSON: {message}")
