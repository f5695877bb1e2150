"""The locustfile that is measured: ``locustfiles/topology.py``, and a diary."""

from locust import events
from locust.runners import MasterRunner

from benchmarks.diary import Counts, keep_diary
from motel_locust import TopologyUser
from motel_locust.load.generator import Generator


class Topology(TopologyUser):
    """Runs the topology that ``--topology`` names."""


@events.init.add_listener
def begin(environment, runner, **_) -> None:
    """Keep a diary where users run."""

    def counts() -> Counts:
        figures = Generator.of(environment).figures()
        # Before the first run nothing says which signals there are.
        spans = figures.ledger["traces"] if "traces" in figures.ledger else None
        return Counts(
            users=figures.users,
            traces=figures.counts.traces,
            generated=spans.generated if spans else 0,
            accepted=spans.accepted if spans else 0,
            lag_s=figures.lag_ns / 1e9,
        )

    if not isinstance(runner, MasterRunner):
        keep_diary(counts)
