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
        pump = Generator.of(environment).pump
        if pump is None:
            return Counts(users=0)
        # A look at all that a page shows would cost a tenth of what is measured at low rates.
        figures = pump.figures(operations=False)
        spans = figures.ledger["traces"]
        return Counts(
            users=figures.users,
            traces=figures.counts.traces,
            generated=spans.generated,
            accepted=spans.accepted,
            lag_s=figures.lag_ns / 1e9,
        )

    if not isinstance(runner, MasterRunner):
        keep_diary(counts)
