"""Files of recorded traces, read one trace at a time, with the place of whatever is wrong in them.

By convention a trace is a line. But what counts is that JSON values follow one another: one may
span lines, and a line may hold several. A file may be compressed with gzip.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, cast

from isal.igzip import BadGzipFile, IGzipFile
from isal.isal_zlib import IsalError

from motel_locust.otlp.recorded_fields import FormatError, parse_trace
from motel_locust.topology.diagnostics import Diagnostic, TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.recorded import RecordedTrace

GZIP: Final = b"\x1f\x8b"
STANDARD_INPUT: Final = "-"

MOST_TRACE_BYTES: Final = 64 << 20
"""A trace as text; what is longer is taken for something else than a recording."""
MOST_PROBLEMS: Final = 20
"""So many are told at once."""


def open_recording(name: str) -> IO[bytes]:
    """Return the recording *name*, or standard input for ``-``, from its start and unpacked.

    Standard input is copied to a temporary file, as recordings are read twice. Raises TopologyError
    if it cannot be read.
    """
    try:
        if name == STANDARD_INPUT:
            file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            copyfileobj(sys.stdin.buffer, file)
            file.seek(0)
        else:
            file = Path(name).open("rb")  # noqa: SIM115 - as above
        return unpacked(file)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise unreadable(name, error) from None


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return *file*, which is at its start, as it was before gzip compressed it, if it did."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    if not packed:
        return file
    stream: Any = IGzipFile(fileobj=file)  # type: ignore[no-untyped-call]
    stream.myfileobj = file  # closed with it
    return cast("IO[bytes]", stream)


def unreadable(name: str, error: Exception) -> TopologyError:
    """Return what to say of a recording that *error* kept from being read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    message = f"the recording cannot be read: {reason}"
    return TopologyError([Diagnostic(name, 0, 0, message, "unreadable-source")])


class RecordingReader:
    """Reads the traces of *file*, which is called *name* in messages, from where it stands.

    Attributes:
        problems: what was wrong so far, in file order; what can be read comes all the same. After
            ``MOST_PROBLEMS`` nothing more is read.
        offset: where in the file the last trace began.
    """

    def __init__(self, file: IO[bytes], name: str, *, line: int = 1) -> None:
        self.problems: list[Diagnostic] = []
        self.offset = 0
        self._file, self._name = file, name
        self._line, self._here = line, file.tell()

    def __iter__(self) -> Iterator[RecordedTrace]:
        """Yield every trace that has spans."""
        try:
            for value in self._values():
                try:
                    trace = parse_trace(value.content, value.line)
                except FormatError as problem:
                    self.refuse(str(problem), value.line)
                else:
                    if trace.spans:
                        self.offset = value.offset
                        yield trace
                if len(self.problems) >= MOST_PROBLEMS:
                    return
        except (BadGzipFile, EOFError, IsalError) as error:  # type: ignore[misc]  # as its stub is
            self.problems.append(*unreadable(self._name, error).problems)
        except OSError as error:
            raise unreadable(self._name, error) from None

    def refuse(self, message: str, line: int, column: int = 1, excerpt: str = "") -> None:
        """Note that something is wrong with what stands at that place."""
        self.problems.append(
            Diagnostic(self._name, line, column, message, "invalid-recording", excerpt=excerpt)
        )

    def check(self) -> None:
        """Raise TopologyError if anything was wrong."""
        if self.problems:
            raise TopologyError(self.problems)

    def _values(self) -> Iterator[Value]:
        while raw := self._file.readline(MOST_TRACE_BYTES):
            line, offset = self._line, self._here
            self._line, self._here = line + 1, offset + len(raw)
            try:
                content = json.loads(raw)
            except (ValueError, RecursionError):
                if raw.strip():
                    yield from self._unusual(raw, line, offset)
            else:
                if b"\\u" in raw and not _encodable(content):
                    self.refuse(HALF, line)
                else:
                    yield Value(line, offset, content)

    def _unusual(self, raw: bytes, line: int, offset: int) -> Iterator[Value]:
        """Yield the values that begin on the line *raw*, which is no single one."""
        lines, depth, size = [raw], _depth(raw), len(raw)
        while depth > 0 and size < MOST_TRACE_BYTES:
            more = self._file.readline(MOST_TRACE_BYTES)
            if not more:
                break
            self._line, self._here = self._line + 1, self._here + len(more)
            lines.append(more)
            depth += _depth(more)
            size += len(more)
        if size >= MOST_TRACE_BYTES:
            self.refuse(f"a trace of more than {MOST_TRACE_BYTES >> 20} MiB, which is none", line)
            return
        try:
            text = b"".join(lines).decode("utf-8-sig" if offset == 0 else "utf-8")
        except UnicodeDecodeError as error:
            self.refuse(f"is not UTF-8: byte 0x{error.object[error.start]:02x}", line)
            return
        start = _next(text, 0)
        while start < len(text):
            begins = line + text.count("\n", 0, start)
            try:
                content, end = _DECODER.raw_decode(text, start)
            except json.JSONDecodeError as error:
                self._refuse_text(text, error, line)
                return
            except (ValueError, RecursionError):  # Python's own limit for the digits of a number
                self.refuse("holds a number that is too long, or is nested too deeply", begins)
                return
            if _encodable(content):
                yield Value(begins, offset + len(text[:start].encode()), content)
            else:
                self.refuse(HALF, begins)
            start = _next(text, end)

    def _refuse_text(self, text: str, error: json.JSONDecodeError, line: int) -> None:
        begin = text.rfind("\n", 0, error.pos) + 1
        excerpt, _, _ = text[begin:].partition("\n")
        said = f"{error.msg[:1].lower()}{error.msg[1:]}".removesuffix(" starting at")
        self.refuse(
            f"is not JSON: {said}; a recording is one JSON object for each trace",
            line + text.count("\n", 0, error.pos),
            error.pos - begin + 1,
            excerpt,
        )


class Value(NamedTuple):
    """A JSON value: the line and the place in the file where it begins, and what it says."""

    line: int
    offset: int
    content: Any


_DECODER: Final = json.JSONDecoder()
HALF: Final = "holds half a character, a surrogate without its other"

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


def _next(text: str, start: int) -> int:
    """Return where the next value begins."""
    blanks = _BLANKS.match(text, start)
    assert blanks is not None
    return blanks.end()


def _depth(line: bytes) -> int:
    """Return how many brackets *line* opens and does not close; strings never span lines."""
    bare = _STRING.sub(b"", line)
    opened = bare.count(b"{") + bare.count(b"[")
    return opened - bare.count(b"}") - bare.count(b"]")


def _encodable(content: Any) -> bool:
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
