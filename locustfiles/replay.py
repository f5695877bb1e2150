"""Recorded traces, sent again: ``locust -f locustfiles/replay.py --recording traces.jsonl``."""

from motel_locust import ReplayUser


class Replay(ReplayUser):
    """Replays the recording that ``--recording``, or the start form, names."""
