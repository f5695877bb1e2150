"""A recording of what is imported: its spans whole, trace by trace, in the order of their starts.

Spans are dealt out to files by their trace, as on the shelf; then each file becomes a run of traces
in order, and the runs are merged. So memory holds one file's spans, or one trace of each run.
"""

from __future__ import annotations

import heapq
import struct
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from motel_locust.otlp.recording import span_text, trace_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.recorded import RecordedSpan

FILES: Final = 128
"""All are open while they are merged; systems allow 256 at least."""
WAITING_BYTES: Final = 16 << 20

_HEAD: Final = struct.Struct("<16sqI")
"""Trace id, start in ns, bytes of the text that follows."""
_RUN_HEAD: Final = struct.Struct("<qI")


class Recorder:
    """Takes spans in any order, and writes the recording.

    *waiting_bytes* of them are held in memory before they go to disk.
    """

    def __init__(self, *, waiting_bytes: int = WAITING_BYTES) -> None:
        self._most = waiting_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="motel-locust-record-")
        self._waiting: list[list[bytes]] = [[] for _ in range(FILES)]
        self._size = 0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def put(self, trace_id: bytes, span: RecordedSpan) -> None:
        """Take *span* of the trace *trace_id*, 16 bytes."""
        # A lone surrogate, which JSON can hold, has no form in UTF-8.
        text = span_text(span).encode("utf-8", "replace")
        file = self._waiting[hash(trace_id) % FILES]
        file += (_HEAD.pack(trace_id, span.start_ns, len(text)), text)
        self._size += _HEAD.size + len(text)
        if self._size > self._most:
            self._deal_out()

    def write(self, out: IO[bytes]) -> None:
        """Write all traces to *out*, a line each, by their earliest start."""
        self._deal_out()
        runs = [self._run(path) for path in sorted(Path(self._folder.name).glob("spans-*"))]
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("rb")) for path in runs]
            for _, line in heapq.merge(*map(_lines, files)):
                out.write(line)

    def _deal_out(self) -> None:
        for number, waiting in enumerate(self._waiting):
            if waiting:
                with Path(self._folder.name, f"spans-{number:03}").open("ab") as out:
                    out.write(b"".join(waiting))
                waiting.clear()
        self._size = 0

    def _run(self, path: Path) -> Path:
        """Return a file of the traces of *path*, by their earliest start."""
        content = path.read_bytes()
        path.unlink()
        traces: dict[bytes, list[tuple[int, str]]] = {}
        at = 0
        while at < len(content):
            trace_id, start_ns, size = _HEAD.unpack_from(content, at)
            at += _HEAD.size + size
            traces.setdefault(trace_id, []).append((start_ns, content[at - size : at].decode()))
        run = path.with_name(path.name.replace("spans", "run"))
        with run.open("wb") as out:
            for trace_id, spans in sorted(traces.items(), key=lambda trace: min(trace[1])):
                # Spans that came again, word for word, are recorded once.
                spans.sort(key=lambda span: span[0])
                texts = dict.fromkeys(text for _, text in spans)
                line = f"{trace_line(trace_id.hex(), texts)}\n".encode()
                out.write(_RUN_HEAD.pack(spans[0][0], len(line)) + line)
        return run


def _lines(run: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    while head := run.read(_RUN_HEAD.size):
        start_ns, size = _RUN_HEAD.unpack(head)
        yield start_ns, run.read(size)
