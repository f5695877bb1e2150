"""What a master and its workers tell each other, over Locust's own connection.

=====================  ==================  =====================================================
message                from, to            says
=====================  ==================  =====================================================
``motel_topology``     master, workers     the text of a topology, when a run starts or on demand
``motel_wanted``       worker, master      send me the topologies: what came before I listened is
                                           lost
``motel_share``        master, workers     how many users share the rate (``--rate-per cluster``)
``motel_drain``        master, workers     end the run, deliver what is under way, report
``motel_drained``      worker, master      done; my last report came before this message
``motel_trouble``      worker, master      why I could not take part
=====================  ==================  =====================================================

Everything else rides on Locust's messages: the run on ``spawn``, the figures on ``stats``. One
connection keeps the order of its messages, which is what makes the master's sums exact at the end.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event
from locust.runners import STATE_MISSING

from motel_locust.load.figures import Figures, Report
from motel_locust.topology.reading import Source

if TYPE_CHECKING:
    from locust.rpc import Message
    from locust.runners import MasterRunner, WorkerRunner

    from motel_locust.load.generator import Generator

logger = logging.getLogger(__name__)

KEY: Final = "motel_locust"
"""Our part of a worker's report."""

# A master waits longer than its workers drain, for the message to come and go.
DRAIN_MARGIN_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.2
SHARE_S: Final = 0.5


class Alone:
    """The end of a process that has nobody to talk to, and what all ends can do."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def spread(self) -> None:
        """Send the topologies of the run to those who run it."""

    def ask(self) -> None:
        """Ask for the topologies of the run."""

    def drain(self, timeout_s: float) -> None:
        """Let the others end the run, and wait for their last reports."""

    def tell(self, trouble: str) -> None:
        """Tell why this process could not take part in the run, or not to its end."""
        logger.error("%s", trouble)
        self._generator.troubles.append(trouble)


class MasterExchange(Alone):
    """The master's end."""

    def __init__(self, generator: Generator, runner: MasterRunner) -> None:
        super().__init__(generator)
        self._runner = runner
        self._draining: set[str] = set()
        self._drained = Event()
        runner.register_message("motel_wanted", self._on_wanted)
        runner.register_message("motel_drained", self._on_drained)
        runner.register_message("motel_trouble", self._on_trouble)
        generator.environment.events.worker_report.add_listener(self._on_report)
        # Killed with the runner's other greenlets when it quits.
        runner.greenlet.spawn(self._share_out)

    def spread(self, worker: str | None = None) -> None:
        """Send the topologies of the run to *worker*, or to all that are connected."""
        for source in self._generator.sources.values():
            self._runner.send_message(
                "motel_topology", {"name": source.name, "content": source.content}, worker
            )

    def drain(self, timeout_s: float) -> None:
        """Let the workers end the run and report; return when all have, or are gone."""
        clients = self._runner.clients
        self._draining.update(each.id for each in clients.running + clients.spawning)
        self._drained.clear()
        if not self._draining:
            return
        self._runner.send_message("motel_drain")
        until_s = time.monotonic() + timeout_s + DRAIN_MARGIN_S
        while self._draining and time.monotonic() < until_s:
            self._drained.wait(LOOK_AGAIN_S)
            # A worker that quits on its own drains and reports before it says so.
            self._draining &= {each.id for each in clients.all if each.state != STATE_MISSING}
        for worker in sorted(self._draining):
            logger.warning("worker %s did not report the end of its run in time", worker)
        self._draining.clear()

    def _on_wanted(self, msg: Message, **_: Any) -> None:
        self.spread(msg.node_id)

    def _on_drained(self, msg: Message, **_: Any) -> None:
        self._draining.discard(msg.node_id)
        if not self._draining:
            self._drained.set()

    def _on_trouble(self, msg: Message, **_: Any) -> None:
        self.tell(f"worker {msg.node_id}: {msg.data['trouble']}")

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        report, run = data.get(KEY), self._generator.run
        if report and run and report["run"] == run.name:
            known = self._generator.reports.get(client_id, Report())
            figures = Figures.from_message(report["figures"])
            self._generator.reports[client_id] = replace(known, figures=figures)

    def _share_out(self) -> None:
        """Tell the workers how many users there are, again and again while it changes."""
        told: dict[str, int] = {}
        while True:
            gevent.sleep(SHARE_S)
            run = self._generator.run
            if run is None or run.options["rate_per"] != "cluster":
                continue
            users = {name: n for name, n in self._runner.reported_user_classes_count.items() if n}
            if users and users != told:
                told = users
                self._runner.send_message("motel_share", {"run": run.name, "users": users})


class WorkerExchange(Alone):
    """A worker's end."""

    def __init__(self, generator: Generator, runner: WorkerRunner) -> None:
        super().__init__(generator)
        self._runner = runner
        runner.register_message("motel_topology", self._on_topology)
        runner.register_message("motel_share", self._on_share)
        # Concurrent: the worker's message loop goes on while it drains.
        runner.register_message("motel_drain", self._on_drain, concurrent=True)
        events = generator.environment.events
        events.report_to_master.add_listener(self._on_report)
        # Listeners of "quitting" run in reverse order, so this one is ahead of the runner's own.
        events.quitting.add_listener(self._on_quitting)

    def ask(self) -> None:
        """Ask the master for the topologies of the run."""
        self._runner.send_message("motel_wanted")

    def tell(self, trouble: str) -> None:
        """Tell the master why this worker could not take part, or not to the end."""
        logger.error("%s", trouble)
        self._runner.send_message("motel_trouble", {"trouble": trouble})

    def _on_topology(self, msg: Message, **_: Any) -> None:
        self._generator.learn(Source(msg.data["name"], msg.data["content"]))

    def _on_share(self, msg: Message, **_: Any) -> None:
        generator = self._generator
        if generator.pump and generator.run and generator.run.name == msg.data["run"]:
            generator.pump.share(msg.data["users"])

    def _on_drain(self, **_: Any) -> None:
        self._drain_and_report()
        self._runner.send_message("motel_drained")

    def _on_quitting(self, **_: Any) -> None:
        self._drain_and_report()

    def _drain_and_report(self) -> None:
        self._generator.leave_run()
        # What the runner does every three seconds, by public names.
        report: dict[str, Any] = {}
        self._generator.environment.events.report_to_master.fire(
            client_id=self._runner.client_id, data=report
        )
        self._runner.send_message("stats", report)

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        if self._generator.run is not None:
            data[KEY] = {
                "run": self._generator.run.name,
                "figures": self._generator.figures().message(),
            }
