"""gzip and zstd for request bodies, off the event loop where it would hold it up."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.otlp.settings import Compression

THREAD_BYTES: Final = 256 << 10
"""From here on in a thread: gzip takes 1 ms for 100 KB, and a slice of work may take 5 ms. Both
compressors release the GIL."""

GZIP_LEVEL: Final = 1
"""205 KB of spans to 57 KB in 2.0 ms; level 6 makes 41 KB of them in 5 ms."""
ZSTD_LEVEL: Final = 1

GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib writes a gzip header and trailer when 16 is added to the window bits."""


def compressor(compression: Compression) -> Callable[[bytes], bytes]:
    """Return the function that compresses a body; raise ImportError where zstd is not installed."""
    match compression:
        case "none":
            return _unchanged
        case "gzip":
            return _in_thread(gzip)
        case "zstd":
            import zstandard

            return _in_thread(lambda content: zstandard.compress(content, ZSTD_LEVEL))


def gzip(content: bytes) -> bytes:
    """Return *content* in gzip's format."""
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return deflate.compress(content) + deflate.flush()


def _unchanged(content: bytes) -> bytes:
    return content


def _in_thread(compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def compressed(content: bytes) -> bytes:
        if len(content) < THREAD_BYTES:
            return compress(content)
        small: bytes = gevent.get_hub().threadpool.apply(compress, (content,))
        return small

    return compressed
