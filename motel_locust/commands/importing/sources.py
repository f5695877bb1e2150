"""Where traces come from: files, folders and standard input, compressed or not."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import zstandard
from isal import igzip
from isal.isal_zlib import IsalError

from motel_locust.commands.importing.faults import ImportFault, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STANDARD_INPUT: Final = "-"
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of a zstd frame (RFC 8878, 3.1.1)."""

ZSTD_STEP: Final = 1 << 12
"""Bytes that are decompressed at once: 4 of them can become 128 KiB, so these at most 128 MiB."""

_BUFFER_BYTES: Final = 1 << 20


class _Readable(io.RawIOBase):
    """A stream of what :meth:`_next` returns, which is called with the room there is."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # the Buffer protocol has no name before Python 3.12
        """Fill *buffer* as far as possible."""
        room = memoryview(buffer).cast("B")
        content = self._next(len(room))
        room[: len(content)] = content
        return len(content)

    def _next(self, size: int) -> bytes:
        raise NotImplementedError


class Pushed(_Readable):
    """A stream with bytes put back in front of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def _next(self, size: int) -> bytes:
        if not self._head:
            return self._rest.read(size)
        content, self._head = self._head[:size], self._head[size:]
        return content


class Counted(_Readable):
    """A stream that tells how many bytes were read of it."""

    def __init__(self, stream: IO[bytes], count: Callable[[int], object]) -> None:
        self._stream = stream
        self._count = count

    def _next(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._count(len(content))
        return content


class Unzstd(_Readable):
    """The content of zstd frames; unlike zstandard's own reader it notices where one is cut off."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._ready = b""
        self._rest = b""

    def _next(self, size: int) -> bytes:
        while not self._ready:
            step = self._rest or self._stream.read(ZSTD_STEP)
            if not step:
                if self._frame is not None:
                    raise EOFError
                return b""
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(step)
            self._rest = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        content, self._ready = self._ready[:size], self._ready[size:]
        return content


def push_back(head: bytes, rest: IO[bytes]) -> IO[bytes]:
    """Return a stream of *head* and then *rest*."""
    return io.BufferedReader(Pushed(head, rest), _BUFFER_BYTES)


def paths(sources: Sequence[str]) -> list[str]:
    """Return the files that *sources* name, those of folders in the order of their names.

    Raises:
        ImportFault: if a folder has no files.
        OSError: if there is no such file or folder.
    """
    found = []
    for source in sources:
        folder = Path(source)
        if source == STANDARD_INPUT or not folder.is_dir():
            found.append(source)
            continue
        files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
        if not files:
            raise ImportFault(f"{source}: the folder has no files")
        found += files
    return found


def size(files: Sequence[str]) -> int | None:
    """Return the bytes of all *files*; None if one of them cannot be known."""
    if STANDARD_INPUT in files or not all(Path(file).is_file() for file in files):
        return None
    return sum(Path(file).stat().st_size for file in files)


@contextmanager
def opened(source: str, count: Callable[[int], object]) -> Iterator[tuple[IO[bytes], Place]]:
    """Open *source*, decompressed, with its place; *count* is told the bytes that were read.

    Raises:
        ImportFault: where the compressed content is damaged, also while it is read.
        OSError: if it cannot be opened.
    """
    if source == STANDARD_INPUT:
        place = Place("<stdin>")
        with _told(place):
            yield _decompressed(io.BufferedReader(Counted(sys.stdin.buffer, count))), place
        return
    place = Place(source)
    with Path(source).open("rb") as file, _told(place):
        yield _decompressed(io.BufferedReader(Counted(file, count), _BUFFER_BYTES)), place


@contextmanager
def _told(place: Place) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, IsalError, zstandard.ZstdError) as error:  # type: ignore[misc]  # the stub has IsalError as an instance
        reason = "it is cut off" if isinstance(error, EOFError) else str(error)
        raise ImportFault(f"{place.name}: cannot be decompressed: {reason}") from None


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    head = stream.read(len(ZSTD))
    whole = push_back(head, stream)
    if head.startswith(GZIP):
        unzipped: io.RawIOBase = igzip.IGzipFile(fileobj=whole)  # type: ignore[no-untyped-call, assignment]
        return io.BufferedReader(unzipped, _BUFFER_BYTES)
    return io.BufferedReader(Unzstd(whole), _BUFFER_BYTES) if head == ZSTD else whole
