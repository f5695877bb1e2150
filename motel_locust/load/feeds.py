"""The feeds of a run: each user class's engine or replay, encoders and exporters, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import uuid5

from motel_locust.engine.engine import Engine
from motel_locust.engine.logs import Logs
from motel_locust.engine.metrics import Metrics
from motel_locust.engine.replay import Replay
from motel_locust.load.collection import collection
from motel_locust.load.destination import settings_for
from motel_locust.load.feed import Feed
from motel_locust.load.meter import Meter
from motel_locust.load.outlet import Outlet
from motel_locust.load.recordings import Taped
from motel_locust.load.run_options import run_options
from motel_locust.otlp.bodies import Heads
from motel_locust.otlp.exporter import Exporter
from motel_locust.otlp.groups import SpanGroups
from motel_locust.otlp.json_bodies import JsonHeads
from motel_locust.otlp.json_logs import JsonLogEncoder
from motel_locust.otlp.json_spans import JsonSpanEncoder
from motel_locust.otlp.logs import LogEncoder
from motel_locust.otlp.metrics import MetricEncoder
from motel_locust.otlp.notations import notation_of
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.resources import INSTANCES, ServiceResources, resource_attributes
from motel_locust.otlp.settings import Settings, SettingsError
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.otlp.transports import open_transport
from motel_locust.topology.instances import INSTANCE_ID
from motel_locust.topology.quantities import parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from motel_locust.engine.columns import Columns
    from motel_locust.engine.recorded import RecordedAttributes
    from motel_locust.engine.records import LogColumns
    from motel_locust.load.feed import Encode
    from motel_locust.load.run import Part, Run
    from motel_locust.load.run_options import RunOptions
    from motel_locust.otlp.exporter import Settled
    from motel_locust.otlp.ledger import Ledger, Signal
    from motel_locust.otlp.notations import Notation
    from motel_locust.topology.model import Topology
    from motel_locust.topology.traffic import Arrivals

JSON_ROWS = 2_000
"""Rows that are encoded between two pauses: half a millisecond to a whole one, and as much again
for each double that a row has."""


def build_feeds(
    run: Run,
    loads: Mapping[str, Topology | Taped],
    ledger: Ledger,
    *,
    worker: int,
    on_settled: Callable[[Settled], None],
) -> dict[str, Feed]:
    """Return the feed of each user class, by its name.

    *loads* are the topologies and tapes of the run, by the hash of their text.

    Raises SettingsError.
    """
    if worker >= run.stride:
        raise SettingsError(f"{run.stride} workers have taken part in this run; no more can")
    options = run_options(run.options)
    exporters = Exporters(run, options, ledger, on_settled)
    return {
        part.user_class: build_feed(run, part, loads[part.sha256], exporters, worker=worker)
        for part in run.parts
    }


class Exporters:
    """The exporters of a process: queue and connections are those of a signal's endpoint.

    Classes with equal settings and bodies in the same notation share them.
    """

    def __init__(
        self,
        run: Run,
        options: RunOptions,
        ledger: Ledger,
        on_settled: Callable[[Settled], None],
    ) -> None:
        self._run, self._options = run, options
        self._ledger, self._on_settled = ledger, on_settled
        self._known: list[tuple[Settings, Notation, Exporter]] = []

    def settings(self, part: Part, signal: Signal) -> Settings:
        """Return the settings of *signal* for *part*; raise SettingsError."""
        return settings_for(part.endpoint, self._run.options, self._run.environ, signal)

    def of(self, part: Part, signal: Signal, notation: Notation) -> Exporter:
        """Return the exporter of bodies of *signal* for *part*; raise SettingsError."""
        settings = self.settings(part, signal)
        for other, written, exporter in self._known:
            if (other, written) == (settings, notation):
                return exporter
        exporter = Exporter(
            open_transport(settings, notation),
            self._ledger,
            signal=signal,
            queue_bytes=self._options.queue_bytes,
            connections=self._options.connections,
            on_settled=self._on_settled,
        )
        self._known.append((settings, notation, exporter))
        return exporter


def build_feed(
    run: Run, part: Part, load: Topology | Taped, exporters: Exporters, *, worker: int
) -> Feed:
    """Return the feed of one user class; raise SettingsError."""
    if isinstance(load, Taped):
        return build_replaying_feed(run, part, load, exporters, worker=worker)
    topology, options = load, run_options(run.options)
    own = resources(run, part, topology, worker=worker)
    notations = {
        signal: notation_of(exporters.settings(part, signal)) for signal in options.signals
    }
    outlets = {
        signal: build_outlet(run, part, signal, own, exporters, notation)
        for signal, notation in notations.items()
    }
    encoders: dict[Outlet, Encode] = {}
    if "traces" in outlets:
        encoders[outlets["traces"]] = encode_spans(notations["traces"])
    if "logs" in outlets:
        encoders[outlets["logs"]] = encode_logs(
            Logs(
                topology,
                seed=run.seed,
                name=part.name,
                epoch_ns=run.epoch_ns,
                slow_ns=options.slow_ns,
                realtime=options.realtime,
                time_offset_ns=options.time_offset_ns,
            ),
            notations["logs"],
        )
    meter = None
    if "metrics" in outlets:
        collected = collection(run.options, run.environ)
        metrics = Metrics(
            topology,
            seed=run.seed,
            name=part.name,
            worker=worker,
            epoch_ns=run.epoch_ns,
            interval_ns=collected.interval_ns,
            temporality=collected.temporality,
            realtime=options.realtime,
            time_offset_ns=options.time_offset_ns,
            # One that points to a trace that nobody gets would lead nowhere.
            exemplars="traces" in options.signals,
            shared=run.stride > 1,
        )
        meter = Meter(
            metrics, MetricEncoder(), outlets["metrics"], interval_ns=collected.interval_ns
        )
    return Feed(
        build_engine(run, part, topology, options, worker=worker),
        encoders,
        meter,
        epoch_ns=run.epoch_ns,
        flush_interval_s=options.flush_interval_s,
        realtime=options.realtime,
        worker=worker,
        stride=run.stride,
    )


def build_replaying_feed(
    run: Run, part: Part, taped: Taped, exporters: Exporters, *, worker: int
) -> Feed:
    """Return the feed of a user class that replays a recording; raise SettingsError."""
    options = run_options(run.options)
    outlet = build_outlet(run, part, "traces", taped.resources, exporters, "protobuf")
    return Feed(
        build_replay(run, part, taped, options),
        {outlet: encode_spans()},
        epoch_ns=run.epoch_ns,
        flush_interval_s=options.flush_interval_s,
        realtime=options.realtime,
        worker=worker,
        stride=run.stride,
    )


def build_outlet(
    run: Run,
    part: Part,
    signal: Signal,
    own: Mapping[str, RecordedAttributes],
    exporters: Exporters,
    notation: Notation,
) -> Outlet:
    """Return the way out of a signal, whose services have *own* resource attributes."""
    environment = resource_attributes(run.environ)
    return Outlet(
        signal,
        JsonHeads(own, environment, signal) if notation == "json" else Heads(own, environment),
        exporters.of(part, signal, notation),
        flush_interval_s=run_options(run.options).flush_interval_s,
    )


def resources(run: Run, part: Part, topology: Topology, *, worker: int) -> ServiceResources:
    """Return the resource attributes of every service, as the topology and the run have them.

    Where metrics are sent, each process is an instance of each service, and so is each user class:
    their cumulative sums must not be taken for one another. An id that a person wrote stays as it
    is where there is only one, else it comes first. A service with instances has the same ones on
    all processes; there the points of metrics tell which worker they are from.
    """
    found = ServiceResources(topology, seed=run.seed, name=part.name)
    if "metrics" not in run_options(run.options).signals:
        return found
    environment = resource_attributes(run.environ)
    for service, attributes in found.items():
        if topology.services[service].instances is not None:
            continue
        made = str(uuid5(INSTANCES, f"{run.seed} {part.name} {worker} {service}"))
        written = attributes.get(INSTANCE_ID) or environment.get(INSTANCE_ID)
        if written:
            alone = run.stride == 1 and len(run.parts) == 1
            made = written if alone else f"{written}-{made}"
        attributes[INSTANCE_ID] = made
    return found


def encode_spans(notation: Notation = "protobuf") -> Encode:
    """Return what makes parcels of the spans of batches."""
    encoder: BatchEncoder[Columns] = (
        BatchEncoder(JsonSpanEncoder, rows_at_once=JSON_ROWS)
        if notation == "json"
        else BatchEncoder(SpanEncoder, groups=SpanGroups())
    )
    return lambda batch, _active, pause: encoder.encode(batch, pause)


def encode_logs(logs: Logs, notation: Notation = "protobuf") -> Encode:
    """Return what makes parcels of the log records of batches."""
    encoder: BatchEncoder[LogColumns] = (
        BatchEncoder(JsonLogEncoder, rows_at_once=JSON_ROWS)
        if notation == "json"
        else BatchEncoder(LogEncoder)
    )
    return lambda batch, active, pause: encoder.encode(logs.write(batch, active, pause), pause)


def build_engine(
    run: Run, part: Part, topology: Topology, options: RunOptions, *, worker: int
) -> Engine:
    """Return the engine of one user class."""
    return Engine(
        topology,
        seed=run.seed,
        name=part.name,
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
        name=part.name,
        epoch_ns=run.epoch_ns,
        speed=options.speed,
        loops=options.loops,
        time_offset_ns=options.time_offset_ns,
        verbatim=options.verbatim,
    )


def rate_per_s(part: Part) -> float | None:
    """Return the base rate that *part* asks for; None for the topology's."""
    return parse_rate(part.rate).per_s if part.rate else None
