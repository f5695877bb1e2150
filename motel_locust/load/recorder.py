"""Keeps the history of a run, once a second, where the run is looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent
from locust.runners import MasterRunner

from motel_locust.load.figures import THIS_PROCESS
from motel_locust.load.history import REPORT_S, STEP_S, History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.load.figures import Figures
    from motel_locust.load.generator import Generator


class Recorder:
    """Watches one run, from its beginning to :meth:`stop`."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._of_cluster = isinstance(generator.environment.runner, MasterRunner)
        self._began_s = time.monotonic()
        self.history = History(delay_s=REPORT_S if self._of_cluster else 0.0)
        self._greenlet = gevent.spawn(self._watch)
        generator.environment.events.worker_report.add_listener(self._on_report)

    def stop(self) -> None:
        """Close the history with the run's last figures; harmless a second time."""
        if not self.history.closed:
            # Without waiting: a second signal of an impatient person ends the run once more.
            self._greenlet.kill(block=False)
            self._generator.environment.events.worker_report.remove_listener(self._on_report)
            self.history.close(self._now_s(), self._parts())

    def _watch(self) -> None:
        while True:
            gevent.sleep(STEP_S)
            self.history.observe(self._now_s(), self._parts())

    def _on_report(self, client_id: str, **_: Any) -> None:
        # Heard after the master itself; when a report came matters to the rate up to it.
        if report := self._generator.reports.get(client_id):
            self.history.hear(self._now_s(), client_id, report.present)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _parts(self) -> Mapping[str, Figures]:
        if self._of_cluster:
            return {name: each.present for name, each in self._generator.reports.items()}
        return {THIS_PROCESS: self._generator.figures(operations=False)}
