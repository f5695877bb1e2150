"""The locustfile that is measured: ``locustfiles/topology.py``, and a diary."""

from locust import events
from locust.runners import MasterRunner

from benchmarks.diary import Counts, keep_diary
from motel_locust import TopologyUser
from motel_locust.load.generator import Generator
from motel_locust.otlp.ledger import Ledger


class Topology(TopologyUser):
    """Runs the topology that ``--topology`` names."""


@events.init.add_listener
def begin(environment, runner, **_) -> None:
    """Keep a diary where users run."""

    def counts() -> Counts:
        figures = Generator.of(environment).figures(operations=False)
        # Before the first run nothing says which signals there are.
        known = "traces" in figures.ledger
        spans = (figures.ledger if known else Ledger())["traces"]
        return Counts(
            users=figures.users,
            traces=figures.counts.traces,
            generated=spans.generated,
            accepted=spans.accepted,
            lag_s=figures.lag_ns / 1e9,
        )

    if not isinstance(runner, MasterRunner):
        keep_diary(counts)
