"""gzip and zstd for request bodies, off the event loop where it would hold it up."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import gevent
import zstandard
from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.otlp.settings import Compression

THREAD_BYTES: Final = 2 << 20
"""From here on in a thread. 1 MiB, the size of a full body, takes 1 ms, and a slice of work may
take 5 ms. Both compressors release the GIL, but going to a thread and back costs 30 to 70 us of
CPU, more than compressing 64 KiB does, and where all cores are busy it gained nothing at 1 MiB."""

GZIP_LEVEL: Final = 1
"""ISA-L's: 1 MiB of spans takes 0.80 ms and leaves 22 %; 0.71 ms and 26 % at level 0, 0.83 ms and
22 % at level 2. The standard library's zlib takes 6.7 ms for the same 22 %."""
ZSTD_LEVEL: Final = 1
"""1 MiB of spans takes 0.94 ms and leaves 17 %; 1.27 ms and 14 % at level 3."""

GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""A gzip header and trailer are written when 16 is added to the window bits."""


def compressor(compression: Compression) -> Callable[[bytes], bytes]:
    """Return the function that compresses a body; all its callers are greenlets of one hub."""
    match compression:
        case "none":
            return _unchanged
        case "gzip":
            return _Compressor(gzip, in_thread=gzip)
        case "zstd":
            # Kept, as making it takes 10 us; it dies when two threads use it at the same time.
            kept = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
            return _Compressor(kept.compress, in_thread=zstd)


def gzip(content: bytes) -> bytes:
    """Return *content* in gzip's format."""
    return isal_zlib.compress(content, GZIP_LEVEL, GZIP_WINDOW)


def zstd(content: bytes) -> bytes:
    """Return *content* in zstd's format."""
    return zstandard.compress(content, ZSTD_LEVEL)


def _unchanged(content: bytes) -> bytes:
    return content


class _Compressor:
    """Compresses small bodies at once and large ones in a thread, with functions for each."""

    def __init__(
        self, at_once: Callable[[bytes], bytes], *, in_thread: Callable[[bytes], bytes]
    ) -> None:
        self._at_once, self._in_thread = at_once, in_thread

    def __call__(self, content: bytes) -> bytes:
        if len(content) < THREAD_BYTES:
            return self._at_once(content)
        small: bytes = gevent.get_hub().threadpool.apply(self._in_thread, (content,))
        return small
