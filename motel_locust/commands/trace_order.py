"""The traces of a recording in the order of the file, or of their starts."""

from __future__ import annotations

from array import array
from gzip import GzipFile
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import numpy as np

from motel_locust.otlp.recording_file import RecordingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from motel_locust.engine.recorded import RecordedTrace


class FileOrder:
    """Reads the recording *file*, which is called *name*, from its start, each time it is asked."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name

    def __call__(self) -> Iterator[RecordedTrace]:
        """Yield every trace; raise TopologyError for what was found right before."""
        self._file.seek(0)
        reader = RecordingReader(self._file, self._name)
        yield from reader
        reader.check()


class StartOrder:
    """Reads a recording by the starts of its traces, which stand in another order in its file.

    It keeps 24 bytes for each trace. What is compressed is unpacked to a temporary file: there is
    no way back in it. *start_ns* tells when a trace starts.
    """

    def __init__(
        self, file: IO[bytes], name: str, start_ns: Callable[[RecordedTrace], int]
    ) -> None:
        self._file, self._name = file, name
        if isinstance(file, GzipFile):
            self._file = TemporaryFile()  # noqa: SIM115 - read until the process ends
            file.seek(0)
            copyfileobj(file, self._file)
        self._file.seek(0)
        reader = RecordingReader(self._file, name)
        starts_ns, self._offsets, self._lines = array("q"), array("q"), array("q")
        for trace in reader:
            starts_ns.append(start_ns(trace))
            self._offsets.append(reader.offset)
            self._lines.append(trace.line)
        reader.check()
        self._order = np.frombuffer(starts_ns, np.int64).argsort(kind="stable")

    def __call__(self) -> Iterator[RecordedTrace]:
        """Yield every trace; raise TopologyError for what was found right before."""
        for nth in self._order:
            self._file.seek(self._offsets[nth])
            reader = RecordingReader(self._file, self._name, line=self._lines[nth])
            yield from (trace for trace, _ in zip(reader, range(1), strict=False))
            reader.check()
