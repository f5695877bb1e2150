"""A worker's end of what a cluster tells each other."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import locust
from gevent.event import Event
from locust.rpc import Message
from locust.runners import STATE_INIT

from motel_locust.load.cluster import KEY, Alone
from motel_locust.load.rota import Rota
from motel_locust.load.stats import set_back
from motel_locust.load.timekeeping import Readings, read
from motel_locust.topology.reading import Source

if TYPE_CHECKING:
    from locust.runners import WorkerRunner

    from motel_locust.load.generator import Generator
    from motel_locust.load.release import Release
    from motel_locust.load.run import Run

logger = logging.getLogger(__name__)

# So many readings of the master's clock before a run is entered; the fastest counts.
READINGS: Final = 5
ASK_AGAIN_S: Final = 1.0

LOOK_S: Final = 0.5
"""How often a worker looks whether it has heard from its master."""
# Locust's masters answer a heartbeat each second. Looks are counted, not seconds: a worker that did
# not get to look was too busy to hear, and its master is not to blame.
SILENT_LOOKS: Final = 8
LOOKS_A_READING: Final = 20


class Visit:
    """A worker's part in one run, from its entry on; one that comes back pays another visit."""

    def __init__(self, run: Run, release: Release) -> None:
        self.run, self.release = run, release
        self.entry = secrets.token_hex(8)
        self.readings = Readings()
        self.skew_s = 0.0
        self.answered = Event()

    def hear(self, answer: dict[str, Any], received_ns: int, unix_ns: int) -> None:
        """Set the time by the master's *answer*."""
        best = self.readings.add(
            read(
                sent_ns=answer["sent_ns"],
                received_ns=received_ns,
                elapsed_ns=answer["elapsed_ns"],
                unix_ns=unix_ns,
                run_epoch_ns=self.run.epoch_ns,
            )
        )
        self.release.begin_at(best.epoch_ns)
        self.skew_s = best.skew_ns / 1e9
        self.answered.set()


class WorkerExchange(Alone):
    """A worker's end. Raises OSError if its heartbeat file cannot be written."""

    def __init__(self, generator: Generator, runner: WorkerRunner) -> None:
        super().__init__(generator)
        self._runner = runner
        self._visit: Visit | None = None
        self._heard, self._known = True, True
        # Read once: with the first run the master's options come to stand here.
        self._heartbeat_file = getattr(generator.environment.parsed_options, "heartbeat_file", "")
        self._rota = Rota()
        self._touch()  # its runner was made, so the master has answered
        runner.register_message("motel_topology", self._on_topology)
        runner.register_message("motel_time", self._on_time)
        runner.register_message("motel_share", self._on_share)
        # Concurrent: the worker's message loop goes on while it drains.
        runner.register_message("motel_drain", self._on_drain, concurrent=True)
        events = generator.environment.events
        events.heartbeat_received.add_listener(self._on_heartbeat)
        # After the runner's own, which puts the statistics in.
        events.report_to_master.add_listener(self._on_report)
        # Listeners of "quitting" run in reverse order, so this one is ahead of the runner's own.
        events.quitting.add_listener(self._on_quitting)
        # Killed with the runner's other greenlets when it quits.
        runner.greenlet.spawn(self._watch)

    def ask(self) -> None:
        """Ask the master for the topologies of the run."""
        self._runner.send_message("motel_wanted")

    def enter(self, run: Run, release: Release) -> None:
        """Take a place in *run*, and set *release* by the master's clock; wait for its answers."""
        self._visit = visit = Visit(run, release)
        while len(visit.readings) < READINGS:
            visit.answered.clear()
            self._ask_time()
            visit.answered.wait(ASK_AGAIN_S)

    def tell(self, trouble: str) -> None:
        """Tell the master why this worker could not take part, or not to the end."""
        logger.error("%s", trouble)
        self._runner.send_message("motel_trouble", {"trouble": trouble})

    def _ask_time(self) -> None:
        visit = self._visit
        question = {"run": visit.run.name, "entry": visit.entry} if visit else {"run": ""}
        self._runner.send_message(
            "motel_time", {"entry": "", **question, "sent_ns": time.monotonic_ns()}
        )

    def _on_time(self, msg: Message, **_: Any) -> None:
        received_ns, unix_ns = time.monotonic_ns(), time.time_ns()
        self._heard, self._known = True, msg.data["known"]
        visit = self._visit
        if visit is not None and visit.entry == msg.data["entry"] and "place" in msg.data:
            self.place = msg.data["place"]
            visit.hear(msg.data, received_ns, unix_ns)

    def _on_heartbeat(self, **_: Any) -> None:
        self._heard = self._known = True
        self._touch()

    def _touch(self) -> None:
        if self._heartbeat_file:
            Path(self._heartbeat_file).touch()

    def _on_topology(self, msg: Message, **_: Any) -> None:
        self._generator.learn(Source(**msg.data))

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
        if self._generator.run is not None:
            self.ended = self._generator.run.name
        # What the runner does every three seconds, by public names.
        report: dict[str, Any] = {}
        self._generator.environment.events.report_to_master.fire(
            client_id=self._runner.client_id, data=report
        )
        self._runner.send_message("stats", report)

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        run = self._generator.run
        if run is not None:
            skew_s = self._visit.skew_s if self._visit is not None else 0.0
            figures, over = self._generator.figures(), self.ended == run.name
            data[KEY] = {
                "run": run.name,
                "figures": figures.message(None if over else self._rota.take(figures.operations)),
                "skew_s": skew_s,
                "over": over,
            }
            set_back(data, skew_s)

    def _watch(self) -> None:
        """Hold the pump while the master is silent; read its clock now and then."""
        silent = looks = 0
        while True:
            gevent.sleep(LOOK_S)
            looks += 1
            heard, self._heard = self._heard, False
            if heard and silent >= SILENT_LOOKS:
                self._go_on()
            silent = 0 if heard else silent + 1
            if silent == SILENT_LOOKS:
                logger.warning(
                    "the master has been silent for %.0f s: nothing is generated until it is back",
                    SILENT_LOOKS * LOOK_S,
                )
                if self._generator.pump is not None:
                    self._generator.pump.hold()
            if silent >= SILENT_LOOKS or (self._visit and looks % LOOKS_A_READING == 0):
                self._ask_time()

    def _go_on(self) -> None:
        """Go on with the run, or come back to a master that does not know this worker."""
        if self._known:
            logger.info("the master is back: generating again")
            if self._generator.pump is not None:
                self._generator.pump.resume()
            return
        logger.info("the master is another one: its run is over, and this worker ready for a new")
        runner = self._runner
        if runner.worker_state != STATE_INIT:
            runner.stop()
        # What a worker does after each run; a master answers no heartbeat of one that did not.
        self._visit, runner.worker_state = None, STATE_INIT
        runner.last_received_spawn_timestamp = 0
        runner.client.send(Message("client_ready", locust.__version__, runner.client_id))
