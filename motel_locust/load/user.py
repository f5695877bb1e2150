"""The Locust user that runs a topology."""

from __future__ import annotations

from locust import User, constant, events, tag, task

from motel_locust.load import listeners
from motel_locust.load.generator import Generator

# So long that Locust never runs the task a second time.
FOR_GOOD_S = 10**9


class TopologyUser(User):
    """A simulated user of a topology: all of its traffic, once.

    Ten users are ten times the topology's ``traffic.rate``. A user makes nothing itself: it joins
    the process's pump, which generates for all of them, and waits to be stopped. Subclasses may
    stand side by side, with weights, topologies and endpoints of their own, and beside any other
    Locust user. What a subclass leaves empty comes from the options of the run.
    """

    abstract = True

    topology: str = ""
    """The topology's file or URL; empty: ``--topology``."""

    endpoint: str = ""
    """Where the telemetry goes; empty: ``--host``, then the ``OTEL_EXPORTER_OTLP_*`` variables.

    ``host`` remains Locust's: it replaces the ``host`` of every class once ``--host`` is given.
    """

    rate: str = ""
    """The base rate of each user, such as ``"50/s"``; empty: ``--rate``, then the topology's."""

    arrivals: str = ""
    """``"paced"`` or ``"poisson"``; empty: ``--arrivals``, then the topology's."""

    # In the state "waiting" Locust ends a user at once, whatever its --stop-timeout.
    wait_time = constant(FOR_GOOD_S)

    def on_start(self) -> None:
        """Join the pump; keep it the last statement when overriding, as what raises leaks."""
        Generator.of(self.environment).join(self)

    def on_stop(self) -> None:
        """Leave the pump; harmless if the user never joined."""
        Generator.of(self.environment).leave(self)

    @tag("telemetry")
    @task
    def live(self) -> None:
        """Do nothing until stopped; with ``--tags``, name ``telemetry`` to keep it."""
        User.wait(self)


listeners.register(events)
