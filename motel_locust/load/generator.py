"""The generator of one Locust environment: what its users, pages and messages all refer to.

It is made once per process and holds what a run needs: the topologies by the hash of their text,
the pump (on a worker or the only process), the figures of the workers (on a master). Nothing here
survives from one run to the next but the topologies' texts and the built-in receiver.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gevent.event import Event
from locust.runners import STATE_RUNNING, STATE_SPAWNING, LocalRunner, MasterRunner

from motel_locust.load.cluster import Alone
from motel_locust.load.feeds import build_feeds
from motel_locust.load.figures import THIS_PROCESS, Figures, Report, total
from motel_locust.load.footprint import Footprint
from motel_locust.load.history import History
from motel_locust.load.preparation import unwritable
from motel_locust.load.profile import VIEWER, Profiler, of_worker
from motel_locust.load.pump import Pump
from motel_locust.load.recorder import Recorder
from motel_locust.load.recordings import read_load
from motel_locust.load.release import Release
from motel_locust.load.run import KEY, STRIDE, Run
from motel_locust.load.run_options import run_options
from motel_locust.load.sparing import Sparing
from motel_locust.load.stats import log_items
from motel_locust.load.worker import WorkerExchange
from motel_locust.otlp.ledger import Ledger
from motel_locust.otlp.receiver_process import start_receiver
from motel_locust.otlp.settings import SettingsError
from motel_locust.topology.diagnostics import TopologyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from locust import User
    from locust.env import Environment

    from motel_locust.load.feed import Feed
    from motel_locust.load.preparation import Preparation
    from motel_locust.otlp.endpoints import Protocol
    from motel_locust.otlp.exporter import Settled
    from motel_locust.otlp.receiver_process import RunningReceiver
    from motel_locust.topology.sources import Source

logger = logging.getLogger(__name__)

ATTRIBUTE: Final = "motel_locust"
"""Where an environment keeps its generator."""

# How long a worker waits for a topology before it asks for it again.
ASK_AGAIN_S: Final = 1.0


class Generator:
    """One process's part of the load, or on a master the whole of it.

    Attributes:
        exchange: What is told to the other processes, and heard from them.
        hosts: The ``host`` that classes give themselves, by class.
        prepared: The run that may begin next, if somebody has checked it.
        sources: The topologies that are known here, by the hash of their text.
        run: The run that is going on, or the last one.
        release: What time it is in that run.
        pump: What generates here; None on a master, and before the first run.
        reports: On a master, what it knows of each worker that took part in this run, by its id.
        recorder: Keeps the history of this run, where it is looked at; None before the first run.
        receiver: The built-in receiver, where this process started it.
        receiver_endpoint: The one of its endpoints that was last sent to.
        troubles: Why processes could not take part in this run, or not to its end.
        ending: Whether the run has ended and deliveries are still under way.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.exchange = Alone(self)
        self.hosts: dict[str, str] = {}
        self.prepared: Preparation | None = None
        self.sources: dict[str, Source] = {}
        self.run: Run | None = None
        self.release = Release(0)
        self.pump: Pump | None = None
        self.reports: dict[str, Report] = {}
        self.recorder: Recorder | None = None
        self.receiver: RunningReceiver | None = None
        self.receiver_endpoint = ""
        self.troubles: list[str] = []
        self.ending = False
        self._arrived = Event()
        self._profiler: Profiler | None = None
        self._sparing: Sparing | None = None
        self._footprint = Footprint()

    @classmethod
    def of(cls, environment: Environment) -> Generator:
        """Return the generator of *environment*, the same one each time."""
        attributes = vars(environment)
        if ATTRIBUTE not in attributes:
            attributes[ATTRIBUTE] = cls(environment)
        generator: Generator = attributes[ATTRIBUTE]
        return generator

    def begin(self, preparation: Preparation) -> Run:
        """Return a new run that every process will :meth:`enter`, as its master or only process."""
        options, alone = preparation.options, isinstance(self.environment.runner, LocalRunner)
        seed = options["seed"] or secrets.randbelow(2**63 - 1) + 1
        logger.info("seed %d: the same one makes the same telemetry again", seed)
        self.sources = {key: each.source for key, each in preparation.readings.items()}
        self.run = Run(
            name=secrets.token_hex(8),
            epoch_ns=time.time_ns(),
            seed=seed,
            stride=1 if alone else STRIDE,
            users=self.environment.runner.target_user_count if self.environment.runner else 0,
            parts=preparation.parts,
            options=options,
            environ=preparation.environ,
        )
        self.release = Release(self.run.epoch_ns)
        self.reports, self.troubles = {}, []
        if self.environment.parsed_options is not None:
            vars(self.environment.parsed_options)[KEY] = self.run.message()
        if self.recorder is not None:
            self.recorder.stop()
        self.recorder = Recorder(self)
        return self.run

    def forget_run(self) -> None:
        """Let the last run be over: what is printed and decided at the end is another one's."""
        self.run = None
        if self.environment.parsed_options is not None:
            vars(self.environment.parsed_options).pop(KEY, None)

    def enter(self, run: Run) -> None:
        """Take part in *run*: from now on users generate, once the topologies are here."""
        self.leave_run()
        self.troubles, self._footprint = [], Footprint()
        options = run_options(run.options)
        ledger = Ledger(options.signals)
        self.run, self.release = run, Release(run.epoch_ns)
        self.pump = Pump(
            self.release,
            lambda: self._feeds(run, ledger),
            ledger=ledger,
            wait_on_full=options.on_full == "wait",
            drain_s=options.drain_s,
        )
        if options.rate_per == "cluster" and run.stride > 1:
            self.pump.share({part.user_class: max(1, run.users) for part in run.parts})
        self.pump.start().link_exception(
            lambda greenlet: self.exchange.tell(f"internal error: {greenlet.exception!r}")
        )

    def leave_run(self) -> None:
        """End this process's part of the run and deliver what is under way; idempotent."""
        if self.pump is not None:
            self.pump.drain()
            if self._sparing is not None:
                self._sparing.end()
            self._end_profile()

    def end_run(self) -> None:
        """End the run on all processes below this one; return when nothing is under way."""
        if self.run is not None:
            self.ending = True
            try:
                self.leave_run()
                self.exchange.drain(run_options(self.run.options).drain_s)
            finally:
                self.ending = False

    def join(self, user: User) -> None:
        """Let *user* generate from the next tick on."""
        if self.pump is not None:
            self.pump.join(user, type(user).__name__)
            self._share_alone()

    def leave(self, user: User) -> None:
        """Let *user* generate no more; harmless if it does not."""
        if self.pump is not None:
            self.pump.leave(user)
            self._share_alone()

    def learn(self, source: Source) -> None:
        """Know the text of a topology."""
        self.sources[source.sha256] = source
        self._arrived.set()

    def figures(self, *, operations: bool = True) -> Figures:
        """Return the figures of this run, on a master those of the whole cluster.

        Those of the *operations* take their time where they are counted: see `Pump.figures`.
        """
        if isinstance(self.environment.runner, MasterRunner):
            return total(self.reports)
        own = self.pump.figures(operations=operations) if self.pump is not None else Figures()
        own = replace(own, cpu=self._footprint.cpu, rss_bytes=self._footprint.rss_bytes)
        return replace(own, workers={THIS_PROCESS: Report(own).row(THIS_PROCESS)})

    @property
    def history(self) -> History:
        """What this run was like over time."""
        return self.recorder.history if self.recorder is not None else History()

    @property
    def running(self) -> bool:
        """Whether a test is going on."""
        runner = self.environment.runner
        return runner is not None and runner.state in (STATE_SPAWNING, STATE_RUNNING)

    def start_receiver(self, protocol: Protocol) -> str:
        """Start the built-in receiver, if it does not run, and return its endpoint."""
        if self.receiver is None:
            self.receiver = start_receiver()
        endpoint = self.receiver.endpoint_for(protocol)
        if endpoint != self.receiver_endpoint:
            self.receiver_endpoint = endpoint
            logger.info(
                "no endpoint is configured: sending to the built-in receiver at %s (%s)",
                endpoint,
                protocol,
            )
        return endpoint

    def named_by_a_person(self, host: str) -> str:
        """Return *host*, empty where it is only what we wrote there: the built-in receiver's."""
        receiver = self.receiver
        if receiver is not None and host in (receiver.endpoint, receiver.grpc_endpoint):
            return ""
        return host

    def stop_receiver(self) -> None:
        """End the built-in receiver, and say what came to it."""
        if self.receiver is not None:
            report = self.receiver.stop()
            if report is not None:
                got = [f"{report['spans']} spans of {report['traces']} traces"]
                got += [
                    f"{report[kind]} {name}"
                    for kind, name in (("points", "data points"), ("records", "log records"))
                    if report[kind]
                ]
                logger.info("the built-in receiver got %s", ", ".join(got))
            self.receiver = None

    def _share_alone(self) -> None:
        assert self.pump is not None
        assert self.run is not None
        if self.run.options["rate_per"] == "cluster" and self.run.stride == 1:
            self.pump.share({name: max(1, users) for name, users in self.pump.users.items()})

    def _feeds(self, run: Run, ledger: Ledger) -> Mapping[str, Feed]:
        """Return what the users of each class generate; wait for topologies on their way.

        What the master could not see, such as a certificate that this machine lacks, is told; then
        there are no feeds.
        """
        try:
            loads = {
                part.sha256: read_load(part, self._source(part.sha256), run) for part in run.parts
            }
            # Last, as what it waits for may take its time, and the time read here is used at once.
            self._enter_cluster(run)
            place = self.exchange.place
            self._begin_profile(run, place)
            self._sparing = Sparing()
            return build_feeds(run, loads, ledger, worker=place, on_settled=self._log)
        except (SettingsError, TopologyError) as error:
            self.exchange.tell(str(error))
            return {}

    def _begin_profile(self, run: Run, worker: int) -> None:
        path = run_options(run.options).cpu_profile
        if not path:
            return
        if run.stride > 1:
            path = of_worker(path, worker)
        # The master has looked at its own machine only; a run does not depend on its profile.
        if problem := unwritable(path):
            self.exchange.tell(f"--cpu-profile: {problem}")
        else:
            self._profiler = Profiler(path)

    def _end_profile(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        try:
            profiler.stop()
        except OSError as error:
            self.exchange.tell(
                f"--cpu-profile: {profiler.path} cannot be written: {error.strerror}"
            )
        else:
            logger.info("where the CPU went: open %s at %s", profiler.path, VIEWER)

    def _source(self, sha256: str) -> Source:
        while sha256 not in self.sources:
            self.exchange.ask()
            self._arrived.wait(ASK_AGAIN_S)
            self._arrived.clear()
        return self.sources[sha256]

    def _enter_cluster(self, run: Run) -> None:
        """Take a place in the cluster, and know what time it is there."""
        # A worker can be told to spawn before its runner's constructor has returned.
        while run.stride > 1 and not isinstance(self.exchange, WorkerExchange):
            self._arrived.wait(ASK_AGAIN_S)
        self.exchange.enter(run, self.release)

    def _log(self, settled: Settled) -> None:
        losses = {
            "rejected": settled.rejected,
            "failed": settled.failed,
            "dropped": settled.dropped,
        }
        lost = sum(losses.values())
        log_items(
            self.environment.stats,
            settled.signal,
            items=settled.accepted + lost,
            ack_ms=None if settled.latency_s is None else settled.latency_s * 1000,
            size=settled.size,
            lost=lost,
            error=f"{max(losses, key=lambda loss: losses[loss])}: {settled.reason}",
        )
        if self.pump is not None:
            self.pump.wake()
