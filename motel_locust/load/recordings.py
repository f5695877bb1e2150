"""Recordings that users replay: held in memory as a tape, and sent to the workers.

What cannot be held or sent is refused, with what streams it instead. The process that decides reads
a recording once, to judge it and to put it on a tape, and keeps the last tape; a worker makes its
own from what it was sent.
"""

from __future__ import annotations

import io
import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final

from isal import isal_zlib

from motel_locust.load.run_options import run_options
from motel_locust.otlp.recording_file import RecordingReader, open_recording, unpacked
from motel_locust.otlp.survey import survey
from motel_locust.otlp.taping import TapeBuilder
from motel_locust.otlp.turns import Turns
from motel_locust.topology.diagnostics import Diagnostic, TopologyError
from motel_locust.topology.reading import parse_topology
from motel_locust.topology.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from motel_locust.engine.recorded import RecordedAttributes, RecordedTrace
    from motel_locust.engine.tape import Tape
    from motel_locust.load.run import Part, Run
    from motel_locust.topology.model import Topology

logger = logging.getLogger(__name__)

MOST_PACKED_BYTES: Final = 32 << 20
"""Of a recording, compressed: it goes to every worker."""
MOST_SPANS: Final = 2_000_000
"""Of a recording: some 400 MB in every process."""

INSTEAD: Final = "motel-locust replay sends recordings of any size; or record fewer traces"


@dataclass(frozen=True, slots=True, eq=False)
class Taped:
    """A tape, and the resource attributes of what is on it."""

    tape: Tape
    resources: Mapping[str, RecordedAttributes]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that users can replay; what :class:`Reading` is for a topology.

    The content of its source is compressed.
    """

    source: Source
    taped: Taped
    warnings: tuple[Diagnostic, ...]


def read_recording(name: str, *, preserve_ids: bool) -> Recording:
    """Return the recording in the file *name*.

    Raises:
        TopologyError: with all that is wrong with it, or because it is too large.
    """
    with open_recording(name) as file:
        return _judged(Source(name, _packed(file, name)), preserve_ids=preserve_ids)


def read_load(part: Part, source: Source, run: Run) -> Topology | Taped:
    """Return what the users of *part* run: the topology in *source*, or the tape of a recording.

    Raises:
        TopologyError: with all that is wrong with it.
    """
    if not part.replays:
        return parse_topology(source).topology
    return _judged(source, preserve_ids=run_options(run.options).preserve_ids).taped


def _packed(file: IO[bytes], name: str) -> bytes:
    """Return what is left of *file*, compressed."""
    packer = isal_zlib.compressobj(PACKING_LEVEL, wbits=GZIP_WINDOW)
    packed, turns, part = bytearray(), Turns(), b"more"
    while part:
        part = file.read(READ_BYTES)
        packed += packer.compress(part) if part else packer.flush()
        if len(packed) > MOST_PACKED_BYTES:
            raise _too_large(name, f"{MOST_PACKED_BYTES >> 20} MiB when compressed")
        turns()
    return bytes(packed)


PACKING_LEVEL: Final = 1
GZIP_WINDOW: Final = 31
"""zlib's own number for its largest window within gzip's header and trailer."""
READ_BYTES: Final = 1 << 20


# The form of the web UI, a start and a run that begins all ask for the same recording.
@lru_cache(maxsize=1)
def _judged(source: Source, *, preserve_ids: bool) -> Recording:
    began_s = time.monotonic()
    builder, turns = TapeBuilder(preserve_ids=preserve_ids), Turns()

    def put(trace: RecordedTrace) -> None:
        builder.add(trace)
        if builder.spans > MOST_SPANS:
            raise _too_large(source.name, f"{MOST_SPANS:,} spans")
        turns()

    reader = RecordingReader(unpacked(io.BytesIO(source.content)), source.name)
    found = survey(reader, source.name, visit=put)
    taped = Taped(builder.build(), builder.resources)
    logger.info(
        "%s: %d traces with %d spans, over %.1f s; read in %.1f s",
        *(source.name, found.traces, found.spans, found.length_ns / 1e9),
        time.monotonic() - began_s,
    )
    return Recording(source, taped, tuple(found.warnings(source.name)))


def _too_large(name: str, limit: str) -> TopologyError:
    message = (
        "is too large to be replayed under Locust, where every process holds all of it: more than"
        f" {limit}. {INSTEAD}"
    )
    return TopologyError([Diagnostic(name, 0, 0, message, "too-large")])


def unfit_options(options: Mapping[str, Any], recordings: Sequence[bool]) -> list[str]:
    """Return what is wrong with *options* where these of the loads are recordings."""
    found: list[tuple[bool, str]] = []
    if any(recordings):
        found += [
            (options["realtime"], "--realtime: a recording is replayed trace by trace"),
            (options["rate_per"] != "user", "--rate-per: a recording has no rate to share"),
        ]
    else:
        needless = "nothing is replayed; use locustfiles/replay.py"
        found += [
            (bool(options["recording"]), f"--recording: {needless}"),
            (options["speed"] != 1, f"--speed: {needless}"),
            (options["loop"] != 1, f"--loop: {needless}"),
            (options["preserve_ids"], f"--preserve-ids: {needless}"),
            (options["verbatim"], f"--verbatim: {needless}"),
        ]
    if all(recordings):
        needless = "changes nothing in a replay"
        found += [
            (bool(options["rate"]), f"--rate: {needless}; --speed and users do"),
            (bool(options["arrivals"]), f"--arrivals: {needless}"),
            (options["signals"] != "traces", "--signals: a recording holds traces only"),
            (options["label_scenarios"], f"--label-scenarios: {needless}"),
            (
                options["max_spans_per_trace"] not in (0, SPANS_PER_TRACE),
                f"--max-spans-per-trace: {needless}",
            ),
        ]
    return [f"{problem}; leave it out" for asked, problem in found if asked]


SPANS_PER_TRACE: Final = 10_000
"""The default of ``--max-spans-per-trace``."""
