"""The master's end of what a cluster tells each other."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event
from locust.runners import STATE_MISSING, STATE_RUNNING, STATE_STOPPING

from motel_locust.load.attendance import Attendance
from motel_locust.load.cluster import KEY, Alone
from motel_locust.load.figures import LOST, RUNNING, Figures

if TYPE_CHECKING:
    from gevent import Greenlet
    from locust.rpc import Message
    from locust.runners import MasterRunner

    from motel_locust.load.generator import Generator

logger = logging.getLogger(__name__)

# A master waits longer than its workers drain, for the message to come and go.
DRAIN_MARGIN_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.2

LOOK_S: Final = 0.1
"""How often the master looks who is there and how many users they have."""

# Users are on their way for some moments after each change. Longer each time that dealing anew did
# not help, as where a worker cannot start what it is dealt.
UNEVEN_S: Final = 1.5
MOST_UNEVEN_S: Final = 60.0


class MasterExchange(Alone):
    """The master's end."""

    def __init__(self, generator: Generator, runner: MasterRunner) -> None:
        super().__init__(generator)
        self._runner = runner
        self._draining: set[str] = set()
        self._drained = Event()
        self._attendance = Attendance("", ())
        self._told: dict[str, int] = {}
        self._uneven_since_s, self._patience_s = 0.0, UNEVEN_S
        self._back = False
        self._dealing: Greenlet[..., None] | None = None
        runner.register_message("motel_wanted", self._on_wanted)
        runner.register_message("motel_time", self._on_time)
        runner.register_message("motel_drained", self._on_drained)
        runner.register_message("motel_trouble", self._on_trouble)
        generator.environment.events.worker_report.add_listener(self._on_report)
        # After the runner's own, which says that it runs.
        generator.environment.events.spawning_complete.add_listener(self._on_dealt)
        # Killed with the runner's other greenlets when it quits.
        runner.greenlet.spawn(self._watch)

    def spread(self, worker: str | None = None) -> None:
        """Send the topologies of the run to *worker*, or to all that are connected."""
        for source in self._generator.sources.values():
            self._runner.send_message("motel_topology", asdict(source), worker)

    def drain(self, timeout_s: float) -> None:
        """Let the workers end the run and report; return when all have, or are gone."""
        run = self._generator.run
        self.ended = run.name if run is not None else ""
        if self._dealing is not None:
            self._dealing.kill()
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
            self._draining &= self._present()
        for worker in sorted(self._draining):
            logger.warning("worker %s did not report the end of its run in time", worker)
        self._draining.clear()

    def _present(self) -> set[str]:
        return {each.id for each in self._runner.clients.all if each.state != STATE_MISSING}

    def _on_wanted(self, msg: Message, **_: Any) -> None:
        self.spread(msg.node_id)

    def _on_time(self, msg: Message, **_: Any) -> None:
        """Answer what time it is in the run, and whether the one who asks is known here."""
        run, worker, entry = self._generator.run, msg.node_id, msg.data["entry"]
        answer = {
            "entry": entry,
            "sent_ns": msg.data["sent_ns"],
            "known": worker in self._runner.clients,
        }
        if run is not None and run.name == msg.data["run"]:
            if run.name != self._attendance.run:
                indexes = self._runner.worker_indexes
                first = sorted(self._present() & indexes.keys(), key=lambda each: indexes[each])
                self._attendance = Attendance(run.name, first)
                self._generator.reports = self._attendance.reports
                self._uneven_since_s, self._patience_s = time.monotonic(), UNEVEN_S
                self._back = False
            answer["place"] = self._attendance.enter(worker, entry)
            answer["elapsed_ns"] = self._generator.release.elapsed_ns()
            self._told = {}  # it has not heard how many share the rate
        self._runner.send_message("motel_time", answer, worker)

    def _on_drained(self, msg: Message, **_: Any) -> None:
        self._draining.discard(msg.node_id)
        if not self._draining:
            self._drained.set()

    def _on_trouble(self, msg: Message, **_: Any) -> None:
        self.tell(f"worker {msg.node_id}: {msg.data['trouble']}")

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        report = data.get(KEY)
        if report and report["run"] == self._attendance.run:
            self._attendance.report(
                client_id,
                Figures.from_message(report["figures"]),
                skew_s=report["skew_s"],
                over=report["over"],
            )

    def _watch(self) -> None:
        """Look again and again who is there, how many users they have, and what follows of it."""
        while True:
            gevent.sleep(LOOK_S)
            run = self._generator.run
            if run is None or run.name != self._attendance.run:
                continue
            self._look()
            if run.options["rate_per"] == "cluster":
                self._share_out()
            if self._generator.running and run.name != self.ended:
                self._even_out()

    def _look(self) -> None:
        """Tell who was lost, or is back."""
        ended = self._attendance.run == self.ended
        for worker, state in self._attendance.look(self._present(), ended=ended):
            if state == LOST:
                logger.warning(
                    "worker %s is lost: what it did since its last report is not known", worker
                )
            elif state == RUNNING:
                logger.info("worker %s is back", worker)
                self._back = True

    def _share_out(self) -> None:
        """Tell the workers how many users there are, whenever that has changed."""
        users = {name: n for name, n in self._runner.reported_user_classes_count.items() if n}
        if users and users != self._told:
            self._told = users
            self._runner.send_message("motel_share", {"run": self._attendance.run, "users": users})

    def _even_out(self) -> None:
        """Deal the users anew if there are more or fewer than there should be.

        Locust does so when a worker goes missing or a new one comes, with ``--enable-rebalancing``.
        It does not always when one quits, and never when one is back: that one's users are then
        there twice (``dispatch_in_progress`` stays set after dealing anew).
        """
        runner, back, now_s = self._runner, self._back, time.monotonic()
        target = {name: n for name, n in runner.target_user_classes_count.items() if n}
        there = {name: n for name, n in runner.reported_user_classes_count.items() if n}
        settled = runner.state == STATE_RUNNING and runner.spawning_completed and not self._dealing
        if not settled or (there == target and not back):
            self._uneven_since_s = now_s
            if settled:
                self._patience_s = UNEVEN_S
        elif back or now_s - self._uneven_since_s > self._patience_s:
            logger.info("%d users of %d: dealing anew", sum(there.values()), sum(target.values()))
            self._patience_s = min(2 * self._patience_s, MOST_UNEVEN_S)
            self._back = False
            # Takes a second or more, and is to end when the run does.
            self._dealing = runner.greenlet.spawn(
                runner.start, runner.target_user_count, runner.spawn_rate
            )

    def _on_dealt(self, **_: Any) -> None:
        """Undo what a dealing says that was under way when the run ended.

        It may be one of Locust's own. A runner that seems to run starts everybody again as soon as
        a worker reports itself ready, as all do after a run.
        """
        run = self._generator.run
        if run is not None and run.name == self.ended:
            self._runner.update_state(STATE_STOPPING)
            self._runner.check_stopped()
