"""The Locust user that replays a recording."""

from __future__ import annotations

from motel_locust.load.user import TopologyUser


class ReplayUser(TopologyUser):
    """A simulated user that sends recorded traces again: the whole recording, from when it starts.

    The traces keep their structure, times and errors; every user's have new ids, unless
    ``--preserve-ids``. Ten users send ten times what was recorded. What is told of
    :class:`TopologyUser` holds here too, but ``topology``, ``rate`` and ``arrivals``.
    """

    abstract = True

    recording: str = ""
    """The file of traces, or a topology with ``mode: replay``; empty: ``--recording``."""
