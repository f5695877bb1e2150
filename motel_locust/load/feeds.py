"""The feeds of a run: each user class's engine or replay, encoder and exporter, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from motel_locust.engine.engine import Engine
from motel_locust.engine.replay import Replay
from motel_locust.load.destination import settings_for
from motel_locust.load.feed import Feed
from motel_locust.load.options import run_options
from motel_locust.load.recordings import Taped
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.resources import resource_attributes
from motel_locust.otlp.settings import Settings, SettingsError
from motel_locust.otlp.transports import open_transport
from motel_locust.topology.quantities import parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.load.options import RunOptions
    from motel_locust.load.run import Part, Run
    from motel_locust.otlp.exporter import Settled
    from motel_locust.otlp.ledger import Ledger
    from motel_locust.topology.model import Topology
    from motel_locust.topology.traffic import Arrivals


def build_feeds(
    run: Run,
    loads: Mapping[str, Topology | Taped],
    ledger: Ledger,
    *,
    worker: int,
    on_settled: Callable[[Settled], None],
) -> dict[str, Feed]:
    """Return the feed of each user class, by its name.

    *loads* are the topologies and tapes of the run, by the hash of their text. Classes with equal
    settings share an exporter: queue and connections are those of an endpoint. Raises
    SettingsError.
    """
    if worker >= run.stride:
        raise SettingsError(f"{run.stride} workers have taken part in this run; no more can")
    options = run_options(run.options)
    exporters: list[tuple[Settings, Exporter]] = []
    feeds = {}
    for part in run.parts:
        settings = settings_for(part.endpoint, run.options, run.environ)
        exporter = next((known for other, known in exporters if other == settings), None)
        if exporter is None:
            exporter = Exporter(
                open_transport(settings),
                ledger,
                queue_bytes=options.queue_bytes,
                connections=options.connections,
                on_settled=on_settled,
            )
            exporters.append((settings, exporter))
        load = loads[part.sha256]
        feeds[part.user_class] = Feed(
            build_replay(run, part, load, options)
            if isinstance(load, Taped)
            else build_engine(run, part, load, options, worker=worker),
            BatchEncoder(
                load.resources
                if isinstance(load, Taped)
                else {name: each.resource_attributes for name, each in load.services.items()},
                environment=resource_attributes(run.environ),
            ),
            exporter,
            epoch_ns=run.epoch_ns,
            flush_interval_s=options.flush_interval_s,
            realtime=options.realtime,
            worker=worker,
            stride=run.stride,
        )
    return feeds


def build_engine(
    run: Run, part: Part, topology: Topology, options: RunOptions, *, worker: int
) -> Engine:
    """Return the engine of one user class."""
    return Engine(
        topology,
        seed=run.seed,
        # Two classes, or one class with another topology, never make the same trace id.
        name=f"{part.user_class} {part.sha256}",
        worker=worker,
        stride=run.stride,
        epoch_ns=run.epoch_ns,
        rate_per_s=rate_per_s(part),
        arrivals=cast("Arrivals | None", part.arrivals or None),
        max_spans_per_trace=options.max_spans_per_trace,
        label_scenarios=options.label_scenarios,
        realtime=options.realtime,
        time_offset_ns=options.time_offset_ns,
    )


def build_replay(run: Run, part: Part, taped: Taped, options: RunOptions) -> Replay:
    """Return the replay of one user class."""
    return Replay(
        taped.tape,
        seed=run.seed,
        name=f"{part.user_class} {part.sha256}",
        epoch_ns=run.epoch_ns,
        speed=options.speed,
        loops=options.loops,
        time_offset_ns=options.time_offset_ns,
        verbatim=options.verbatim,
    )


def rate_per_s(part: Part) -> float | None:
    """Return the base rate that *part* asks for; None for the topology's."""
    return parse_rate(part.rate).per_s if part.rate else None
