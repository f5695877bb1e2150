"""What it costs to compress bodies of the reference load, and what is left of them."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.generation import SIX_ATTRIBUTES, Stream
from motel_locust.otlp.settings import COMPRESSIONS
from motel_locust.otlp.transports.compression import GZIP_WINDOW, compressor

if TYPE_CHECKING:
    from collections.abc import Callable

BODY_BYTES = (1 << 20, 64 << 10)
STANDARD_LIBRARY = "gzip of the standard library, level 1"


@dataclass(frozen=True, slots=True)
class Compressed:
    """The CPU time of one way to compress, and what it leaves: a share of the size."""

    name: str
    body_bytes: int
    ns_per_span: float
    ratio: float


def measure_all() -> list[Compressed]:
    """Return the costs of all ways to compress, for large and for small bodies."""
    return [row for size in BODY_BYTES for row in measure(size)]


def measure(body_bytes: int, *, bodies: int = 8, laps: int = 15) -> list[Compressed]:
    """Return the costs of all ways to compress *bodies* of about *body_bytes*: medians of *laps*.

    The ways take turns, so that what slows down the machine slows down all of them.
    """
    ways: dict[str, Callable[[bytes], bytes]] = {
        **{name: compressor(name) for name in COMPRESSIONS},
        STANDARD_LIBRARY: _standard_library,
    }
    contents, spans = _bodies(body_bytes, bodies)
    size = sum(map(len, contents))
    left = {name: sum(len(way(each)) for each in contents) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(laps):
        for name, way in ways.items():
            began_s = time.process_time()
            for content in contents:
                way(content)
            seconds[name].append(time.process_time() - began_s)
    return [
        Compressed(
            name=name,
            body_bytes=size // bodies,
            ns_per_span=median(seconds[name]) / spans * 1e9,
            ratio=left[name] / size,
        )
        for name in ways
    ]


def _bodies(body_bytes: int, bodies: int) -> tuple[list[bytes], int]:
    """Return full bodies and the number of their spans."""
    stream = Stream(SIX_ATTRIBUTES, body_bytes=body_bytes)
    contents: list[bytes] = []
    spans = 0
    while len(contents) < bodies:
        *full, _ = stream.bodies(stream.walk())
        for content, count in full[: bodies - len(contents)]:
            contents.append(content)
            spans += count
    return contents, spans


def _standard_library(content: bytes) -> bytes:
    return zlib.compress(content, 1, GZIP_WINDOW)
