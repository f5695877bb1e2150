"""Which recording a person means: a file of traces, or a topology that replays one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from motel_locust.otlp.recording_file import STANDARD_INPUT, unreadable
from motel_locust.topology.diagnostics import Diagnostic, TopologyError
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from motel_locust.topology.reading import Reading

URLS: Final = ("http://", "https://")

# A topology's keys, after blanks and comments, in either style of YAML.
_TOPOLOGY: Final = re.compile(
    rb"""(\xef\xbb\xbf)?(---)?(\s|\#[^\n]*\n)*\{?\s*["']?
    (version|mode|recording|services|traffic|scenarios|x-[\w-]*)["']?\s*:""",
    re.VERBOSE,
)
_HEAD_BYTES: Final = 16 << 10


def find_recording(text: str) -> str:
    """Return the file of traces that *text* names, itself or by a topology with ``mode: replay``.

    Raises:
        TopologyError: if it is a topology that is wrong or generates, or cannot be read.
    """
    if not _names_topology(text):
        return text
    reading = read_topology(text)
    if reading.topology.mode != "replay":
        message = (
            "is a topology that generates, no recording; run it with"
            " locust -f locustfiles/topology.py, or write mode: replay and recording: FILE"
        )
        raise TopologyError([Diagnostic(reading.source.name, 0, 0, message, "not-a-recording")])
    return recording_of(reading)


def recording_of(reading: Reading) -> str:
    """Return the file that a topology with ``mode: replay`` names; its path counts from there.

    Raises:
        TopologyError: if the topology came from a URL, from where no relative path leads anywhere.
    """
    recording = reading.topology.recording
    assert recording is not None, "a replay without a recording is not valid"
    name = reading.source.name
    if name.startswith(URLS) and not Path(recording).is_absolute():
        message = f"recording: {recording} is relative, which leads nowhere from a URL"
        raise TopologyError([Diagnostic(name, 0, 0, message, "unreadable-source")])
    return str(Path(name).parent / recording)


def _names_topology(text: str) -> bool:
    if text == STANDARD_INPUT:
        return False
    if text.startswith(URLS) or text.endswith((".yaml", ".yml")):
        return True
    try:
        with Path(text).open("rb") as file:
            return bool(_TOPOLOGY.match(file.read(_HEAD_BYTES)))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise unreadable(text, error) from None
