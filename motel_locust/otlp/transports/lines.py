"""``stdout://`` and ``file://PATH``: OTLP JSON, one request a line.

The Collector's file exporter writes the same. A file is created if need be and appended to, never
cut: the processes of one run may share it, and so may several runs, and all signals.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gevent
from gevent.lock import BoundedSemaphore

from motel_locust.otlp.delivery import Answer, Cause
from motel_locust.otlp.lines import request_line
from motel_locust.otlp.settings import SettingsError

if TYPE_CHECKING:
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.notations import Notation
    from motel_locust.otlp.settings import Settings

STDOUT: Final = 1


@dataclass(slots=True, eq=False)
class Output:
    """What all that write to one file or pipe share, in this process."""

    turn: BoundedSemaphore = field(default_factory=BoundedSemaphore)
    """Lines stay whole: one writer at a time."""
    torn: bool = False
    """Whether the last line has no end."""


OUTPUTS: Final[defaultdict[str, Output]] = defaultdict(Output)
"""By path; the empty one is the standard output."""


class LinesTransport:
    """Writes each body of *signal* as one line to a file descriptor, which it owns.

    Bodies in JSON are lines already. Rewriting those in protobuf, and writing, run in a thread:
    both can take far longer than a slice of the event loop. The descriptor is unbuffered, so an
    accepted line is with the operating system.
    """

    def __init__(
        self, descriptor: int, signal: Signal, output: Output, notation: Notation = "protobuf"
    ) -> None:
        self._descriptor, self._signal, self._output = descriptor, signal, output
        self._notation: Notation = notation
        self._writing = self._closed = False

    @classmethod
    def open(cls, settings: Settings, notation: Notation) -> LinesTransport:
        """Return the transport of *settings* for bodies in *notation*.

        Raises SettingsError if the file cannot be opened.
        """
        if settings.endpoint.scheme == "stdout":
            return cls(os.dup(STDOUT), settings.signal, OUTPUTS[""], notation)
        path = settings.endpoint.path
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise SettingsError(
                f"{settings.source('endpoint')}: {path} cannot be written: {error.strerror}"
            ) from None
        return cls(descriptor, settings.signal, OUTPUTS[str(Path(path).resolve())], notation)

    def send(self, content: bytes, items: int) -> Answer:  # noqa: ARG002  # the protocol's names
        """Write *content* as one line; see :class:`Transport`."""
        self._output.turn.acquire()
        self._writing = True
        writing = gevent.get_hub().threadpool.spawn(self._write_line, content)
        # The turn ends with the thread, not with us: we may be told to stop waiting.
        writing.rawlink(self._end_turn)
        answer = writing.get()
        assert answer is not None
        return answer

    def close(self) -> None:
        """Close the descriptor, unless a thread still hangs in a write.

        Closed under that thread, the number could come to mean another file, and the rest of the
        line would go there.
        """
        if not self._closed and not self._writing:
            self._closed = True
            os.close(self._descriptor)

    def _end_turn(self, _: object) -> None:
        self._writing = False
        self._output.turn.release()

    def _line(self, content: bytes) -> bytes:
        return f"{request_line(content, self._signal)}\n".encode()

    def _write_line(self, content: bytes) -> Answer:
        line = content if self._notation == "json" else self._line(content)
        if self._output.torn:
            line = b"\n" + line  # what was left of a torn line must not spoil this one
        unwritten = memoryview(line)
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        except OSError as error:
            self._output.torn = self._output.torn or len(unwritten) < len(line)
            return Answer(Cause.UNWRITABLE, _reason(error), detail=str(error))
        self._output.torn = False
        return Answer(Cause.ACK)


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "no space left on the device"
        case errno.EPIPE:
            return "nobody reads the output any more"
        case errno.EFBIG:
            return "the file is too large"
        case _:
            return "the output cannot be written"
