"""The feeds of a run: each user class's engine, encoder and exporter, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from motel_locust.engine.engine import Engine
from motel_locust.load.destination import resource_attributes, settings_for
from motel_locust.load.feed import Feed
from motel_locust.load.options import run_options
from motel_locust.load.outlet import Outlet
from motel_locust.otlp.bodies import encode_heads
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.settings import Settings, SettingsError
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.otlp.transports import open_transport
from motel_locust.topology.quantities import parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.engine.columns import Columns
    from motel_locust.load.feed import Encode
    from motel_locust.load.options import RunOptions
    from motel_locust.load.run import Part, Run
    from motel_locust.otlp.exporter import Settled
    from motel_locust.otlp.ledger import Ledger
    from motel_locust.topology.model import Topology
    from motel_locust.topology.traffic import Arrivals


def build_feeds(
    run: Run,
    topologies: Mapping[str, Topology],
    ledger: Ledger,
    *,
    worker: int,
    on_settled: Callable[[Settled], None],
) -> dict[str, Feed]:
    """Return the feed of each user class, by its name.

    *topologies* are those of the run, by the hash of their text. Classes with equal settings share
    an exporter: queue and connections are those of an endpoint. Raises SettingsError.
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
        topology = topologies[part.sha256]
        heads = encode_heads(
            {name: each.resource_attributes for name, each in topology.services.items()},
            resource_attributes(run.environ),
        )
        traces = Outlet("traces", heads, exporter, flush_interval_s=options.flush_interval_s)
        feeds[part.user_class] = Feed(
            build_engine(run, part, topology, options, worker=worker),
            {traces: encode_spans()},
            epoch_ns=run.epoch_ns,
            flush_interval_s=options.flush_interval_s,
            realtime=options.realtime,
            worker=worker,
            stride=run.stride,
        )
    return feeds


def encode_spans() -> Encode:
    """Return what makes parcels of the spans of batches."""
    encoder: BatchEncoder[Columns] = BatchEncoder(SpanEncoder)
    return lambda batch, _active, pause: encoder.encode(batch, pause)


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


def rate_per_s(part: Part) -> float | None:
    """Return the base rate that *part* asks for; None for the topology's."""
    return parse_rate(part.rate).per_s if part.rate else None
